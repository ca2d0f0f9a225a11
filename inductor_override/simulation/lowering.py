"""The real Inductor lowering, for the simulated GPU."""

from __future__ import annotations

import ast
import copy
import itertools
import sys
import threading
from pathlib import Path
from typing import Any

from inductor_override.simulation import hardware, problems, selection, toolchain
from inductor_override.simulation.errors import NotCompiledError
from inductor_override.simulation.for_cuda import CudaGraph
from inductor_override.simulation.result import Lowering
from inductor_override.workload.problem import Problem

# The recorder is one for the process, and Inductor keeps state of its own while it compiles.
_one_at_a_time = threading.Lock()


def lower(
    m: int,
    k: int,
    n: int,
    dtype: str = "float16",
    *,
    fx_graph_cache: bool = False,
    backward: bool = False,
) -> Lowering:
    """Lower `relu(a @ b)` with max-autotune's GEMMs, for the GPU of `install_gpu`.

    `a` is m x k, `b` is k x n, both of `dtype`, contiguous, and fake: nothing is allocated.  With
    `backward`, the graph is the gradient's instead, whose two products give grad_a (m x k) and
    grad_b (k x n).  With `fx_graph_cache`, Inductor's own cache of whole graphs is on.

    The gate is asked as always: an override that is active in the calling thread has its effect.

    Raises:
        SimulationError: no GPU is simulated in this process.
        NotCompiledError: Inductor declines this dtype on this GPU, whatever the gate says.
    """
    if backward:
        sizes: list[tuple[int, ...]] = [(m, k), (k, n), (m, n), (m, n)]
        graph = trace(_gradient, sizes, dtype)
    else:
        problem = Problem(m, k, n, dtype=dtype)
        graph = trace(problem.compute, problem.sizes, dtype)
    return lower_graphs([graph], fx_graph_cache=fx_graph_cache)[0]


def trace(function: Any, sizes: list[tuple[int, ...]], dtype: str) -> CudaGraph:
    """The graph of a function of fake CUDA tensors, with Inductor's own decompositions."""
    hardware.installed_gpu()
    import torch
    from torch._inductor.decomposition import select_decomp_table
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx import traceback as fx_traceback
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # Those of torch.compile: for K = 1, say, Inductor makes a sum of the product.
    decompositions = select_decomp_table()
    fake_mode = FakeTensorMode(shape_env=ShapeEnv())
    # Kernels are named after the operations whose names this keeps: triton_poi_fused_relu_0.
    with fake_mode, fx_traceback.preserve_node_meta():
        inputs = [torch.empty(s, device="cuda", dtype=getattr(torch, dtype)) for s in sizes]
        # A lambda: a function's annotations go into the graph and cannot be pickled from there,
        # and Inductor bypasses its cache for a graph that it cannot pickle.
        module = make_fx(lambda *given: function(*given), decompositions)(*inputs)  # noqa: PLW0108
    return CudaGraph("inference", module, inputs, fake_mode)


def lower_graphs(
    graphs: list[CudaGraph], *, fx_graph_cache: bool = False, options: dict[str, Any] | None = None
) -> list[Lowering]:
    """Lower graphs that belong together (a forward graph and its backward graph).

    Args:
        options: further options of Inductor's config.

    Raises:
        SimulationError: no GPU is simulated in this process.
        NotCompiledError: Inductor declines a dtype on this GPU, whatever the gate says.
    """
    hardware.installed_gpu()
    from torch._guards import TracingContext

    # One for all: by their TracingContext a backward graph finds its forward graph.
    context = TracingContext(graphs[0].fake_mode)
    with _one_at_a_time, _config_patch(fx_graph_cache=fx_graph_cache, options=options or {}):
        return [_lower(graph, context) for graph in graphs]


