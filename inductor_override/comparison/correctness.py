"""Whether what an arm computes is right, against a reference of higher precision.

The reference is computed once, without compiling and without TF32, and kept in a file for all
processes. The limits come from the same model's errors without compiling, in its own dtype: a
compiled kernel may sum in another order, and may not be wrong.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inductor_override.workload.errors import WorkloadError

FLOAT64_PARAMETERS = 200_000_000
"""Models with more are compared with float32: their float64 copy would not fit."""
Groups = list[list[Any]]
"""The tensors of one step: what was returned, and the gradients."""
_TIMES_EAGER = 4.0
_FLOOR = {"float64": 1e-9, "float16": 5e-3, "bfloat16": 4e-2}
"""Relative errors that are no fault in any model; 1e-5 for another dtype."""
_OF_ALL = 0.01
"""A tensor is measured by its own norm, or by this much of its group's if that is more: gradients
that are zero but for rounding have no relative error."""
_UNEQUAL = 0.01
"""The share of whole numbers that may differ: an argmax between equals."""
_REPEATABLE = 1e-6
_CHUNK = 1 << 24
_LARGEST = sys.float_info.max  # JSON has no infinity


def make_reference(
    module: Any, step: Callable[[Any, Any, Any], Groups], args: Any, kwargs: Any, path: Path
) -> None:
    """Compute one step in higher precision, and keep what it gave in `path`.

    A model that insists on its own dtype is its own reference: what it computes uncompiled. Where
    memory does not suffice there is none.
    """
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    parameters = sum(each.numel() for each in module.parameters())
    higher = torch.float32 if parameters > FLOAT64_PARAMETERS else torch.float64
    twice = None
    for dtype in (higher, None):
        try:
            twice = _twice(module, step, args, kwargs, dtype)
            break
        except WorkloadError:
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            if dtype is None and "memory" not in str(error):
                raise  # the model cannot be run at all
    kept: dict[str, Any] = {"groups": None, "why_not": "the memory does not suffice", "dtype": None}
    if twice is not None:
        kept |= {"dtype": "its own" if dtype is None else str(dtype).removeprefix("torch.")}
        if max(errors(twice[1], twice[0]), default=0.0) < _REPEATABLE:
            kept["groups"] = twice[0]
        else:
            kept["why_not"] = "the model draws random numbers"
    torch.save(kept, path)


def _twice(
    module: Any, step: Callable[[Any, Any, Any], Groups], args: Any, kwargs: Any, dtype: Any
) -> tuple[Groups, Groups]:
    """A step with either of two states of the random number generator, on the CPU."""
    import torch

    args, kwargs = torch.utils._pytree.tree_map(lambda v: _cast(v, dtype), (args, kwargs))
    both: list[Groups] = []
    for seed in (1, 2):
        higher = copy.deepcopy(module)._apply(lambda tensor: _cast(tensor, dtype))
        torch.manual_seed(seed)
        found = step(higher, args, kwargs)
        both.append([[each.detach().cpu().clone() for each in group] for group in found])
    return both[0], both[1]


def load_reference(path: Path) -> dict[str, Any]:
    """What `make_reference` kept: `groups`, or `why_not`."""
    import torch

    found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return found


def errors(groups: Groups, reference: Groups) -> list[float]:
    """The relative error of each tensor: the norm of the difference over the tensor's norm.

    Of whole numbers the share that differs, if it is more than one in a hundred. As large as a
    float can be where a tensor has another shape, or is not a number where the reference is one.
    """
    found: list[float] = []
    for group, wanted in zip(groups, reference, strict=True):
        if [each.shape for each in group] != [each.shape for each in wanted]:
            return [_LARGEST]
        parts = [_parts(got, right) for got, right in zip(group, wanted, strict=True)]
        of_all = _OF_ALL * math.sqrt(sum(size**2 for _, size in parts if math.isfinite(size)))
        for (difference, size), right in zip(parts, wanted, strict=True):
            if not (right.is_floating_point() or right.is_complex()):
                unequal = difference / max(right.numel(), 1)
                found.append(unequal if unequal > _UNEQUAL else 0.0)
                continue
            relative = difference / max(size, of_all) if max(size, of_all) else difference
            found.append(min(relative, _LARGEST) if relative == relative else _LARGEST)
    return found


def _parts(got: Any, right: Any) -> tuple[float, float]:
    """The norm of the difference, and of the reference; of whole numbers how many differ, and 0."""
    import torch

    if right.is_complex():
        got, right = torch.view_as_real(got), torch.view_as_real(right)
    got, right = got.detach().flatten(), right.flatten()
    if not right.is_floating_point():
        return float((got.cpu() != right).sum()), 0.0
    difference = size = 0.0
    for begin in range(0, right.numel(), _CHUNK):  # float64 copies of a whole output may not fit
        here = got[begin : begin + _CHUNK].cpu().to(torch.float64)
        there = right[begin : begin + _CHUNK].to(torch.float64)
        alike = (here.isnan() & there.isnan()) | (here == there)
        difference += float(torch.where(alike, 0.0, here - there).square().sum())
        size += float(torch.where(there.isfinite(), there, 0.0).square().sum())
    return math.sqrt(difference), math.sqrt(size)


def worst(found: list[float], eager: list[float], dtype: str) -> tuple[float, float] | None:
    """The error that is largest against its limit, and that limit.

    None where the model overflows without compiling, too: then nothing can be told.

    Args:
        found, eager: of each tensor, compiled and not compiled.
        dtype: of the model.
    """
    if len(found) != len(eager):
        return _LARGEST, _FLOOR.get(dtype, 1e-5)
    if any(each >= _LARGEST for each in eager):
        return None
    floor = _FLOOR.get(dtype, 1e-5)
    pairs = [(each, max(_TIMES_EAGER * own, floor)) for each, own in zip(found, eager, strict=True)]
    return max(pairs, key=lambda pair: pair[0] / pair[1], default=(0.0, floor))


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
                values = values.cpu().to(torch.float64).nan_to_num()
                weights = torch.arange(1, values.numel() + 1) % 97
                sums[place] += float((values * weights).sum())
    return sums


def _cast(value: Any, dtype: Any) -> Any:
    import torch

    if dtype is None or not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return value
    return value.to(dtype)
