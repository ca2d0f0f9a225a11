"""A backward graph is compiled with the values of its forward graph, whenever and wherever.

AOTAutograd compiles it at the first backward pass: maybe after the scope, maybe in another thread.
What torch had compiled early, with its caches on, has those values anyway.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
import torch._inductor.compile_fx
import torch._inductor.config as config
import torch._inductor.utils as utils
from conftest import InThread, WithinCompileFx
from internals import CONSUMER
from this_torch import HAS_AOT_CACHE, HOOKS_GRAPHS
from torch._inductor.graph import GraphLowering

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
COMPILE_FX = torch._inductor.compile_fx.compile_fx  # torch's own: no hook is on it yet


def forward(**how: Any) -> torch.Tensor:
    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    torch._dynamo.reset()
    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    return torch.compile(function, **how)(x, w)


Late = tuple[Any, ...]
"""An output, the value that its backward graph has to have, and the scopes that are open."""


def backward(out: torch.Tensor) -> None:
    out.backward(torch.ones_like(out))


def late_backwards() -> list[Callable[[], Late]]:
    def after_the_scope() -> Late:
        with io.override(min_sms=7):
            out = forward()
        return out, 7

    def options_taken_back() -> Late:
        out = forward(options=io.options(min_sms=7))
        io.disable()
        return out, 7

    def options_in_a_scope_taken_back() -> Late:
        with io.override(min_sms=3):
            out = forward(options=io.options(min_sms=7))
        io.disable()
        return out, 7

    def the_scope_is_open() -> Late:
        scope = io.override(min_sms=7)
        scope.__enter__()
        return forward(), 7, scope

    def in_a_scope_of_its_own() -> Late:
        with io.override(min_sms=7):
            out = forward()
        scope = io.override(min_sms=3)
        scope.__enter__()
        return out, 7, scope

    def enabled_and_disabled() -> Late:
        io.enable(min_sms=7)
        out = forward()
        io.disable()
        return out, 7

    def enabled_with_another_value_since() -> Late:
        io.enable(min_sms=7)
        out = forward()
        io.enable(min_sms=9)
        return out, 7

    def enabled_in_a_scope_since() -> Late:
        io.enable(min_sms=7)
        scope = io.override(min_sms=3)
        out = forward()
        scope.__enter__()
        return out, 7, scope

    def torch_decided_in_a_scope_since() -> Late:
        io.enable()
        scope = io.override(min_sms=3)
        out = forward()
        scope.__enter__()
        return out, -1, scope

    def torchs_patch_in_a_scope() -> Late:
        with io.override(min_sms=3), config.patch({OPTION: 7}):
            return forward(), 7

    return [
        after_the_scope,
        enabled_and_disabled,
        enabled_with_another_value_since,
        enabled_in_a_scope_since,
        torch_decided_in_a_scope_since,
        torchs_patch_in_a_scope,
        options_taken_back,
        options_in_a_scope_taken_back,
        the_scope_is_open,
        in_a_scope_of_its_own,
    ]


@pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")
@pytest.mark.parametrize("where", ["here", "in another thread"])
@pytest.mark.parametrize("case", late_backwards(), ids=lambda case: case.__name__)
def test_a_backward_graph_has_the_value_of_its_forward_graph(
    lowered: list[int | None], case: Callable[[], Late], where: str, in_thread: InThread
) -> None:
    """CUDA backwards run in autograd's threads, which from 2.12 on have none of our values."""
    out, expected, *scopes = case()
    torch._dynamo.reset()
    if where == "here":
        backward(out)
    else:
        in_thread(lambda: backward(out))
    for scope in scopes:
        scope.__exit__(None, None, None)
    assert lowered == [expected] * 2
    io.disable()
    assert not io.status().installed


def test_a_late_backward_leaves_nothing_behind_in_its_thread(
    lowered: list[int | None], in_thread: InThread
) -> None:
    before = config.epilogue_fusion
    with io.override(min_sms=7, epilogue_fusion=not before):
        out = forward()
    seen = []

    def there() -> None:
        backward(out)
        seen.append((hasattr(config, OPTION), config.epilogue_fusion))

    in_thread(there)
    assert seen == [(False, before)]
    assert lowered == [7, 7]


def test_a_recompile_after_disable_says_which_option_is_gone(lowered: list[int | None]) -> None:
    """A model that was given options(...) asks for the option each time that it compiles."""
    compiled = torch.compile(lambda x: x @ x, options=io.options(min_sms=7), dynamic=False)
    compiled(torch.randn(4, 4))
    io.disable()
    with pytest.raises(Exception, match=OPTION):
        compiled(torch.randn(5, 5))
    io.enable()
    compiled(torch.randn(6, 6))
    assert lowered == [7, 7]


@pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")
@pytest.mark.skipif(not HAS_AOT_CACHE, reason="the AOTAutograd cache came with torch 2.6")
@pytest.mark.parametrize("where", ["here", "in another thread"])
def test_a_backward_graph_of_a_stock_forward_graph_is_torchs(
    lowered: list[int | None], where: str, in_thread: InThread
) -> None:
    """torch's cache would serve it to stock compiles for ever."""
    out = forward()
    with io.override(min_sms=3):
        if where == "here":
            backward(out)
        else:
            in_thread(lambda: backward(out))
    assert lowered == [None, -1]


