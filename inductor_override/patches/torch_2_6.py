"""torch 2.6: the gate takes a `torch.device` too, and on ROCm the architecture decides, not SMs."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from inductor_override.config_store.entries import Entries
from inductor_override.patches import torch_2_4
from inductor_override.patches.contract import COMPILE, GRAPH, gate_target


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
    torch_2_4.PATCH,
    name="torch_2_6",
    first=(2, 6),
    last=(2, 6),
    gate_parameters=("index_or_device=",),
    count_sms=count_sms,
    store=Entries,
    targets=(
        gate_target("https://github.com/pytorch/pytorch/pull/141687"),
        COMPILE,
        GRAPH,
    ),
    captures_models=True,
    lacks=("values of each thread's own",),
)
