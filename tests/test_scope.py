"""The scope as its user meets it: decorator, counters, warnings."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import pickle
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
import torch
import torch._inductor.config as config
import torch._inductor.utils as utils
from conftest import Snapshot, WithinCompileFx
from this_torch import GATE_TAKES_DEVICE, HAS_FX_CACHE, HAS_GEMM_BACKENDS, RELEASE

import inductor_override as io
from inductor_override import NoEffectWarning

quiet = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


# The decorator -----------------------------------------------------------------------------


@quiet
def test_it_decorates_functions_and_coroutine_functions(ask: Callable[[], bool]) -> None:
    @io.override(min_sms=0)
    def plain(x: int, *, y: int) -> tuple[int, bool]:
        "doc"
        return x + y, ask()

    @io.override(min_sms=0)
    async def coroutine(x: int) -> tuple[int, bool]:
        await asyncio.sleep(0)
        return x, ask()

    assert plain(1, y=2) == (3, True)
    assert (plain.__name__, plain.__doc__) == ("plain", "doc")
    assert coroutine.__name__ == "coroutine"
    assert asyncio.iscoroutinefunction(coroutine)
    assert asyncio.run(coroutine(5)) == (5, True)
    assert ask() is False


@quiet
def test_a_decorated_method_and_a_recursive_function(ask: Callable[[], bool]) -> None:
    class Thing:
        @io.override(min_sms=0)
        def method(self, depth: int) -> bool:
            return ask() if depth == 0 else self.method(depth - 1)

    assert Thing().method(3) is True
    assert ask() is False


@quiet
def test_a_static_and_a_class_method_are_decorated_above_and_below(ask: Callable[[], bool]) -> None:
    class Thing:
        @io.override(min_sms=0)
        @staticmethod
        def static_below(x: int) -> tuple[int, bool]:
            return x, ask()

        @staticmethod
        @io.override(min_sms=0)
        def static_above(x: int) -> tuple[int, bool]:
            return x, ask()

        @io.override(min_sms=0)
        @classmethod
        def of_class(cls, x: int) -> tuple[type, int, bool]:
            return cls, x, ask()

    for owner in (Thing, Thing()):
        assert owner.static_below(1) == owner.static_above(1) == (1, True)
        assert owner.of_class(1) == (Thing, 1, True)
    assert ask() is False


@quiet
def test_a_copy_is_a_scope_of_its_own(ask: Callable[[], bool]) -> None:
    scope = io.override(min_sms=0, isolate=True, max_autotune=True)
    for again in (copy.deepcopy(scope), pickle.loads(pickle.dumps(scope))):
        assert repr(again) == repr(scope)
        with again:
            assert ask() is True
    with scope:
        with copy.copy(scope):
            assert ask() is True
        assert ask() is True
    assert ask() is False


def test_a_generator_without_a_name_is_refused_with_the_message() -> None:
    def generator(n: int) -> Iterator[int]:
        yield n

    with pytest.raises(TypeError, match="is a generator"):
        io.override()(functools.partial(generator, 1))


def test_what_cannot_be_decorated_says_what_to_do() -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def agenerator() -> AsyncIterator[int]:
        yield 1

    for bad in (generator, agenerator):
        with pytest.raises(TypeError, match="Open it inside"):
            io.override(min_sms=0)(bad)
    with pytest.raises(TypeError, match="makes a context manager"):
        io.override(min_sms=0)(contextlib.contextmanager(generator))
    for bad in (torch.nn.Linear(1, 1), torch.nn.Linear):
        with pytest.raises(TypeError, match="options"):
            io.override(min_sms=0)(bad)


# Counting and warning ----------------------------------------------------------------------


def test_a_graph_that_is_compiled_is_counted_and_nothing_is_said(
    compiled: Callable[..., Any],
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoEffectWarning)
        with io.override(min_sms=0) as scope:
            compiled()
            assert scope.graphs_compiled == 1
            compiled(options={"max_autotune": True})
        assert scope.graphs_compiled == 2


def test_a_function_that_is_compiled_already_has_no_effect() -> None:
    torch._dynamo.reset()
    function = torch.compile(lambda x: x @ x)
    function(torch.ones(3, 3))
    with pytest.warns(NoEffectWarning):
        with io.override(min_sms=0):
            function(torch.ones(3, 3))


def test_a_scope_that_is_entered_again_is_judged_by_that_time_alone(
    compiled: Callable[..., Any],
) -> None:
    scope = io.override(min_sms=0)
    with scope:
        compiled()
        compiled()
    with pytest.warns(NoEffectWarning), scope:
        pass
    assert scope.graphs_compiled == 2


def test_an_exception_is_not_talked_over() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyError), io.override(min_sms=0):
            raise KeyError


def test_a_warning_turned_into_an_error_leaves_no_trace(no_trace: Snapshot) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoEffectWarning)
        with pytest.raises(NoEffectWarning):
            with io.override(min_sms=0):
                pass
    assert no_trace.differences() == []


def test_a_decorated_function_may_compile_only_at_its_first_call() -> None:
    torch._dynamo.reset()
    model = torch.compile(lambda x: x @ x)

    @io.override(min_sms=0)
    def step() -> None:
        model(torch.ones(3, 3))

    with warnings.catch_warnings():
        warnings.simplefilter("error", NoEffectWarning)
        step()
        step()


def test_why_nothing_asked_the_gate_is_said_once(
    compiled: Callable[..., Any], ask: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    def said() -> list[str]:
        return [r.getMessage() for r in caplog.records if r.name == "inductor_override"]

    for _ in range(2):
        with io.override(min_sms=0):
            compiled()
    (sentence,) = said()
    assert "none with max-autotune" in sentence
    caplog.clear()
    for _ in range(2):
        with io.override(min_sms=0):
            compiled(options={"max_autotune": True})
    (sentence,) = said()
    assert "graphs were compiled, all with inputs on the CPU" in sentence
    caplog.clear()
    with io.override(min_sms=0):
        compiled(options={"max_autotune": True})
        ask()
    assert said() == []


def in_a_scope(function: Callable[[], object], **how: Any) -> io.Scope:
    with io.override(min_sms=0, **how) as scope:
        function()
    return scope


def isolated(function: Callable[[], object]) -> io.Scope:
    return in_a_scope(function, isolate=True)


def with_an_option(function: Callable[[], object]) -> io.Scope:
    return in_a_scope(function, epilogue_fusion=not config.epilogue_fusion)


def nested(function: Callable[[], object]) -> io.Scope:
    with io.override(min_sms=3):
        return in_a_scope(function)


def decorated(function: Callable[[], object]) -> None:
    io.override(min_sms=0, epilogue_fusion=not config.epilogue_fusion)(function)()


def broken(*args: object, **kwargs: object) -> None:
    raise ArithmeticError("not today")


def fails() -> None:
    torch._dynamo.reset()
    # A size of its own: torch's caches on disk may have the code of another test's graph.
    torch.compile(lambda x: x @ x)(torch.ones(37, 37))


@pytest.mark.parametrize("how", [in_a_scope, isolated, with_an_option, nested, decorated])
def test_a_graph_that_fails_to_compile_leaves_everything_restored(
    how: Callable[[Callable[[], object]], object],
    no_trace: Snapshot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch._inductor.graph.GraphLowering.run", broken)
    with pytest.raises(Exception, match="not today"):  # torch wraps it in its own error
        how(fails)
    monkeypatch.undo()
    assert no_trace.differences() == []


def test_a_graph_that_fails_to_compile_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._inductor.graph.GraphLowering.run", broken)
    with pytest.raises(Exception, match="not today"), io.override(min_sms=0) as scope:
        fails()
    assert scope.graphs_compiled == 0


@pytest.mark.skipif(
    not HAS_FX_CACHE or RELEASE == (2, 7),
    reason="torch 2.0 to 2.2 and 2.7 cannot compile within a compile: their timers are in the way",
)
def test_a_compile_within_a_compile_counts_for_its_own_scope(
    lowered: list[int | None], within_compile_fx: WithinCompileFx
) -> None:
    """A custom pass may compile something; layers of options of one compile are not two graphs."""
    inner: list[io.Scope] = []

    @contextmanager
    def compiles_too() -> Iterator[None]:
        if not inner:
            with io.override(min_sms=9) as scope:
                inner.append(scope)
                torch.compile(lambda x: x @ x)(torch.ones(3, 3))
        yield

    within_compile_fx(compiles_too)
    with io.override(min_sms=7) as outer:
        torch.compile(lambda x: x @ x, options={"shape_padding": False})(torch.ones(4, 4))
    assert (outer.graphs_compiled, inner[0].graphs_compiled) == (1, 1)
    assert lowered == [9, 7]


@quiet
def test_repr_reads_like_the_call() -> None:
    scope = io.override(min_sms=3, isolate=True, max_autotune=True)
    assert repr(scope) == "override(min_sms=3, isolate=True, max_autotune=True)"


@quiet
def test_torchs_own_patch_between_two_scopes_comes_back() -> None:
    with io.override(min_sms=1, epilogue_fusion=True):
        with config.patch({"max_autotune_gemm_min_sms": 5, "epilogue_fusion": False}):
            with io.override(min_sms=2, epilogue_fusion=True):
                pass
            assert config.max_autotune_gemm_min_sms == 5
            assert config.epilogue_fusion is False
        assert config.max_autotune_gemm_min_sms == 1
        assert config.epilogue_fusion is True


def test_enable_after_one_models_options_were_in_force(compiled: Callable[..., Any]) -> None:
    """At its end torch's patch assigns what it found: that is no one's wish."""
    compiled(options=io.options(min_sms=3))
    io.enable(min_sms=7)
    assert config.max_autotune_gemm_min_sms == 7


def test_a_decorated_function_counts_for_its_scope(compiled: Callable[..., Any]) -> None:
    scope = io.override(min_sms=0)
    step: Callable[[], object] = scope(lambda: compiled())
    step()
    assert scope.graphs_compiled == 1
    step()
    assert scope.graphs_compiled == 2
    assert cast(Any, step).scope is scope


def test_a_list_of_backends_without_triton_is_said(
    compiled: Callable[..., Any], ask: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    """The gate is open then, and nothing comes of it."""
    if not HAS_GEMM_BACKENDS:
        pytest.skip("torch 2.0 has no list of backends")
    with io.override(min_sms=0, max_autotune_gemm_backends="ATEN", max_autotune=True) as scope:
        compiled()
        ask()
    assert scope.passed == 1
    assert "max_autotune_gemm_backends names no TRITON" in caplog.text
    assert "max_autotune_gemm_backends names no TRITON" in str(scope.report().cause)


def test_a_question_without_max_autotune_is_told_too(
    ask: Callable[[], bool], compiled: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    """torch 2.6 to 2.13 ask the gate in every mode."""
    with io.override(min_sms=0) as scope:
        compiled()
        assert ask() is True
    assert "none with max-autotune, so nothing was tuned" in caplog.text
    assert scope.report().cause is not None


def test_a_question_alone_is_no_graph(
    ask: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    with io.override(min_sms=0):
        ask()
    assert "graphs were compiled" not in caplog.text


def test_a_process_wide_threshold_is_said_where_it_decides(
    ask: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    io.enable(min_sms=28)
    for _ in range(2):
        assert ask() is True
    assert caplog.text.count("set for the whole process by enable()") == 1
    assert "inductor-override: GPU" in caplog.text


def test_a_threshold_that_nobody_has_set_for_the_process_is_not_said(
    ask: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    io.options(min_sms=28, max_autotune=True)
    with config.patch(max_autotune_gemm_min_sms=28):
        assert ask() is True
    io.enable(min_sms=28)
    with io.override(min_sms=0):
        assert ask() is True
    assert "set for the whole process" not in caplog.text


def test_the_threshold_that_would_help_is_said(
    device: object, set_sms: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    with io.override(min_sms=29):
        if not GATE_TAKES_DEVICE:
            assert utils.is_big_gpu(index=0) is False
        else:
            assert utils.is_big_gpu(index_or_device=torch.device("cuda", 1)) is False
            assert "GPU cuda:1 has 28 SMs" in caplog.text
    assert "Set the option to 28 or less" in caplog.text


def test_another_option_for_enable_is_refused_with_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"torch._inductor.config.max_autotune = True"):
        io.enable(max_autotune=True)


def test_representations_are_short() -> None:
    scope = io.override(min_sms=0, epilogue_fusion=False)
    with scope:
        assert repr(io.status()) == "<inductor_override status: on: every GPU passes>"
        assert "<table>" in io.status()._repr_html_()
    assert repr(scope) == "override(min_sms=0, epilogue_fusion=False)"
    assert "0 graphs compiled" in scope._repr_html_()
