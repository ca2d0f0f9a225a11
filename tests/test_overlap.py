"""Scopes of several threads, tasks, generators and contexts, each of which ends when it likes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
import types
from collections import Counter
from collections.abc import Callable, Generator

import pytest
import torch
import torch._inductor.config as config
import torch._inductor.utils as utils
from conftest import InThread, Snapshot
from this_torch import VALUES_PER_THREAD
from torch._inductor.graph import GraphLowering

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
EXTRA = "epilogue_fusion"  # a plain bool in every release
pytestmark = [
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
    pytest.mark.filterwarnings("ignore:.*nothing refers to it:RuntimeWarning"),
]


def test_scopes_of_two_threads_overlap(no_trace: Snapshot) -> None:
    """A enters, B enters, A leaves, B leaves. Until 2.11 both see the youngest scope's value."""
    a_is_in, b_is_in, a_is_out = (threading.Event() for _ in range(3))
    seen: dict[str, object] = {}

    def first() -> None:
        with io.override(min_sms=1, **{EXTRA: False}):
            a_is_in.set()
            assert b_is_in.wait(60)
            seen["a, both in"] = getattr(config, OPTION)
        a_is_out.set()

    def second() -> None:
        assert a_is_in.wait(60)
        with io.override(min_sms=2, **{EXTRA: False}):
            b_is_in.set()
            assert a_is_out.wait(60)
            seen["b, alone"] = getattr(config, OPTION)
            seen["live"] = io.status().live
        seen["b, after"] = getattr(config, EXTRA)

    before = getattr(config, EXTRA)
    threads = [threading.Thread(target=f) for f in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert seen == {
        "a, both in": 1 if VALUES_PER_THREAD else 2,
        "b, alone": 2,
        "live": True,
        "b, after": before,
    }
    assert no_trace.differences() == []


def test_interleaved_coroutines(no_trace: Snapshot) -> None:
    seen: dict[str, list[int]] = {"a": [], "b": []}

    async def task(name: str, value: int, turns: int) -> None:
        with io.override(min_sms=value):
            for _ in range(turns):
                await asyncio.sleep(0)
                seen[name].append(getattr(config, OPTION))

    async def main() -> None:
        await asyncio.gather(task("a", 1, 2), task("b", 2, 5))

    asyncio.run(main())
    if VALUES_PER_THREAD:
        assert seen == {"a": [1, 1], "b": [2] * 5}
    else:
        assert seen["b"][-1] == 2
    assert no_trace.differences() == []


def test_a_task_that_outlives_the_scope_it_was_started_in(no_trace: Snapshot) -> None:
    before = getattr(config, EXTRA)

    async def child(parent_left: asyncio.Event) -> list[object]:
        inner = io.override(min_sms=5, **{EXTRA: before})
        with inner:
            await parent_left.wait()
            return [getattr(config, OPTION), getattr(config, EXTRA)]

    async def main() -> list[object]:
        parent_left = asyncio.Event()
        with io.override(min_sms=1, **{EXTRA: not before}):
            task = asyncio.ensure_future(child(parent_left))
            await asyncio.sleep(0)
        parent_left.set()
        return await task

    assert asyncio.run(main()) == [5, before]
    assert no_trace.differences() == []


def test_two_interleaved_generators_in_one_thread(no_trace: Snapshot) -> None:
    def generator(value: int) -> Generator[int, None, None]:
        with io.override(min_sms=value):
            yield getattr(config, OPTION)
            yield getattr(config, OPTION)

    one, two = generator(1), generator(2)
    assert [next(one), next(two)] == [1, 2]
    one.close()
    assert next(two) == 2
    two.close()
    assert no_trace.differences() == []


def test_leaving_in_another_thread_is_said_where_it_matters(
    in_thread: InThread, no_trace: Snapshot
) -> None:
    scope = io.override(min_sms=0)
    in_thread(scope.__enter__)
    if VALUES_PER_THREAD:
        with pytest.warns(RuntimeWarning, match="left where it was not entered"):
            scope.__exit__(None, None, None)
    else:
        scope.__exit__(None, None, None)
    assert no_trace.differences() == []


def compile_one() -> None:
    torch._dynamo.reset()
    torch.compile(lambda x: x @ x)(torch.randn(4, 4))


def test_a_context_copied_in_a_scope_that_has_ended(lowered: list[int | None]) -> None:
    """Where something else keeps the option there: `enable`, or another scope."""
    io.enable(min_sms=5)
    with io.override(min_sms=7, **{EXTRA: not getattr(config, EXTRA)}):
        copied = contextvars.copy_context()
    copied.run(compile_one)
    assert copied.run(getattr, config, EXTRA) == getattr(config, EXTRA)
    with io.override(min_sms=3):
        with io.override(min_sms=7):
            copied = contextvars.copy_context()
        assert copied.run(io.status).min_sms == 3
        copied.run(compile_one)
    assert lowered == [5, 3]


def test_what_is_asked_in_a_copied_context_is_not_counted_for_a_scope_that_has_ended(
    ask: Callable[[], bool],
) -> None:
    with io.override(min_sms=0) as ended:
        copied = contextvars.copy_context()
        ask()
    with io.override(min_sms=0) as open_now:
        copied.run(ask)
    assert ended.consulted == 1
    assert open_now.consulted == (0 if VALUES_PER_THREAD else 1)


def test_a_copied_context_does_not_bring_back_the_value_of_an_earlier_time(
    lowered: list[int | None],
) -> None:
    io.enable()
    setattr(config, OPTION, 5)
    with io.override(min_sms=7):
        compiles, enters = contextvars.copy_context(), contextvars.copy_context()
    io.disable()
    io.enable(min_sms=9)

    def a_scope() -> None:
        with io.override(min_sms=4):
            pass

    compiles.run(compile_one)
    enters.run(a_scope)
    enters.run(compile_one)
    assert lowered == [9, 9]


@pytest.mark.skipif(not VALUES_PER_THREAD, reason="until 2.11 options are for the whole process")
def test_scopes_leave_nothing_more_in_the_context() -> None:
    """A context never forgets a ContextVar that was set in it."""

    def kept() -> dict[str, int]:
        names = Counter(variable.name for variable in contextvars.copy_context())
        # torch's own config.patch leaves one each time, of which each compile has several.
        return {name: names[name] for name in names if "ConfigPatch" not in name}

    def scopes() -> None:
        for _ in range(3):
            with io.override(min_sms=7, **{EXTRA: not getattr(config, EXTRA)}):
                compile_one()
            compile_one()

    scopes()
    before = kept()
    scopes()
    assert kept() == before


@pytest.mark.skipif(not VALUES_PER_THREAD, reason="until 2.11 options are for the whole process")
def test_a_scope_that_is_left_in_a_copied_context(lowered: list[int | None]) -> None:
    before = getattr(config, EXTRA)
    io.enable(min_sms=5)
    scope = io.override(min_sms=7, **{EXTRA: not before})
    scope.__enter__()
    contextvars.copy_context().run(scope.__exit__, None, None, None)
    compile_one()
    assert (lowered, getattr(config, EXTRA)) == ([5], before)


@pytest.mark.parametrize("decorated", [False, True])
def test_two_contexts_of_one_thread_share_a_scope(
    decorated: bool, no_trace: Snapshot, recwarn: pytest.WarningsRecorder
) -> None:
    """As trio's tasks under one decorated coroutine, callbacks with `context=`, greenlets."""
    before = getattr(config, EXTRA)
    scope = io.override(min_sms=7, **{EXTRA: not before})

    async def step() -> tuple[object, object]:
        await go_on()
        return getattr(config, OPTION), getattr(config, EXTRA)

    @types.coroutine
    def go_on() -> Generator[None, None, None]:
        yield

    async def in_scope() -> tuple[object, object]:
        with scope:
            return await step()

    first, second = contextvars.copy_context(), contextvars.copy_context()
    run = scope(step) if decorated else in_scope
    one, two = run(), run()
    first.run(one.send, None)
    second.run(two.send, None)
    with pytest.raises(StopIteration) as done:
        first.run(one.send, None)
    assert done.value.value == (7, not before)
    assert second.run(io.status).min_sms == 7
    with pytest.raises(StopIteration) as done:
        second.run(two.send, None)
    assert done.value.value == (7, not before)
    assert [first.run(getattr, config, EXTRA), second.run(getattr, config, EXTRA)] == [before] * 2
    assert [w for w in recwarn if w.category is RuntimeWarning] == []
    assert no_trace.differences() == []


def test_status_in_a_copied_context_changes_nothing(no_trace: Snapshot) -> None:
    before = getattr(config, EXTRA)
    io.enable(min_sms=5)
    with io.override(min_sms=7, **{EXTRA: not before}):
        copied = contextvars.copy_context()
    held = copied.run(getattr, config, EXTRA)
    assert copied.run(io.status).min_sms == 5
    assert copied.run(getattr, config, EXTRA) == held


def test_a_log_handler_may_wait_for_another_thread(ask: Callable[[], bool]) -> None:
    """It is a stranger's code: nothing is logged while a lock of the package is held."""
    stuck = []

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            thread = threading.Thread(target=io.enable, args=(3,), daemon=True)
            thread.start()
            thread.join(20)
            stuck.append(thread.is_alive())

    logger, handler, stock = logging.getLogger("inductor_override"), Waits(), utils.is_big_gpu

    def someones(*args: object) -> bool:
        return True

    logger.addHandler(handler)
    try:
        utils.is_big_gpu = someones
        with io.override(min_sms=29):
            assert ask() is False
    finally:
        logger.removeHandler(handler)
        utils.is_big_gpu = stock
    assert set(stuck) == {False}


def test_a_compile_in_another_thread_outlasts_the_last_scope(
    lowered: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compile that began with the option in the config must not find it gone."""
    before = Snapshot()
    compiling, go_on = threading.Event(), threading.Event()
    lower, after, failed = GraphLowering.run, [], []

    def function(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    def slow_lowering(self: GraphLowering, *args: object) -> object:
        compiling.set()
        assert go_on.wait(60)
        after.append(hasattr(config, OPTION))
        return lower(self, *args)

    def compile_it(**how: object) -> None:
        try:
            torch.compile(function, **how)(torch.randn(4, 4))
        except Exception as error:
            failed.append(error)

    monkeypatch.setattr(GraphLowering, "run", slow_lowering)
    for how in ({}, {"options": io.options(min_sms=987)}):
        torch._dynamo.reset()
        with contextlib.ExitStack() as stack:
            stack.enter_context(io.override(min_sms=986))
            thread = threading.Thread(target=compile_it, kwargs=how)
            thread.start()
            assert compiling.wait(120)
        io.disable()
        assert hasattr(config, OPTION)
        go_on.set()
        thread.join(120)
        compiling.clear()
        go_on.clear()
    assert (failed, after) == ([], [True, True])
    assert before.differences() == []
