"""torch 2.12: options have a value of its own in each thread, and in each asyncio task."""

from __future__ import annotations

from inductor_override.config_store.base import ConfigStore
from inductor_override.config_store.context_entries import ContextEntries
from inductor_override.patches.torch_2_7 import (
    AUTOTUNE_SWITCHES as AUTOTUNE_SWITCHES,
)
from inductor_override.patches.torch_2_7 import (
    GATE_PARAMETERS as GATE_PARAMETERS,
)
from inductor_override.patches.torch_2_7 import (
    STOCK_MIN_SMS as STOCK_MIN_SMS,
)
from inductor_override.patches.torch_2_7 import (
    TARGETS as TARGETS,
)
from inductor_override.patches.torch_2_7 import (
    count_sms as count_sms,
)

FIRST = (2, 12)
LAST = (2, 12)
STORE: type[ConfigStore] = ContextEntries  # https://github.com/pytorch/pytorch/pull/173568
SELECTION_RETURNS_CHOICE = True
LACKS: tuple[str, ...] = ()
