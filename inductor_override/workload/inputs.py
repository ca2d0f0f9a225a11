"""The tensors that a model is called with: on `meta`, or with values on a device."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.problem import DTYPE_ALIASES

META = "meta"


@dataclass(frozen=True)
class TensorSpec:
    """A tensor by its dtype and sizes, such as `float16[8,1024]`."""

    dtype: str
    sizes: tuple[int, ...]


def parse_input(text: str) -> TensorSpec:
    """Read `dtype[sizes]`.

    Raises:
        WorkloadError: another form; the message shows the right one.
    """
    match = re.fullmatch(r"\s*(?:torch\.)?(\w+)\s*\[\s*(\d+(?:\s*,\s*\d+)*)?\s*\]\s*", text)
    if match is None:
        raise WorkloadError(
            f"{text!r} is not valid; allowed: dtype[sizes], such as float16[8,1024]"
        )
    dtype = DTYPE_ALIASES.get(match[1], match[1])
    sizes = tuple(int(size) for size in (match[2] or "").split(",") if size.strip())
    return TensorSpec(dtype, sizes)


def placed(value: Any, dtype: Any, device: str) -> Any:
    """A tensor, or what a TensorSpec describes, on a device; anything else as it is.

    A TensorSpec says its own dtype; of a tensor only floating-point values are cast. Values for a
    TensorSpec: normally distributed, or 0 and 1 where the dtype is a whole number, so that they can
    be indices.
    """
    import torch

    if isinstance(value, TensorSpec):
        wanted = getattr(torch, value.dtype, None)
        if not isinstance(wanted, torch.dtype):
            raise WorkloadError(f"torch has no dtype {value.dtype!r}")
        if device == META:
            return torch.empty(value.sizes, dtype=wanted, device=device)
        if wanted.is_floating_point or wanted.is_complex:
            return torch.randn(value.sizes, device=device).to(wanted)
        return torch.randint(0, 2, value.sizes, device=device).to(wanted)
    if not isinstance(value, torch.Tensor):
        return value
    return value.to(device, dtype if value.is_floating_point() else None)
