"""torch 2.7 to 2.11: the gate also serves Intel XPU, where it opens at 16."""

from __future__ import annotations

from functools import cache
from typing import Any

from inductor_override.config_store.base import ConfigStore
from inductor_override.config_store.entries import Entries
from inductor_override.patches.contract import COMPILE, GRAPH, consumer_target, gate_target
from inductor_override.patches.torch_2_6 import (
    AUTOTUNE_SWITCHES as AUTOTUNE_SWITCHES,
)
from inductor_override.patches.torch_2_6 import (
    GATE_PARAMETERS as GATE_PARAMETERS,
)
from inductor_override.patches.torch_2_6 import (
    LACKS as LACKS,
)
from inductor_override.patches.torch_2_6 import (
    SELECTION_RETURNS_CHOICE as SELECTION_RETURNS_CHOICE,
)

FIRST = (2, 7)
LAST = (2, 11)
STOCK_MIN_SMS = {"cuda": 68, "xpu": 16}
STORE: type[ConfigStore] = Entries
TARGETS = (
    gate_target("https://github.com/pytorch/pytorch/pull/143491"),
    consumer_target("_use_template_for_gpu", "https://github.com/pytorch/pytorch/pull/143266"),
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