def _lower(graph: CudaGraph, context: Any) -> Lowering:
    import torch
    from torch._dynamo.exc import SkipFrame
    from torch._dynamo.utils import counters
    from torch._guards import tracing
    from torch._inductor.compile_fx import compile_fx_inner
    from torch._inductor.virtualized import V

    flops = sum(problems.flops_of(node) for node in graph.module.graph.nodes)
    recorder = selection.Recorder()
    selection.record_into(recorder)
    _number_candidates_from_zero()
    before = _cache_counters(counters)
    how = {"is_backward": graph.is_backward}
    if toolchain.captures_models(torch.__version__):  # torch 2.0 does not take it
        how["is_inference"] = graph.name == "inference"
    with (
        _metrics_context(),
        tracing(context),
        V.set_fake_mode(graph.fake_mode),
        torch.no_grad(),
    ):
        try:
            # A copy: Inductor changes the graph.
            module = torch.fx.GraphModule(graph.module, copy.deepcopy(graph.module.graph))
            compiled = compile_fx_inner(module, graph.inputs, cudagraphs=False, **how)
        except Exception as error:
            if "NoValidChoicesError" in f"{type(error).__name__} {error}":
                raise NotCompiledError(
                    f"torch {torch.__version__} finds no kernel for a product with the backends "
                    "that were asked for, on one of the two sides. Ask with ATEN among them, too"
                ) from error
            # Later releases wrap what Inductor raises into an InductorError.
            if not isinstance(getattr(error, "inner_exception", error), SkipFrame):
                raise
            gpu = hardware.installed_gpu()
            dtype = graph.inputs[0].dtype
            raise NotCompiledError(
                f"torch {torch.__version__} does not compile {str(dtype).removeprefix('torch.')} "
                f"for {gpu.name} (compute capability {gpu.capability}). Ask about another dtype"
            ) from error
    after = _cache_counters(counters)
    source = recorder.sources[-1] if recorder.sources else _cached_source(compiled)
    return Lowering(
        selections=tuple(recorder.selections),
        kernels=tuple(_kernels_called(source)),
        source=source,
        cache={k: v - before.get(k, 0) for k, v in after.items() if v != before.get(k, 0)},
        candidate_kernels=recorder.candidate_kernels,
        flops=flops,
        bytes_moved=recorder.bytes_moved,
    )


def _gradient(a: Any, b: Any, out: Any, grad_out: Any) -> Any:
    import torch

    grad = torch.where(out <= 0, 0, grad_out)
    return (grad @ b.T, a.T @ grad)


def _number_candidates_from_zero() -> None:
    """So that two lowerings of one graph can be compared by the names of their candidates."""
    for module, template in (
        ("torch._inductor.select_algorithm", "TritonTemplate"),
        ("torch._inductor.codegen.subgraph", "SubgraphTemplate"),
    ):
        owner: Any = getattr(sys.modules.get(module), template, None)
        if hasattr(owner, "index_counter"):
            owner.index_counter = itertools.count()


def _config_patch(*, fx_graph_cache: bool, options: dict[str, Any]) -> Any:
    from torch._inductor import config

    # torch 2.0 has max_autotune alone.
    gemms = "max_autotune_gemm" if hasattr(config, "max_autotune_gemm") else "max_autotune"
    wanted = {
        gemms: True,
        # Off by default in torch 2.0, where mode="max-autotune" sets it.
        "epilogue_fusion": True,
        "fx_graph_cache": fx_graph_cache,
        "fx_graph_remote_cache": False,
        # Worker processes would not know of the simulated GPU.
        "compile_threads": 1,
    }
    wanted = {key: value for key, value in wanted.items() if hasattr(config, key)}
    return config.patch({**wanted, **options})


def _cached_source(compiled: Any) -> str:
    """The code of a graph from the cache: before torch 2.5 it is loaded at the first call only.

    Nothing for a graph that computes nothing, which Inductor returns as it is.
    """
    path = getattr(compiled, "artifact_path", None)
    return Path(path).read_text("utf-8") if path is not None else ""


def _metrics_context() -> Any:
    """torch 2.6 counts a cache hit only inside one; `torch.compile` opens it, so do we."""
    from contextlib import nullcontext

    from torch._dynamo import utils

    opened = getattr(utils, "get_metrics_context", None)
    return opened() if opened is not None else nullcontext()


def _cache_counters(counters: Any) -> dict[str, int]:
    return {key: value for key, value in counters["inductor"].items() if "fxgraph" in key}


def _kernels_called(source: str) -> list[str]:
    """The kernels that generated wrapper code calls, in order.

    Read from the syntax tree: the sources of the Triton kernels are strings in the same file.
    """
    calls = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner, method = node.func.value, node.func.attr
            if not isinstance(owner, ast.Name):
                continue
            if owner.id == "extern_kernels":
                calls.append((node.lineno, f"extern_kernels.{method}"))
            elif method == "run" and owner.id.startswith("triton_"):
                calls.append((node.lineno, owner.id))
    return [name for _, name in sorted(calls)]
