"""torch 2.6: the gate takes a `torch.device` too, and on ROCm the architecture decides, not SMs."""

from __future__ import annotations

from typing import Any

from inductor_override.config_store.base import ConfigStore
from inductor_override.config_store.entries import Entries
from inductor_override.patches.contract import COMPILE, GRAPH, consumer_target, gate_target
from inductor_override.patches.torch_2_4 import (
    AUTOTUNE_SWITCHES as AUTOTUNE_SWITCHES,
)
from inductor_override.patches.torch_2_4 import (
    SELECTION_RETURNS_CHOICE as SELECTION_RETURNS_CHOICE,
)
from inductor_override.patches.torch_2_4 import (
    STOCK_MIN_SMS as STOCK_MIN_SMS,
)

FIRST = (2, 6)
LAST = (2, 6)
GATE_PARAMETERS: tuple[str, ...] = ("index_or_device=",)
STORE: type[ConfigStore] = Entries
TARGETS = (
    gate_target("https://github.com/pytorch/pytorch/pull/141687"),
    consumer_target("_use_template_for_cuda", "https://github.com/pytorch/pytorch/issues/106991"),
    COMPILE,
    GRAPH,
)
LACKS: tuple[str, ...] = ("values of each thread's own",)


def count_sms(index_or_device: Any = 0) -> int | None:
    import torch
    from torch._inductor.runtime.hints import DeviceProperties

    if torch.version.hip:
        return None
    device = index_or_device
    if not isinstance(device, torch.device):
        device = torch.device("cuda", index_or_device)
    return int(DeviceProperties.create(device).multi_processor_count)
