"""What one process runs: a model or products, with inputs that are the same in every process."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inductor_override.comparison.question import Question
from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.inputs import TensorSpec, parse_input, placed
from inductor_override.workload.model import build, load
from inductor_override.workload.problem import Problem

_SEED = 20_26
GRADIENTS_OF = 100_000_000
"""Parameters of the largest model whose gradients are compared too."""
WHOLE = "model"


@dataclass
class Case:
    """One thing to compile and to call.

    Attributes:
        name: "model", or a product with its sizes.
        module: in the mode that is asked about, on its device.
        args, kwargs: what it is called with.
        train: a step is forward, loss and backward.
    """

    name: str
    module: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    train: bool = False

    def __post_init__(self) -> None:
        self._buffers = [each.detach().clone() for each in self.module.buffers()]
        self._weights: list[Any] = []
        """Of each output in the loss; made once, so that no call is timed with their making."""

    def step(self, function: Callable[..., Any]) -> Any:
        """Call `function` (the module, compiled or not) as a deployment would, once."""
        import torch

        if not self.train:
            with torch.no_grad():
                return function(*self.args, **self.kwargs)
        self.module.zero_grad(set_to_none=True)
        out = function(*self.args, **self.kwargs)
        self._backward(out)
        return out

    def outputs(self, function: Callable[..., Any]) -> list[list[Any]]:
        """What one step returns, and the gradients of a training step; begun as the first step was.

        A step may change buffers: a batch norm's, a counter.
        """
        import torch

        with torch.no_grad():
            for buffer, was in zip(self.module.buffers(), self._buffers, strict=True):
                buffer.copy_(was)
        out = self.step(function)
        parameters = list(self.module.parameters())
        if not self.train or sum(each.numel() for each in parameters) > GRADIENTS_OF:
            return [tensors(out)]
        return [tensors(out), [each.grad for each in parameters if each.grad is not None]]

    def _backward(self, out: Any) -> None:
        """From the loss that the model returns, or from all outputs with fixed weights."""
        import torch

        own = getattr(out, "loss", None)
        if isinstance(own, torch.Tensor):
            own.backward()
            return
        trained = [each for each in tensors(out) if each.requires_grad]
        if not trained:
            raise WorkloadError("--train: no output of the model depends on what can be trained")
        if not self._weights:
            self._weights = [
                (torch.arange(each.numel(), device=each.device).cos() / each.numel())
                .to(each.dtype)
                .reshape(each.shape)
                for each in trained
            ]
        torch.autograd.backward(trained, self._weights)


def product_module(problem: Problem) -> Any:
    """A problem as a module, which can be compiled."""
    import torch

    class Product(torch.nn.Module):  # type: ignore[misc]
        def forward(self, *inputs: Any) -> Any:
            return problem.compute(*inputs)

    return Product()


def make_cases(question: Question) -> list[Case]:
    """The model or the products of a question, with seeded weights and inputs."""
    seed()
    if question.module is not None:
        inputs = [parse_input(each) for each in question.inputs]
        model = build(
            load(question.module),
            inputs,
            dtype=question.dtype,
            train=question.train,
            device=question.device,
        )
        return [Case(WHOLE, model.module, model.args, model.kwargs, question.train)]
    return [product_case(each, question.device) for each in question.problems]


def product_case(problem: Problem, device: str) -> Case:
    """One product, with normally distributed inputs."""
    seed()
    inputs = [TensorSpec(problem.dtype, sizes) for sizes in problem.sizes]
    args = tuple(placed(each, None, device) for each in inputs)
    return Case(name_of(problem), product_module(problem), args, {})


def name_of(problem: Problem) -> str:
    """A product in a few words."""
    batch = f"{problem.batch} x " if problem.batch > 1 else ""
    epilogue = "" if problem.epilogue == "none" else f" + {problem.epilogue}"
    sizes = f"{problem.m}x{problem.k}x{problem.n}"
    return f"{problem.op}{epilogue} {batch}{sizes} {problem.dtype}"


def layers_of(case: Case) -> list[Problem]:
    """The distinct matrix products of a model, those with most operations first.

    Read from one call without compiling: what Inductor fuses or rewrites is not seen here.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    found: Counter[Problem] = Counter()

    class Watching(TorchDispatchMode):  # type: ignore[misc]
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
        ) -> Any:
            op = getattr(function, "_overloadpacket", function).__name__
            if op in ("mm", "addmm", "bmm", "baddbmm"):
                problem = _problem(op, args)
                found[problem] += 1
            return function(*args, **(kwargs or {}))

    with Watching():
        case.step(case.module)
    return sorted(found, key=lambda each: -each.m * each.k * each.n * each.batch * found[each])


def tensors(out: Any) -> list[Any]:
    """The tensors in what a model returned."""
    import torch

    leaves = torch.utils._pytree.tree_leaves(out)
    return [each for each in leaves if isinstance(each, torch.Tensor)]


def seed() -> None:
    """The same random numbers in every process, from each of the usual sources."""
    import torch

    random.seed(_SEED)
    torch.manual_seed(_SEED)
    try:
        import numpy as np
    except ImportError:
        return
    np.random.seed(_SEED)


def _problem(op: str, args: Sequence[Any]) -> Problem:
    a, b = args[-2:] if len(args) == 2 else args[1:3]
    batch = int(a.shape[0]) if a.dim() == 3 else 1
    dtype = str(a.dtype).removeprefix("torch.")
    m, k, n = int(a.shape[-2]), int(a.shape[-1]), int(b.shape[-1])
    # A weight as torch.nn.Linear keeps it; the addition of its bias is left out.
    of_linear = b.dim() == 2 and b.stride(0) == 1 and op in ("mm", "addmm")
    return Problem(m, k, n, "linear" if of_linear else op, "none", dtype, batch)