@pytest.mark.skipif(not HOOKS_GRAPHS, reason="_compile_fx_inner, which is hooked, came with 2.6")
@pytest.mark.parametrize("where", ["here", "in another thread"])
def test_compile_fx_imported_by_name_before_the_hook(
    lowered: list[int | None], where: str, in_thread: InThread
) -> None:
    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    torch._dynamo.reset()
    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    with io.override(min_sms=7) as scope:
        out = torch.compile(function, backend=COMPILE_FX)(x, w)
        assert scope.graphs_compiled == 1
        if where == "here":
            backward(out)
        else:
            in_thread(lambda: backward(out))
    assert lowered == [7, 7]


def test_what_torch_patches_in_compile_fx_is_not_undone(
    monkeypatch: pytest.MonkeyPatch, lowered: list[int | None], within_compile_fx: WithinCompileFx
) -> None:
    """It switches CUDA graphs off for the C++ wrapper, for one; a scope may have them on."""
    name, seen, run = "triton.cudagraphs", [], GraphLowering.run

    def observed(self: GraphLowering, *args: object) -> object:
        seen.append(config.triton.cudagraphs)
        return run(self, *args)

    monkeypatch.setattr(GraphLowering, "run", observed)
    within_compile_fx(lambda: config.patch({name: True}))
    with io.override(min_sms=7, **{name: False}):
        forward()
    assert seen == [True]


def test_a_late_backward_has_what_torch_patched_around_a_second_call_of_compile_fx(
    monkeypatch: pytest.MonkeyPatch, lowered: list[int | None]
) -> None:
    """So torch comes back for its C++ wrapper, whose CUDA graphs it switches off."""
    name, seen = "triton.cudagraphs", []
    module, real, run = torch._inductor.compile_fx, COMPILE_FX, GraphLowering.run

    def twice(
        model: object,
        inputs: object,
        inner_compile: object = module.compile_fx_inner,
        *args: object,
        **kwargs: object,
    ) -> object:
        if config.triton.cudagraphs:
            with config.patch({name: False}):
                return module.compile_fx(model, inputs, inner_compile, *args, **kwargs)
        return real(model, inputs, inner_compile, *args, **kwargs)

    def observed(self: GraphLowering, *args: object) -> object:
        seen.append(config.triton.cudagraphs)
        return run(self, *args)

    monkeypatch.setattr(module, "compile_fx", twice)
    monkeypatch.setattr(GraphLowering, "run", observed)
    with io.override(min_sms=7, **{name: True}):
        out = forward()
    backward(out)
    assert set(seen) == {False}


def test_someone_elses_compile_fx(
    monkeypatch: pytest.MonkeyPatch, lowered: list[int | None]
) -> None:
    def theirs(*args: object, **kwargs: object) -> object:
        return COMPILE_FX(*args, **kwargs)

    monkeypatch.setattr(torch._inductor.compile_fx, "compile_fx", theirs)
    with io.override(min_sms=7):
        out = forward()
    backward(out)
    assert lowered == [7, 7]


def test_the_gate_is_assigned_between_forward_and_backward(
    lowered: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as assigned:
        io.enable(min_sms=7)
        out = forward()
        assigned.setattr(utils, "is_big_gpu", lambda *args: True)
        assert not io.status().live
        backward(out)
        assert io.status().live
        assert lowered == [7, 7]
    io.disable()


@pytest.mark.parametrize("value", [-1, 7])
def test_a_torch_that_has_changed_since_fails_no_backward(
    lowered: list[int | None], caplog: pytest.LogCaptureFixture, value: int
) -> None:
    """Someone has replaced what asks the gate, so that the hooks cannot be put on."""
    if value == -1:
        io.enable()
    else:
        io.enable(min_sms=value)
    out = forward()
    io.disable()

    def never(*args: object, **kwargs: object) -> bool:
        return False

    with mock.patch.object(utils, CONSUMER, never):
        backward(out)
    assert lowered == [value, None]
    said = [r.getMessage() for r in caplog.records if r.name == "inductor_override"]
    assert len([s for s in said if "a backward graph is compiled without" in s]) == (value == 7)


@pytest.mark.skipif(not HOOKS_GRAPHS, reason="_compile_fx_inner, which is hooked, came with 2.6")
def test_a_backward_graph_whose_forward_graph_is_not_inductors_is_torchs_and_says_so(
    lowered: list[int | None], caplog: pytest.LogCaptureFixture
) -> None:
    from functools import partial

    from torch._dynamo.backends.common import aot_autograd
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.decomposition import select_decomp_table

    backend = aot_autograd(
        fw_compiler=lambda model, inputs: model.forward,
        bw_compiler=partial(compile_fx_inner, is_backward=True),
        decompositions=select_decomp_table(),
    )
    for _ in range(2):
        with pytest.warns(io.NoEffectWarning), io.override(min_sms=7):
            backward(forward(backend=backend))
    assert lowered == [-1, -1]
    assert caplog.text.count("a backward graph is compiled as torch decides") == 1


def test_a_late_backward_in_a_context_that_was_copied_in_the_scope(
    lowered: list[int | None],
) -> None:
    io.enable(min_sms=5)
    with io.override(min_sms=7):
        out = forward()
        copied = contextvars.copy_context()
    copied.run(backward, out)
    assert lowered == [7, 7]
