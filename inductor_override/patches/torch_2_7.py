"""torch 2.7 to 2.11: the gate also serves Intel XPU, where it opens at 16."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from inductor_override.patches import torch_2_6
from inductor_override.patches.contract import COMPILE, GRAPH, consumer_target, gate_target


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


PATCH = replace(
    torch_2_6.PATCH,
    name="torch_2_7",
    first=(2, 7),
    last=(2, 11),
    stock_min_sms={"cuda": 68, "xpu": 16},
    count_sms=count_sms,
    targets=(
        gate_target("https://github.com/pytorch/pytorch/pull/143491"),
        consumer_target("_use_template_for_gpu", "https://github.com/pytorch/pytorch/pull/143266"),
        COMPILE,
        GRAPH,
    ),
)
