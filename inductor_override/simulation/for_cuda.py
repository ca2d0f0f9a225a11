"""A captured graph as torch would compile it for the simulated GPU.

The graph was captured on the `meta` device. Here its attention becomes the fused kernel that torch
takes on the GPU, AOTAutograd makes the graph functional (and adds the backward pass), and the parts
are traced again with fake CUDA tensors and Inductor's own decompositions.

Autograd on fake CUDA tensors would end the process on a CPU build of torch, and on `meta` it has no
gradient of a cross entropy, so the backward pass is traced with fake CPU tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inductor_override.simulation.errors import NotCapturedError
from inductor_override.workload.portable import PortableGraph, TensorInput, from_portable

_FUSED_DTYPES = ("float16", "bfloat16")


@dataclass(frozen=True)
class CudaGraph:
    """One graph that Inductor lowers.

    Attributes:
        name: `forward`, `backward`, or `inference`.
        module: a `torch.fx.GraphModule` of ATen operators.
        inputs: fake tensors on the simulated GPU.
        fake_mode: theirs.
    """

    name: str
    module: Any
    inputs: list[Any]
    fake_mode: Any

    @property
    def is_backward(self) -> bool:
        return self.name == "backward"


def for_cuda(
    captured: PortableGraph, capability: tuple[int, int], *, train: bool
) -> list[CudaGraph]:
    """The graphs of the model: one for inference; forward and backward where it is trained.

    Raises:
        NotCapturedError: torch cannot make a graph of it; the message says why.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    shape_env = ShapeEnv()
    symbols = _symbols(shape_env, captured.hints)
    fake_mode = FakeTensorMode(shape_env=shape_env)
    module = _with_whole_attention(from_portable(captured), capability)
    with fake_mode:
        values = [_input(spec, symbols, "cpu") for spec in captured.inputs]
    tensors = [each for each in values if each is not None]
    at = [position for position, each in enumerate(values) if each is not None]
    buffers = {p for p, spec in enumerate(captured.inputs) if spec and spec.kind == "buffer"}

    mutates = False

    def run(*given: Any) -> tuple[Any, ...]:
        arguments = list(values)
        for position, tensor in zip(at, given, strict=True):
            # A buffer that the model updates, such as a running mean, is no output here.
            copied = mutates or (position in buffers and train)
            arguments[position] = tensor.clone() if copied else tensor
        results = _on_device("cpu")(module).run(*arguments)
        flat = torch.utils._pytree.tree_leaves(results)
        # Copies: AOTAutograd takes no output that shares memory with an input. See `_uncopied`.
        return tuple(each.clone() for each in flat if isinstance(each, torch.Tensor))

    try:
        parts = _made_functional(run, tensors, fake_mode, train=train)
    except RuntimeError as error:
        if "mutation" not in str(error):
            raise
        mutates = True  # an input or a buffer is updated: a copy of it is
        parts = _made_functional(run, tensors, fake_mode, train=train)
    return [_retraced(name, _uncopied(part), fake_mode) for name, part in parts]


def _made_functional(run: Any, tensors: list[Any], fake_mode: Any, *, train: bool) -> list[Any]:
    import torch
    from torch._functorch.aot_autograd import aot_export_joint_simple
    from torch._functorch.partitioners import min_cut_rematerialization_partition

    with fake_mode:
        if not train:
            with torch.no_grad():
                traced = aot_export_joint_simple(run, tuple(tensors), trace_joint=False)
            return [("inference", traced)]
        outputs = len([each for each in run(*tensors) if each.requires_grad])
        if not outputs:
            raise NotCapturedError("no output of the model depends on a parameter")
        joint = aot_export_joint_simple(
            lambda *given: tuple(each for each in run(*given) if each.requires_grad),
            tuple(tensors),
            trace_joint=True,
        )
        forward, backward = min_cut_rematerialization_partition(
            joint, None, num_fwd_outputs=outputs
        )
    return [("forward", forward), ("backward", backward)]


def _uncopied(part: Any) -> Any:
    """The graph without the copies of its outputs."""
    import torch

    output = next(node for node in part.graph.nodes if node.op == "output")

    def original(value: Any) -> Any:
        copied = value.op == "call_function" and value.target is torch.ops.aten.clone.default
        return value.args[0] if copied and not value.kwargs else value

    output.args = torch.fx.node.map_arg(output.args, original)
    part.graph.eliminate_dead_code()
    part.recompile()
    return part


