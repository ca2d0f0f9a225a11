"""The sizes of what Inductor selects a kernel for, and the source of its candidates."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inductor_override.simulation.result import CandidateKernel, Selection


def with_sizes(selection: Selection, inputs_and_layout: Sequence[Any]) -> Selection:
    """The selection with its sizes, read from Inductor's graph; as it was where they are not told.

    Args:
        inputs_and_layout: the selection's input nodes and the layout of its result.
    """
    from torch._inductor.virtualized import V

    node = getattr(V.graph, "current_node", None)
    if len(inputs_and_layout) < 2:
        return selection
    inputs, layout = inputs_and_layout
    counted = 0 if node is None else flops_of(node)
    out = [_number(size) for size in layout.size]
    first = [_number(size) for size in inputs[0].get_size()]
    dtype = str(inputs[0].get_dtype()).removeprefix("torch.")
    if selection.op.startswith("convolution"):
        weight = [_number(size) for size in inputs[1].get_size()]
        m, n, batch = out[0] * math.prod(out[2:]), out[1], 1
        # By the operations: of a transposed one the kernel's sizes do not give it.
        k = counted // (2 * m * n) or math.prod(weight[1:])
        layout_text = "x".join(map(str, weight[2:])) + " kernel"
    else:
        matrices = _matrices(inputs, out)
        m, n, batch = out[-2], out[-1], math.prod(out[:-2])
        k = _number(matrices[0].get_size()[-1]) if matrices else first[-1]
        layout_text = ", ".join(_lie(each) for each in matrices)
    return dataclasses.replace(
        selection,
        node=str(getattr(node, "name", "")),  # torch 2.0 does not tell
        m=m,
        n=n,
        k=k,
        batch=batch,
        dtype=dtype,
        layout=layout_text,
        flops=counted or 2 * m * n * k * batch,
    )


def flops_of(node: Any) -> int:
    """Floating-point operations of one node, by `torch.utils.flop_counter`; 0 if not counted."""
    try:
        from torch.utils.flop_counter import flop_registry
    except ImportError:  # before torch 2.1
        return 0
    formula = flop_registry.get(getattr(node.target, "_overloadpacket", None))
    value = node.meta.get("val")
    if formula is None or value is None:
        return 0
    import torch

    def value_of(argument: Any) -> Any:
        return argument.meta.get("val") if isinstance(argument, torch.fx.Node) else argument

    args, kwargs = torch.fx.node.map_aggregate((node.args, node.kwargs), value_of)
    if node.target is torch.ops.aten.convolution_backward.default:
        # torch's formula knows no groups: each gradient takes what the forward pass takes.
        gradient, inputs, weight, wanted = args[0], args[1], args[2], args[10]
        over = inputs if args[7] else gradient  # of a transposed one
        one = 2 * math.prod(map(_number, (*over.size(), *weight.size()[1:])))
        return one * sum(map(bool, wanted[:2]))
    try:
        return _number(formula(*args, **kwargs, out_val=value))
    except (
        Exception
    ):  # a formula that another call of the operator breaks: torch's report, not ours
        return 0


def remember_kernel(choice: Any, kernels: dict[str, CandidateKernel]) -> str:
    """Add the source of a Triton candidate to `kernels`; return its key there.

    Two candidates of the same source, but for the function's name, are one kernel.
    """
    request = getattr(choice, "bmreq", None)
    path, name = getattr(request, "module_path", None), getattr(request, "kernel_name", None)
    if request is None or path is None or name is None:  # torch 2.0: its source is not kept
        kernels[choice.name] = CandidateKernel(choice.name, "", "", (0, 0, 0), 0, 0, 0)
        return str(choice.name)
    source = Path(path).read_text("utf-8")
    # The machine code depends on the capability, not on how many SMs there are of it.
    general = re.sub(r"multi_processor_count=\d+", "", source.replace(name, "kernel"))
    key = hashlib.sha256(general.encode()).hexdigest()
    if key not in kernels:
        tile = (_constant(source, "BLOCK_M"), _constant(source, "BLOCK_N"))
        # Later releases pass the grid as the last arguments of the kernel.
        grid = getattr(request, "grid", None) or list(getattr(request, "extra_args", ()))[-3:]
        kernels[key] = CandidateKernel(
            name=name,
            path=str(path),
            module_key=str(request.module_cache_key),
            tile=(*tile, _constant(source, "BLOCK_K")),
            stages=_constant(source, "num_stages"),
            warps=_constant(source, "num_warps"),
            blocks=math.prod(map(_number, grid)) if len(grid) == 3 else 0,
        )
    return key


def _constant(source: str, name: str) -> int:
    found = re.search(rf"\b{name}\s*(?::[^=\n]*)?=\s*(\d+)", source)
    return int(found[1]) if found else 0


def _matrices(inputs: Sequence[Any], out: list[int]) -> list[Any]:
    """The two factors among the inputs: the first pair whose sizes give the result's."""
    for first, second in itertools.pairwise(inputs):
        a, b = ([_number(size) for size in each.get_size()] for each in (first, second))
        if len(a) == len(b) == len(out) and (a[-2], b[-1], a[-1]) == (*out[-2:], b[-2]):
            return [first, second]
    return []


def _lie(matrix: Any) -> str:
    strides = [_number(stride) for stride in matrix.get_stride()]
    return "row" if strides[-1] == 1 else "column" if strides[-2] == 1 else "strided"


def _number(size: Any) -> int:
    """A size as a number: that of the example where the graph leaves it open."""
    if isinstance(size, int):
        return size
    node = getattr(size, "node", None)
    if node is not None and getattr(node, "hint", None) is not None:
        return int(node.hint)
    from torch._inductor.virtualized import V

    sizevars = V.graph.sizevars
    hint = getattr(sizevars, "optimization_hint", None) or sizevars.size_hint
    return int(hint(size))
