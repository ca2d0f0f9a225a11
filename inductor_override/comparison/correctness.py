"""Whether what an arm computes is right, against a reference of higher precision.

The reference is computed once, without compiling, and kept in a file for all processes. The limit
comes from the same model's error without compiling, in the same dtype: a compiled kernel may sum in
another order, and may not be wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLOAT64_PARAMETERS = 200_000_000
"""Models with more are compared with float32: their float64 copy would not fit."""
_TIMES_EAGER = 4.0
_FLOOR = {"float64": 1e-9, "float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}
"""Relative errors that are no fault in any model; those of another dtype are float32's."""


def reference_dtype(module: Any) -> Any:
    """float64, or float32 for a model that is too large for it."""
    import torch

    parameters = sum(each.numel() for each in module.parameters())
    return torch.float32 if parameters > FLOAT64_PARAMETERS else torch.float64


def make_reference(
    module: Any, step: Callable[[Any, Any, Any], list[Any]], args: Any, kwargs: Any, path: Path
) -> None:
    """Compute the outputs in higher precision, and keep them in `path` with what was put in.

    A model that insists on its own dtype is its own reference: what it computes uncompiled.
    """
    import torch

    try:
        wanted = reference_dtype(module)
        outputs, again = _twice(module, step, args, kwargs, wanted)
    except (RuntimeError, TypeError, ValueError):
        wanted = None
        outputs, again = _twice(module, step, args, kwargs, wanted)
    kept = {
        "outputs": outputs,
        "repeatable": all(_same(a, b) for a, b in zip(outputs, again, strict=True)),
        "dtype": "its own" if wanted is None else str(wanted).removeprefix("torch."),
        "fingerprint": fingerprint(module, args, kwargs),
    }
    torch.save(kept, path)


def _twice(
    module: Any, step: Callable[[Any, Any, Any], list[Any]], args: Any, kwargs: Any, dtype: Any
) -> tuple[list[Any], list[Any]]:
    """The outputs with two states of the random number generator, on the CPU."""
    import torch

    higher = copy.deepcopy(module)
    if dtype is not None:
        higher = higher.to(dtype)
        args, kwargs = torch.utils._pytree.tree_map(lambda v: _cast(v, dtype), (args, kwargs))
    both = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        both.append([each.detach().cpu().clone() for each in step(higher, args, kwargs)])
    return both[0], both[1]


def load_reference(path: Path) -> dict[str, Any]:
    """What `make_reference` kept."""
    import torch

    found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def error(outputs: list[Any], reference: list[Any]) -> float:
    """The largest relative error of the outputs, each as a norm of differences over a norm.

    Infinity where an output has another number of elements, or is not a number where the
    reference is one.
    """
    import torch

    worst = 0.0
    if len(outputs) != len(reference):
        return float("inf")
    for output, wanted in zip(outputs, reference, strict=True):
        if output.shape != wanted.shape:
            return float("inf")
        if not wanted.is_floating_point():
            continue
        got = output.detach().cpu().to(torch.float64)
        right = wanted.to(torch.float64)
        both_nan = got.isnan() & right.isnan() | (got == right)
        difference = torch.where(both_nan, 0.0, got - right).norm()
        size = torch.where(right.isfinite(), right, 0.0).norm()
        relative = float(difference / size.clamp_min(torch.finfo(torch.float64).tiny))
        if size == 0:
            relative = float(difference)
        worst = max(worst, float("inf") if relative != relative else relative)
    return worst


def limit(eager_error: float, dtype: str) -> float:
    """The largest error that an arm may have."""
    return max(_TIMES_EAGER * eager_error, _FLOOR.get(dtype, _FLOOR["float32"]))


def fingerprint(module: Any, args: Any, kwargs: Any) -> list[float]:
    """A few sums that tell whether two processes built the same model and the same inputs."""
    import torch

    sums = [0.0, 0.0]
    leaves = torch.utils._pytree.tree_leaves((args, kwargs))
    given = [each for each in leaves if isinstance(each, torch.Tensor)]
    for place, tensors in enumerate(((*module.parameters(), *module.buffers()), given)):
        for tensor in tensors:
            if tensor.numel() and not tensor.is_complex():
                values = tensor.detach().flatten()[:: max(1, tensor.numel() // 4096)]
                values = values.to(torch.float64).nan_to_num()
                weights = torch.arange(1, values.numel() + 1, device=values.device) % 97
                sums[place] += float((values * weights).sum())
    return sums


def _same(a: Any, b: Any) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _cast(value: Any, dtype: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor) and value.is_floating_point():
        return value.detach().to(dtype)
    return value
