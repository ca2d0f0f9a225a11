"""The stand-ins around Inductor's last two steps, and what they see.

Timing the candidates and loading the compiled kernels are the two things that can't happen without
hardware.  In place of the first, the first Triton candidate is taken, or the first of all if there
is none; in place of the second, the wrapper module is never executed.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from inductor_override.patches.select import newest, serving
from inductor_override.simulation import problems
from inductor_override.simulation.result import (
    OTHER,
    TRITON,
    VENDOR,
    CandidateKernel,
    Choice,
    Selection,
)

# Operations that compute nothing.
_VIEWS = frozenset(
    ("_unsafe_view", "alias", "as_strided", "detach", "expand", "fill", "permute", "reshape")
    + ("select", "slice", "squeeze", "t", "transpose", "unsqueeze", "view")
)


class Recorder:
    """Collects what one lowering chose from, and the code it generated."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, Selection]] = []
        """Each with the buffer that the chosen kernel fills."""
        self.sources: list[str] = []
        self.bytes_moved = 0
        self.candidate_kernels: dict[str, CandidateKernel] = {}
        self._fused: dict[int, tuple[str, tuple[str, ...]]] = {}

    @property
    def selections(self) -> list[Selection]:
        """In Inductor's order, with what became of each in the generated code."""
        return [
            dataclasses.replace(selection, kernel=kernel, epilogue=epilogue)
            for buffer, selection in self.seen
            for kernel, epilogue in [self._fused.get(id(buffer), (selection.kernel, ()))]
        ]

    def kernel_defined(self, name: str, schedule: Iterable[Any]) -> None:
        """Inductor has written a kernel for these nodes of its schedule."""
        nodes = [node for node in schedule if hasattr(node, "is_template")]
        template = next((node for node in nodes if node.is_template()), None)
        if template is not None:
            after = nodes[nodes.index(template) + 1 :]
            self._fused[id(template.node)] = name, _operations(after, template)


# Whoever lowers puts its recorder here, under the lock of `lowering`.  Not a ContextVar: Inductor
# may generate code in a thread of its own.
current = Recorder()


def record_into(recorder: Recorder) -> None:
    """Let the lowering that starts now be seen by `recorder`."""
    global current
    current = recorder


def install(torch: str) -> None:
    """Put both stand-ins into Inductor, for good.

    Args:
        torch: the version of torch.
    """
    from torch._inductor.codecache import PyCodeCache
    from torch._inductor.codegen.triton import TritonScheduling
    from torch._inductor.select_algorithm import AlgorithmSelectorCache

    AlgorithmSelectorCache.__call__ = _selector(
        AlgorithmSelectorCache.__call__,
        returns_choice=(serving(torch) or newest()).selection_returns_choice,
    )
    TritonScheduling.define_kernel = _definer(TritonScheduling.define_kernel)
    if hasattr(PyCodeCache, "load_by_key_path"):
        load = PyCodeCache.load_by_key_path.__func__
        PyCodeCache.load_by_key_path = classmethod(_loader_of_file(load))
    else:  # torch 2.0
        PyCodeCache.load = classmethod(_loader_of_source(PyCodeCache.load.__func__))


