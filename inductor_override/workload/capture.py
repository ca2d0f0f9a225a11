"""A model as a graph of ATen operators, by `torch.export`, on `meta`."""

from __future__ import annotations

import inspect
import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.model import Model, users_frames
from inductor_override.workload.portable import PortableGraph, to_portable

_KINDS = {"PARAMETER": "parameter", "BUFFER": "buffer"}
_TORCHS = ("aten", "prim", "prims", "quantized", "_quantized", "higher_order", "inductor")


def capture(model: Model, *, dynamic: bool = False) -> PortableGraph:
    """Capture the model's forward pass.

    Args:
        dynamic: leave the first size of each input open, where the model lets it be.

    Raises:
        WorkloadError: the inputs do not fit the model, or torch cannot capture it.
    """
    import torch

    given = ", ".join(map(_text, (*model.args, *model.kwargs.values()))) or "no inputs"
    try:
        takes = inspect.signature(model.module.forward)
        takes.bind(*model.args, **model.kwargs)
    except ValueError:
        raise WorkloadError(f"{model.name} has no Python code: give the module itself") from None
    except TypeError as error:
        raise WorkloadError(
            f"{model.name} cannot be called with {given}: {error}; its forward takes {takes}"
        ) from None
    shapes = _dynamic_shapes(model) if dynamic else None
    # The model's own operators, attention among them. Later releases have `export` alone for it.
    export = getattr(torch.export, "export_for_training", torch.export.export)
    try:
        with (
            warnings.catch_warnings(),
            torch.no_grad(),
            _watching_autocast(model.name),
            _without_tracebacks_of_fake_tensors(),
        ):
            warnings.simplefilter("ignore")
            program = export(
                model.module, model.args, model.kwargs, dynamic_shapes=shapes, strict=False
            )
    except WorkloadError:
        raise
    except Exception as error:
        hint = " (pass use_cache=False)" if "Cache" in str(error) else ""
        if any(isinstance(each, dict) for each in model.args):
            hint = " (a dict is one argument; for keyword arguments return (module, (), {...}))"
        raise WorkloadError(
            f"torch.export cannot capture {model.name} with {given}: {_first_line(error)}{hint}. "
            "Give inputs that fit it, or a part of the model that can be captured",
            users_frames(error),
        ) from None
    graph = _inlined(program.graph_module)
    _refuse_mixed_dtypes(graph, model.name, given)
    kinds = [_KINDS.get(spec.kind.name, "input") for spec in program.graph_signature.input_specs]
    try:
        portable = to_portable(graph, kinds, _imports(graph))
    except TypeError as error:
        raise WorkloadError(f"{model.name} cannot be lowered elsewhere: {error}") from None
    if dynamic and not portable.hints:
        raise WorkloadError(
            f"{model.name} fixes the first size of its inputs, so it has no symbolic batch: leave "
            "--dynamic out, or give inputs whose first size is more than 1"
        )
    return portable


@contextmanager
def _without_tracebacks_of_fake_tensors() -> Iterator[None]:
    """torch logs what it then raises; the user gets one line, from the error."""
    log = logging.getLogger("torch._subclasses.fake_tensor")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


@contextmanager
def _watching_autocast(name: str) -> Iterator[None]:
    """Refuse a model that runs under `torch.autocast`: on `meta` it has no effect, in silence.

    A block that switches it off is let through. For `meta` torch 2.6 has no such block.
    """
    from torch.amp import autocast_mode

    torchs_own, enabled_for = autocast_mode.autocast.__init__, []

    def init(
        self: Any, device_type: str, dtype: Any = None, enabled: bool = True, *more: Any, **how: Any
    ) -> None:
        if enabled and device_type in ("cuda", "meta"):
            enabled_for.append(device_type)
        on = "cuda" if device_type == "meta" else device_type
        torchs_own(self, on, dtype, enabled, *more, **how)

    autocast_mode.autocast.__init__ = init
    try:
        yield
    finally:
        autocast_mode.autocast.__init__ = torchs_own
    if enabled_for:
        raise WorkloadError(
            f"{name} runs under torch.autocast, which cannot be followed without a GPU: leave the "
            "block out, and cast the model with --dtype (in Python dtype=)"
        )


