"""torch 2.6: the gate takes a `torch.device` too, and on ROCm the architecture decides, not SMs."""

from __future__ import annotations

from typing import Any

from inductor_override._names import UTILS
from inductor_override.patches._contract import COMPILE, GRAPH, Target

FIRST = (2, 6)
LAST = (2, 6)
STOCK_MIN_SMS = {"cuda": 68}
GATE_PARAMETERS: tuple[str, ...] = ("index_or_device=",)
STORES: tuple[str, ...] = ("entries",)
TARGETS = (
    Target(
        role="gate",
        owner=UTILS,
        name="is_big_gpu",
        upstream="https://github.com/pytorch/pytorch/pull/141687",
        why="it alone decides whether GEMM templates are candidates",
    ),
    Target(
        role="consumer",
        owner=UTILS,
        name="_use_template_for_cuda",
        upstream="https://github.com/pytorch/pytorch/issues/106991",
        why="it asks the gate: here a foreign assignment to is_big_gpu is noticed",
    ),
    COMPILE,
    GRAPH,
)


def count_sms(index_or_device: Any = 0) -> int | None:
    import torch
    from torch._inductor.runtime.hints import DeviceProperties

    if torch.version.hip:
        return None
    device = index_or_device
    if not isinstance(device, torch.device):
        device = torch.device("cuda", index_or_device)
    return int(DeviceProperties.create(device).multi_processor_count)
