"""torch 2.7 to 2.15: the gate also serves Intel XPU, where it opens at 16."""

from __future__ import annotations

from functools import cache
from typing import Any

from inductor_override._names import UTILS
from inductor_override.patches._contract import COMPILE, GRAPH, Target

FIRST = (2, 7)
LAST = (2, 15)
STOCK_MIN_SMS = {"cuda": 68, "xpu": 16}
GATE_PARAMETERS: tuple[str, ...] = ("index_or_device=",)
STORES: tuple[str, ...] = ("entries", "entries per context")  # until 2.11, from 2.12 on
TARGETS = (
    Target(
        role="gate",
        owner=UTILS,
        name="is_big_gpu",
        upstream="https://github.com/pytorch/pytorch/pull/143491",
        why="it alone decides whether GEMM templates are candidates",
    ),
    Target(
        role="consumer",
        owner=UTILS,
        name="_use_template_for_gpu",
        upstream="https://github.com/pytorch/pytorch/pull/143266",
        why="it asks the gate: here a foreign assignment to is_big_gpu is noticed",
    ),
    COMPILE,
    GRAPH,
)


@cache
def _torch() -> tuple[Any, Any]:
    # Once: the gate is asked often, and importing what is imported takes microseconds each time.
    import torch
    from torch._inductor.runtime.hints import DeviceProperties

    return torch, DeviceProperties


def count_sms(index_or_device: Any = 0) -> int | None:
    torch, properties = _torch()
    if torch.version.hip:
        return None
    device = index_or_device
    if not isinstance(device, torch.device):
        from torch._inductor.utils import get_gpu_type

        device = torch.device(get_gpu_type(), index_or_device)
    return int(properties.create(device).multi_processor_count)
