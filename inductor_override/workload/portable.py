"""A captured graph as bytes, so that another process can lower it.

torch pickles a graph as Python code and traces that again, which loses the sizes and dtypes of the
inputs. Here each node is a row, and each input is described by its sizes, strides and dtype.
"""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from inductor_override.workload.errors import WorkloadError

Size = int | str
"""A number, or the name of a symbol whose size the graph leaves open."""


class TensorInput(NamedTuple):
    """A tensor that the graph takes: a parameter, a buffer, or an argument of the model."""

    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]
    dtype: str
    kind: str
    """`parameter`, `buffer` or `input`."""
    trained: bool


@dataclass(frozen=True)
class PortableGraph:
    """One captured model.

    Attributes:
        nodes: the rows of the graph, pickled.
        inputs: in the order of the graph's placeholders; None for what is no tensor.
        hints: for each symbol the size that the example had.
        imports: modules to import first, since they register operators.
    """

    nodes: bytes
    inputs: tuple[TensorInput | None, ...]
    hints: dict[str, int] = field(default_factory=dict)
    imports: tuple[str, ...] = ()


def to_portable(
    graph_module: Any, kinds: list[str], imports: tuple[str, ...] = ()
) -> PortableGraph:
    """Describe a `torch.fx.GraphModule` of ATen operators.

    Args:
        kinds: of each placeholder.

    Raises:
        TypeError: the graph holds something that only this process knows; the message names it.
    """
    import torch

    inputs: list[TensorInput | None] = []
    hints: dict[str, int] = {}
    rows = []
    placeholders = iter(kinds)
    for node in graph_module.graph.nodes:
        if node.op == "placeholder":
            value, kind = node.meta.get("val"), next(placeholders)
            inputs.append(
                _describe(value, kind, hints) if isinstance(value, torch.Tensor) else None
            )
        target = node.target
        if node.op == "get_attr":
            target = _constant(graph_module, target)
        rows.append((node.op, node.name, target, node.args, node.kwargs))
    return PortableGraph(_dump(rows), tuple(inputs), hints, imports)


def from_portable(graph: PortableGraph) -> Any:
    """The graph as a `torch.fx.GraphModule`, without what is known of its values.

    Raises:
        WorkloadError: it calls an operator that this process does not have.
    """
    import importlib

    import torch

    for name in graph.imports:
        with contextlib.suppress(ImportError):  # the operator's own error says more
            importlib.import_module(name)
    made, constants = torch.fx.Graph(), torch.nn.Module()
    nodes: dict[str, Any] = {}
    for op, name, target, args, kwargs in _rows(graph.nodes, nodes):
        if op == "get_attr":
            setattr(constants, name, target)
        called = name if op == "get_attr" else target
        nodes[name] = made.create_node(op, called, args, kwargs, name)
    return torch.fx.GraphModule(constants, made)


def _describe(value: Any, kind: str, hints: dict[str, int]) -> TensorInput:
    def size(number: Any) -> Size:
        if isinstance(number, int):
            return number
        name = str(number)
        hints[name] = int(number.node.hint)
        return name

    sizes, strides = (tuple(map(size, numbers)) for numbers in (value.size(), value.stride()))
    dtype = str(value.dtype).removeprefix("torch.")
    return TensorInput(sizes, strides, dtype, kind, kind == "parameter" and value.requires_grad)


def _constant(graph_module: Any, name: str) -> Any:
    """A tensor that is part of the graph, such as a mask; its values do not matter here."""
    import torch

    value = graph_module
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, torch.Tensor):
        return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="meta")
    raise TypeError(
        f"its graph has a part that only this process knows ({name}: {type(value).__name__}), as "
        "FlexAttention, torch.cond and loops have"
    )


def _dump(rows: list[Any]) -> bytes:
    import torch

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if isinstance(value, torch.fx.Node):
                return "node", value.name
            if isinstance(value, torch._ops.OpOverload):
                return "operator", value._schema.name, value._overloadname
            if isinstance(value, torch.Tensor):
                return "tensor", tuple(value.size()), value.stride(), str(value.dtype)
            return None

    buffer = io.BytesIO()
    pickler = Pickler(buffer)
    try:
        for row in rows:
            pickler.dump(row)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"the graph holds something that cannot leave this process: {error}"
        ) from error
    return buffer.getvalue()


def _rows(data: bytes, nodes: dict[str, Any]) -> Iterator[Any]:
    """The rows one by one.

    Args:
        nodes: those that were made of earlier rows, by name.
    """
    import torch

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, saved: Any) -> Any:
            kind, name, *more = saved
            if kind == "node":
                return nodes[name]
            if kind == "tensor":
                dtype = getattr(torch, more[1].removeprefix("torch."))
                return torch.empty_strided(name, more[0], dtype=dtype, device="meta")
            namespace, operator = name.split("::")
            try:
                return getattr(getattr(getattr(torch.ops, namespace), operator), more[0])
            except AttributeError:
                raise WorkloadError(
                    f"the model calls the operator {name}, and another process cannot import what "
                    "registers it: define it in a module of its own, or leave it out"
                ) from None

    buffer = io.BytesIO(data)
    unpickler = Unpickler(buffer)
    while buffer.tell() < len(data):
        yield unpickler.load()