def _selector(original: Callable[..., Any], *, returns_choice: bool) -> Callable[..., Any]:
    @functools.wraps(original)
    def select(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not args:  # implementations of a custom operator: their products are selected in turn
            first = kwargs["choices"][0]
            return (first.output_node(), first) if returns_choice else first.output_node()
        # torch 2.0 gives no name before the choices.
        choices = args[1] if isinstance(args[0], str) else args[0]
        offered = [(choice, _describe(choice)) for choice in choices if choice is not None]
        if not offered:
            return original(self, *args, **kwargs)  # its own error, or way out
        name = args[0] if isinstance(args[0], str) else offered[0][1].name
        after_name = args[1:] if isinstance(args[0], str) else args
        chosen, seen = next((each for each in offered if each[1].kind == TRITON), offered[0])
        node = chosen.output_node()
        kernel = seen.name if seen.kind != VENDOR else _called(chosen)
        selection = Selection(name, tuple(each for _, each in offered), kernel=kernel)
        selection = problems.with_sizes(selection, after_name[1:3])
        current.seen.append((_buffer(node), selection))
        return (node, chosen) if returns_choice else node

    return select


def _loader_of_file(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(cls: Any, key: str, path: str, *args: Any, **kwargs: Any) -> Any:
        source = Path(path).read_text("utf-8")
        if not _is_wrapper(source):
            return original(cls, key, path, *args, **kwargs)
        return _empty_wrapper(source, path)

    return load


def _loader_of_source(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(cls: Any, source: str) -> Any:
        if not _is_wrapper(source):
            return original(cls, source)
        return _empty_wrapper(source, "wrapper.py")

    return load


def _is_wrapper(source: str) -> bool:
    return "async_compile.wait" in source  # else it is a Triton template


def _empty_wrapper(source: str, path: str) -> Any:
    current.sources.append(source)
    current.bytes_moved += _bytes_moved()
    module: Any = types.ModuleType("wrapper")
    module.__file__ = path
    module.call = lambda inputs: []
    return module


def _bytes_moved() -> int:
    """Inductor's own count of the bytes that the graph reads and writes; 0 where it has none."""
    from torch._inductor.scheduler import FusedSchedulerNode
    from torch._inductor.virtualized import V

    total = 0
    try:
        for node in V.graph.scheduler.nodes:
            # Of a template alone Inductor counts no more of each input than the output has
            # elements. Of a group it counts all.
            alone = node.is_template() and not isinstance(node, FusedSchedulerNode)
            counted = FusedSchedulerNode(node.scheduler, [node]) if alone else node
            total += counted.get_read_write_buffers_sizes()
    except Exception:  # a kind of node that torch's count does not know
        return 0
    return int(total)


def _definer(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def define_kernel(self: Any, source: str, schedule: Any, *args: Any, **kwargs: Any) -> Any:
        name = original(self, source, schedule, *args, **kwargs)
        current.kernel_defined(str(name), schedule)
        return name

    return define_kernel


def _describe(choice: Any) -> Choice:
    from torch._inductor.select_algorithm import ExternKernelCaller, TritonTemplateCaller

    # Inductor wraps a choice whose inputs need processing first.
    bare = getattr(choice, "_wrapped", choice)
    if isinstance(bare, TritonTemplateCaller):
        key = problems.remember_kernel(bare, current.candidate_kernels)
        return Choice(choice.name, TRITON, key)
    return Choice(choice.name, VENDOR if isinstance(bare, ExternKernelCaller) else OTHER)


def _called(choice: Any) -> str:
    """What the generated code calls for a vendor's kernel."""
    return str(getattr(choice, "_wrapped", choice).choice.call_name())


def _buffer(node: Any) -> Any:
    """The buffer in the boxes of a result."""
    while hasattr(node, "data"):
        node = node.data
    return node


def _operations(nodes: list[Any], template: Any) -> tuple[str, ...]:
    """The ATen operations that these nodes of the schedule compute, in the graph's order."""
    own = set(template.node.origins)
    origins = {origin for node in nodes for origin in set(node.node.origins) - own}
    order = {node: at for at, node in enumerate(next(iter(origins)).graph.nodes)} if origins else {}
    found: dict[str, None] = {}
    for origin in sorted(origins, key=lambda each: order.get(each, 0)):
        operation = origin.meta.get("original_aten") or origin.target
        packet = getattr(operation, "_overloadpacket", operation)
        found[str(getattr(packet, "__name__", packet))] = None
    # Of an operation that Inductor has split, the adding of the bias is what is left.
    split = ("addmm", "baddbmm", "convolution")
    names = ("bias" if name in split else name for name in found if name not in _VIEWS)
    return tuple(dict.fromkeys(names))
