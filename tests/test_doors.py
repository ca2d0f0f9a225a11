"""All the doors to Inductor: what was asked for holds where the graph is lowered, or it is said.

What is observed is the option's value at each lowering; the gate itself is asked on a GPU only.
"""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._inductor.compile_fx
import torch._inductor.config as config
from this_torch import (
    HAS_AOTI_PACKAGES,
    HAS_COMPILED_AUTOGRAD,
    HAS_REGIONAL_INDUCTOR,
    HAS_STANDALONE_COMPILE,
)

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"


def forward(**how: Any) -> torch.Tensor:
    def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return x @ w

    torch._dynamo.reset()
    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    return torch.compile(function, **how)(x, w)


def backward(out: torch.Tensor) -> None:
    out.backward(torch.ones_like(out))


@pytest.mark.parametrize(
    "how",
    [{"mode": "max-autotune"}, {"options": {"shape_padding": False}}, {"dynamic": True}],
    ids=["mode", "options", "dynamic"],
)
def test_ways_to_call_torch_compile(lowered: list[int | None], how: dict[str, Any]) -> None:
    with io.override(min_sms=7):
        backward(forward(**how))
    assert set(lowered) == {7}


def test_a_module_and_one_whose_forward_is_decorated(lowered: list[int | None]) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x

    class Decorated(torch.nn.Module):
        @io.override(min_sms=7)
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x

    with io.override(min_sms=7):
        torch.compile(Model())(torch.randn(4, 4))
    torch.compile(Decorated())(torch.randn(4, 4))
    assert lowered == [7, 7]


def test_torch_compile_above_and_below_the_decorator(lowered: list[int | None]) -> None:
    @torch.compile
    @io.override(min_sms=7)
    def above(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    @io.override(min_sms=8)
    @torch.compile(fullgraph=True)
    def below(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    for _ in range(2):
        above(torch.randn(4, 4))
        below(torch.randn(4, 4))
    assert lowered == [7, 8]
    assert not io.status().installed


def test_fullgraph_above_the_decorator_works_or_is_refused_by_torch(
    lowered: list[int | None],
) -> None:
    """Dynamo cannot trace a scope; once it has noted that, it steps over the decorator."""

    @torch.compile(fullgraph=True)
    @io.override(min_sms=7)
    def above(x: torch.Tensor) -> torch.Tensor:
        return x @ x

    refused = ""
    try:
        above(torch.randn(4, 4))
    except Exception as error:
        refused = str(error)
    assert lowered == [7] or refused
    assert not io.status().installed


def test_a_scope_inside_a_compiled_function_is_never_silently_without_effect(
    lowered: list[int | None], recwarn: pytest.WarningsRecorder
) -> None:
    @torch.compile
    def function(x: torch.Tensor) -> torch.Tensor:
        with io.override(min_sms=7):
            return x @ x

    function(torch.randn(4, 4))
    said = [w for w in recwarn if w.category is io.NoEffectWarning]
    assert lowered == [7] or said
    assert not io.status().installed


def graph() -> torch.fx.GraphModule:
    return torch.fx.symbolic_trace(lambda x: (x @ x,))


@pytest.mark.skipif(not HAS_STANDALONE_COMPILE, reason="standalone_compile came with torch 2.8")
def test_standalone_compile(lowered: list[int | None]) -> None:
    """The door that vLLM uses; its config patches come under the name config_patches."""
    from torch._inductor import standalone_compile

    x = [torch.randn(4, 4)]
    io.enable()
    standalone_compile(graph(), x, options={"config_patches": io.options(min_sms=7)})
    with config.patch({OPTION: 8}):
        standalone_compile(graph(), x, options={})
    with io.override(min_sms=9):
        standalone_compile(graph(), x, options={})
    assert lowered == [7, 8, 9]


@pytest.mark.skipif(not HAS_AOTI_PACKAGES, reason="aoti_compile_and_package came with torch 2.6")
def test_aoti_compile_and_package(lowered: list[int | None], tmp_path: Path) -> None:
    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x @ x

    def package(name: str, how: dict[str, Any]) -> set[int | None]:
        if "aot_inductor.package_cpp_only" in config._config:
            how = {**how, "aot_inductor.package_cpp_only": True}  # without a C++ compiler
        exported = torch.export.export(Model(), (torch.randn(4, 4),))
        path = str(tmp_path / name)
        with config.patch({"aot_inductor.metadata": {}}):  # torch writes into it
            torch._inductor.aoti_compile_and_package(
                exported, package_path=path, inductor_configs=how
            )
        assert os.path.getsize(path) > 0
        seen = set(lowered)
        del lowered[:]
        return seen

    assert package("options.pt2", io.options(min_sms=7)) == {7}
    with io.override(min_sms=9):
        assert package("scope.pt2", {}) == {9}
        assert package("both.pt2", io.options(min_sms=7)) == {7}


@pytest.mark.skipif(not HAS_COMPILED_AUTOGRAD, reason="compiled autograd has it since 2.8")
def test_compiled_autograd_compiles_backwards_on_their_own(lowered: list[int | None]) -> None:
    """With the value that is in force at the backward pass: it traces it as a new graph."""
    x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
    compiler = torch.compile(backend="inductor")
    with io.override(min_sms=7):
        out = torch.compile(lambda x, w: x @ w)(x, w)
    io.enable(min_sms=9)
    with torch._dynamo.compiled_autograd._enable(compiler):
        out.sum().backward()
    assert (lowered[0], lowered[-1]) == (7, 9)


@pytest.mark.skipif(not HAS_REGIONAL_INDUCTOR, reason="regional_inductor came with torch 2.10")
@pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")
def test_a_region_compiles_its_backward_on_its_own_and_the_annotation_reaches_both(
    lowered: list[int | None],
) -> None:
    import torch.fx.traceback as traceback
    from torch._dynamo.backends.common import aot_autograd
    from torch.fx.passes.regional_inductor import regional_inductor

    def in_regions(model: Any, inputs: Any) -> Any:
        return regional_inductor(model, *inputs)

    def forward_and_backward(
        annotation: object, scope: AbstractContextManager[object]
    ) -> list[int | None]:
        def function(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
            y = x.sin()
            with traceback.annotate({"compile_with_inductor": annotation}):
                y = y @ w
            return y.cos()

        torch._dynamo.reset()
        del lowered[:]
        x, w = torch.randn(4, 4), torch.randn(4, 4, requires_grad=True)
        backend = aot_autograd(fw_compiler=in_regions, bw_compiler=in_regions)
        with traceback.preserve_node_meta():
            with scope:
                out = torch.compile(function, backend=backend, fullgraph=True)(x, w)
            out.sum().backward()
        return lowered

    assert forward_and_backward(0, io.override(min_sms=7)) == [7, None]
    options = {"inductor_configs": io.options(min_sms=9)}
    assert forward_and_backward(options, contextlib.nullcontext()) == [9, 9]