def _retraced(name: str, part: Any, fake_mode: Any) -> CudaGraph:
    import torch
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.fx_passes.replace_random import replace_random_passes
    from torch._inductor.virtualized import V
    from torch.fx import traceback as fx_traceback
    from torch.fx.experimental.proxy_tensor import make_fx

    cuda = torch.device("cuda", 0)
    on_cuda = _on_device("cuda")
    with torch.no_grad(), fake_mode:
        inputs = [
            _on(cuda, node.meta["val"]) for node in part.graph.nodes if node.op == "placeholder"
        ]
        with fx_traceback.preserve_node_meta():
            module = make_fx(lambda *given: on_cuda(part).run(*given), select_decomp_table())(
                *inputs
            )
        with V.set_fake_mode(fake_mode):
            replace_random_passes(module)
    return CudaGraph(name, module, inputs, fake_mode)


def _on_device(device: str) -> Any:
    """An interpreter of graphs in which devices stand as arguments, positional ones too."""
    import torch

    to = torch.device(device, 0) if device == "cuda" else torch.device(device)

    class OnDevice(torch.fx.Interpreter):  # type: ignore[misc]
        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            pytree = torch.utils._pytree
            args, kwargs = pytree.tree_map_only(torch.device, lambda _: to, (args, kwargs))
            return super().call_function(target, args, kwargs)

        def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
            return _on(to, super().get_attr(target, args, kwargs))

    return OnDevice


def _on(device: Any, value: Any) -> Any:
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device=device)


def _input(spec: TensorInput | None, symbols: dict[str, Any], device: str) -> Any:
    import torch

    if spec is None:
        return None
    sizes, strides = (
        [symbols[number] if isinstance(number, str) else number for number in numbers]
        for numbers in (spec.sizes, spec.strides)
    )
    made = torch.empty_strided(sizes, strides, dtype=getattr(torch, spec.dtype), device=device)
    # Also for inference, under no_grad: linear() folds the batch of an input by it.
    if spec.trained:
        made.requires_grad_()
    return made


def _symbols(shape_env: Any, hints: dict[str, int]) -> dict[str, Any]:
    from torch._dynamo.source import ConstantSource
    from torch.fx.experimental.symbolic_shapes import DimDynamic

    made = {}
    for name, hint in hints.items():
        source = ConstantSource(f"size_{name}")
        symbol = shape_env.create_symbol(hint, source, dynamic_dim=DimDynamic.DYNAMIC)
        made[name] = shape_env.create_symintnode(symbol, hint=hint, source=source)
    return made


def _with_whole_attention(module: Any, capability: tuple[int, int]) -> Any:
    """Put the kernel that torch takes on the GPU in place of `scaled_dot_product_attention`.

    On `meta` attention would fall apart into bmm and softmax, which is torch's way only where
    no fused kernel takes the inputs. Which kernel takes which inputs: torch's
    `aten/src/ATen/native/transformers/cuda/sdp_utils.cpp`.
    """
    import torch

    aten = torch.ops.aten

    def attend(
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        dtype = str(query.dtype).removeprefix("torch.")
        if enable_gqa and key.size(1) != query.size(1):
            groups = query.size(1) // key.size(1)
            key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
        fused = query.dim() == 4 and dtype in (*_FUSED_DTYPES, "float32")
        if fused and attn_mask is None and dtype in _FUSED_DTYPES and capability >= (8, 0):
            return aten._scaled_dot_product_flash_attention(
                query, key, value, dropout_p, is_causal, scale=scale
            )[0]
        if fused and (dtype != "bfloat16" or capability >= (8, 0)):
            return _memory_efficient(query, key, value, attn_mask, dropout_p, is_causal, scale)
        return aten._scaled_dot_product_attention_math(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale
        )[0]

    for node in module.graph.nodes:
        if node.target is aten.scaled_dot_product_attention.default:
            node.target = attend
    module.recompile()
    return module


def _memory_efficient(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: Any
) -> Any:
    import torch

    if mask is not None:
        if mask.dtype is torch.bool:
            mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -float("inf"))
        mask = mask.expand(query.size(0), query.size(1), query.size(2), key.size(2))
    return torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, mask, query.requires_grad, dropout_p, is_causal, scale=scale
    )[0]
