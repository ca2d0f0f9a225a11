"""Afterwards torch is as it was: object by object, option by option."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
import operator
import os
import sys
import threading
from types import FrameType

import pytest
import torch
import torch._inductor.config as config
from conftest import RELEASE, Snapshot
from torch._inductor.graph import GraphLowering

import inductor_override as inductor_override_package
import inductor_override as io
from inductor_override import patches
from inductor_override._installation import installation
from inductor_override._store_reads import WholeReads

OPTION = "max_autotune_gemm_min_sms"
EXTRA = "epilogue_fusion"  # a plain bool in every release
pytestmark = [
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
    pytest.mark.filterwarnings("ignore:.*nothing refers to it:RuntimeWarning"),
]


def depth(function: object) -> int:
    """How many of wrapt's layers lie on a function; torch's own functools layers do not count."""
    import wrapt

    count = 0
    while isinstance(function, (wrapt.FunctionWrapper, wrapt.ObjectProxy)):
        count, function = count + 1, function.__wrapped__
    return count


def patched() -> list[object]:
    rows = patches.serving(RELEASE).TARGETS
    owners = [sys.modules[row.owner] for row in rows]
    return [vars(o)[patches.find_target(row, o)] for row, o in zip(rows, owners, strict=True)]


def test_one_layer_while_it_is_open_none_before_and_after(no_trace):
    assert {depth(f) for f in patched()} == {0}
    with io.override(min_sms=0):
        assert {depth(f) for f in patched()} == {1}
        with io.override(min_sms=1):
            assert {depth(f) for f in patched()} == {1}
        assert {depth(f) for f in patched()} == {1}
    assert {depth(f) for f in patched()} == {0}
    assert no_trace.differences() == []


def test_an_exception_restores_all(no_trace):
    with pytest.raises(ZeroDivisionError), io.override(min_sms=0, **{EXTRA: False}):
        with io.override(min_sms=1):
            raise ZeroDivisionError
    assert no_trace.differences() == []


def test_an_option_that_nobody_had_set_is_unset_again():
    if RELEASE < (2, 6):
        pytest.skip("before torch 2.6 there is no difference between unset and set to the default")
    from torch.utils import _config_module

    entry = config._config["max_autotune_gemm_backends"]
    unset = _config_module._UNSET_SENTINEL
    if RELEASE >= (2, 12):
        read = entry.user_override.get
        entry.user_override.set(unset)  # whatever an earlier test has left, see `config.patch`
    else:
        entry.user_override = unset

        def read():
            return entry.user_override

    with io.override(min_sms=0, max_autotune_gemm_backends="TRITON"):
        assert read() == "TRITON"
    assert read() is unset


def test_a_value_that_the_user_had_set_comes_back():
    before = getattr(config, EXTRA)
    with config.patch({EXTRA: False}):
        with io.override(min_sms=0, **{EXTRA: True}):
            assert getattr(config, EXTRA) is True
        assert getattr(config, EXTRA) is False
    assert getattr(config, EXTRA) is before


def test_exits_in_any_order(no_trace):
    one, two, three = (io.override(min_sms=n) for n in (1, 2, 3))
    one.__enter__()
    two.__enter__()
    three.__enter__()
    assert getattr(config, OPTION) == 3
    two.__exit__(None, None, None)
    assert getattr(config, OPTION) == 3
    three.__exit__(None, None, None)
    assert getattr(config, OPTION) == 1
    one.__exit__(None, None, None)
    assert no_trace.differences() == []


def test_extra_options_in_any_order(no_trace):
    before = getattr(config, EXTRA)
    one = io.override(min_sms=1, **{EXTRA: not before})
    two = io.override(min_sms=2)
    three = io.override(min_sms=3, **{EXTRA: before})
    for scope in (one, two, three):
        scope.__enter__()
    one.__exit__(None, None, None)
    assert getattr(config, EXTRA) is before
    assert getattr(config, OPTION) == 3
    three.__exit__(None, None, None)
    assert getattr(config, EXTRA) is before
    assert getattr(config, OPTION) == 2
    two.__exit__(None, None, None)
    assert no_trace.differences() == []


def test_the_end_of_an_older_scope_leaves_what_rules_alone():
    older, younger = io.override(min_sms=1), io.override(min_sms=2)
    older.__enter__()
    younger.__enter__()
    with config.patch({OPTION: 9}):
        older.__exit__(None, None, None)
        assert getattr(config, OPTION) == 9
    assert getattr(config, OPTION) == 2
    younger.__exit__(None, None, None)


def test_one_scope_object_can_be_nested_and_used_again(ask, no_trace):
    scope = io.override(min_sms=0)
    for _ in range(2):
        with scope:
            with scope:
                assert ask() is True
            assert ask() is True
        assert ask() is False
    assert scope.consulted == 4
    assert no_trace.differences() == []


def test_leaving_a_scope_that_is_not_open_is_an_error():
    with pytest.raises(RuntimeError, match="is not open"):
        io.override(min_sms=0).__exit__(None, None, None)


def test_scopes_of_two_threads_overlap(no_trace):
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
        "a, both in": 1 if RELEASE >= (2, 12) else 2,
        "b, alone": 2,
        "live": True,
        "b, after": before,
    }
    assert no_trace.differences() == []


def test_interleaved_coroutines(no_trace):
    seen: dict[str, list[int]] = {"a": [], "b": []}

    async def task(name: str, value: int, turns: int) -> None:
        with io.override(min_sms=value):
            for _ in range(turns):
                await asyncio.sleep(0)
                seen[name].append(getattr(config, OPTION))

    async def main() -> None:
        await asyncio.gather(task("a", 1, 2), task("b", 2, 5))

    asyncio.run(main())
    if RELEASE >= (2, 12):
        assert seen == {"a": [1, 1], "b": [2] * 5}
    else:
        assert seen["b"][-1] == 2
    assert no_trace.differences() == []


def test_a_task_that_outlives_the_scope_it_was_started_in(no_trace):
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


def compile_one() -> None:
    torch._dynamo.reset()
    torch.compile(lambda x: x @ x)(torch.randn(4, 4))


def test_a_context_copied_in_a_scope_that_has_ended(lowered):
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


@pytest.mark.skipif(RELEASE < (2, 12), reason="until 2.11 there is one context")
def test_leaving_a_scope_in_a_copied_context_is_said(lowered):
    before = getattr(config, EXTRA)
    io.enable(min_sms=5)
    scope = io.override(min_sms=7, **{EXTRA: not before})
    scope.__enter__()
    with pytest.warns(RuntimeWarning, match="Leave a scope where it was entered"):
        contextvars.copy_context().run(scope.__exit__, None, None, None)
    compile_one()
    assert (lowered, getattr(config, EXTRA)) == ([5], before)


class Interrupted(BaseException):
    """As a KeyboardInterrupt."""


@pytest.mark.parametrize(
    "where",
    [
        ("_open_scopes.OpenScopes", "__init__"),
        ("_hooks.Hook", "attach"),
        ("_gate.Gate", "__init__"),
        ("_gate.Gate", "close"),
        ("_hooks.Hook", "detach"),
        ("_open_scopes.OpenScopes", "open"),
        ("_open_scopes.OpenScopes", "_set"),
        ("_open_scopes.OpenScopes", "settle"),
        ("_open_scopes.OpenScopes", "close"),
        ("_store_reads.WholeReads", "guard"),
        ("_store_reads.WholeReads", "unguard"),
    ],
    ids=lambda where: ".".join(where),
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_an_interrupt_within_a_step(where, after, monkeypatch, ask, no_trace):
    """Whatever step Ctrl-C comes in: `disable` makes it stock, and the next scope works."""
    owner = operator.attrgetter(where[0])(inductor_override_package)
    step, calls = getattr(owner, where[1]), []

    def interrupted(*args: object, **kwargs: object) -> object:
        calls.append(where)
        if len(calls) > 1:
            return step(*args, **kwargs)
        if after:
            step(*args, **kwargs)
        raise Interrupted

    monkeypatch.setattr(owner, where[1], interrupted)
    with contextlib.suppress(Interrupted), io.override(min_sms=0):
        pass
    monkeypatch.undo()
    assert calls
    io.disable()
    with io.override(min_sms=0):
        assert ask() is True
    assert ask() is False
    assert no_trace.differences() == []


def test_an_interrupt_at_any_line_of_entering_and_leaving(ask, no_trace):
    """Once for each line of the package that runs, as a Ctrl-C would come."""
    package = os.path.dirname(inductor_override_package.__file__)

    def interrupted_at(number: int) -> str:
        """Where it was, empty when there were fewer lines."""
        lines, where = 0, ""

        def trace(frame: FrameType, event: str, _: object) -> object:
            nonlocal lines, where
            if not frame.f_code.co_filename.startswith(package):
                return None
            if event == "line":
                lines += 1
                if lines == number:
                    sys.settrace(None)
                    where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
                    raise Interrupted
            return trace

        scope = io.override(min_sms=0, **{EXTRA: not before})
        sys.settrace(trace)
        try:
            with scope:
                pass
        except Interrupted:
            pass
        finally:
            sys.settrace(None)
        return where

    before = getattr(config, EXTRA)
    left: dict[str, list[str]] = {}
    for number in itertools.count(1):
        where = interrupted_at(number)
        if not where:
            break
        # A trace function can raise where no real interrupt comes: when a `with` block is left, and
        # its lock not yet.
        for lock in (installation.lock, WholeReads._lock):
            while lock._is_owned():
                lock.release()
        io.disable()
        with io.override(min_sms=0):
            assert ask() is True, where
        if no_trace.differences():
            gc.collect()  # the test's own trace function, a frame and the scope are a cycle
        if found := no_trace.differences():
            left[where] = found
            break
    assert number > 100
    assert left == {}


def test_two_interleaved_generators_in_one_thread(no_trace):
    def generator(value: int):
        with io.override(min_sms=value):
            yield getattr(config, OPTION)
            yield getattr(config, OPTION)

    one, two = generator(1), generator(2)
    assert [next(one), next(two)] == [1, 2]
    one.close()
    assert next(two) == 2
    two.close()
    assert no_trace.differences() == []


def test_leaving_in_another_thread_is_said_where_it_matters(in_thread, no_trace):
    scope = io.override(min_sms=0)
    in_thread(scope.__enter__)
    if RELEASE >= (2, 12):
        with pytest.warns(RuntimeWarning, match="entered in another thread"):
            scope.__exit__(None, None, None)
    else:
        scope.__exit__(None, None, None)
    assert no_trace.differences() == []


def test_a_key_that_someone_else_adds_meanwhile_stays():
    """torch_npu adds options of its own; they are not ours to remove."""
    name = "someone_elses_option"
    with io.override(min_sms=0):
        held = vars(config)
        held["_config"][name] = held["_config"][EXTRA]
    assert name in config._config
    assert OPTION not in config._config
    del config._config[name]


def test_a_failure_half_way_installs_nothing(monkeypatch, no_trace):
    """The second row cannot be wrapped: the first comes off again, and so does the option."""
    from inductor_override._hooks import Hook

    attach = Hook.attach

    def fails_for_consumer(self):
        if self.name.startswith(("use_triton", "_use_template")):
            raise RuntimeError("no")
        return attach(self)

    monkeypatch.setattr(Hook, "attach", fails_for_consumer)
    with pytest.raises(RuntimeError, match=r"^no$"):
        io.enable(min_sms=0)
    assert not installation.installed
    assert no_trace.differences() == []


def test_it_waits_for_a_compile_in_another_thread(no_trace, monkeypatch):
    """A compile that began with the option in the config must not find it gone."""
    compiling, go_on = threading.Event(), threading.Event()
    after: list[bool] = []

    def function(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    lower = GraphLowering.run

    def slow_lowering(self: GraphLowering, *args: object) -> object:
        compiling.set()
        assert go_on.wait(60)
        after.append(hasattr(config, OPTION))
        return lower(self, *args)

    monkeypatch.setattr(GraphLowering, "run", slow_lowering)

    def compile_it() -> None:
        torch.compile(function)(torch.randn(4, 4))

    torch._dynamo.reset()
    with contextlib.ExitStack() as stack:
        stack.enter_context(io.override(min_sms=0))
        thread = threading.Thread(target=compile_it)
        thread.start()
        assert compiling.wait(120)
    assert hasattr(config, OPTION)
    go_on.set()
    thread.join(120)
    assert after == [True]
    torch._dynamo.reset()
    assert no_trace.differences() == []


def test_snapshot_sees_a_trace():
    """The oracle of this file is no rubber stamp."""
    before = Snapshot()
    io.enable(min_sms=0)
    assert len(before.differences()) >= 2
    io.disable()
    assert before.differences() == []