def _dynamic_shapes(model: Model) -> Any:
    import torch

    def shape_of(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dim() and value.size(0) > 1:
            return {0: torch.export.Dim.AUTO}
        return None

    tree_map = torch.utils._pytree.tree_map
    names = list(inspect.signature(model.module.forward).parameters)
    shapes = {name: tree_map(shape_of, arg) for name, arg in zip(names, model.args, strict=False)}
    return {**shapes, **{name: tree_map(shape_of, arg) for name, arg in model.kwargs.items()}}


def _inlined(module: Any) -> Any:
    """The graph with the bodies of `torch.no_grad()` and `torch.autocast()` blocks in it."""
    import torch

    for node in list(module.graph.nodes):
        name = getattr(node.target, "__name__", "")
        if node.op != "call_function" or not name.startswith("wrap_with_"):
            continue
        at = next(i for i, arg in enumerate(node.args) if _is_graph(arg, module))
        body = _inlined(getattr(module, node.args[at].target))
        takes = [each for each in body.graph.nodes if each.op == "placeholder"]
        values = dict(zip(takes, node.args[at + 1 :], strict=True))
        for each in body.graph.nodes:
            if each.op == "get_attr":
                setattr(module, f"{node.args[at].target}_{each.target}", getattr(body, each.target))
                each.target = f"{node.args[at].target}_{each.target}"
        with module.graph.inserting_before(node):
            result = module.graph.graph_copy(body.graph, values)
        for user in list(node.users):
            if user.target is operator.getitem and isinstance(result, (tuple, list)):
                user.replace_all_uses_with(result[user.args[1]])
                module.graph.erase_node(user)
        if node.users:
            node.replace_all_uses_with(result)
        module.graph.erase_node(node)
    for node in reversed(module.graph.nodes):
        if node.op == "get_attr" and not node.users:
            module.graph.erase_node(node)
    assert isinstance(module, torch.fx.GraphModule)
    return module


def _refuse_mixed_dtypes(module: Any, name: str, given: str) -> None:
    """On `meta` torch does not compare the dtypes of two factors, as it does on a device."""
    import torch

    for node in module.graph.nodes:
        if getattr(node.target, "_overloadpacket", None) not in (
            *(torch.ops.aten.linear, torch.ops.aten.mm, torch.ops.aten.matmul),
            *(torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.conv2d),
        ):
            continue
        values = [arg.meta.get("val") for arg in node.args if isinstance(arg, torch.fx.Node)]
        dtypes = sorted({_dtype(value) for value in values if isinstance(value, torch.Tensor)})
        if len(dtypes) > 1:
            raise WorkloadError(
                f"{name} with {given} multiplies {' by '.join(dtypes)}, which torch refuses: give "
                "inputs of the parameters' dtype, or cast the parameters with --dtype (in Python "
                "dtype=)"
            )


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _is_graph(argument: Any, module: Any) -> bool:
    import torch

    return (
        isinstance(argument, torch.fx.Node)
        and argument.op == "get_attr"
        and isinstance(getattr(module, str(argument.target), None), torch.fx.GraphModule)
    )


def _imports(module: Any) -> tuple[str, ...]:
    """Modules that register the graph's operators: where each is defined, or called like it."""
    import torch
    from torch._library.custom_ops import OPDEFS

    operators = {
        node.target._schema.name
        for node in module.graph.nodes
        if isinstance(node.target, torch._ops.OpOverload) and node.target.namespace not in _TORCHS
    }
    defined = {OPDEFS[name]._init_fn.__module__ for name in operators if name in OPDEFS}
    return tuple(sorted({name.partition("::")[0] for name in operators} | defined))


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:300]


def _text(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        sizes = ",".join(map(str, value.size()))
        return f"{_dtype(value)}[{sizes}]"
    return repr(value)[:40]
