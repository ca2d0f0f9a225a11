"""torch 2.13 to 2.15: each thread also keeps what it has read of the whole config."""

from __future__ import annotations

from inductor_override.config_store.base import ConfigStore
from inductor_override.config_store.context_entries import CachedContextEntries
from inductor_override.patches.torch_2_12 import (
    AUTOTUNE_SWITCHES as AUTOTUNE_SWITCHES,
)
from inductor_override.patches.torch_2_12 import (
    GATE_PARAMETERS as GATE_PARAMETERS,
)
from inductor_override.patches.torch_2_12 import (
    LACKS as LACKS,
)
from inductor_override.patches.torch_2_12 import (
    SELECTION_RETURNS_CHOICE as SELECTION_RETURNS_CHOICE,
)
from inductor_override.patches.torch_2_12 import (
    STOCK_MIN_SMS as STOCK_MIN_SMS,
)
from inductor_override.patches.torch_2_12 import (
    TARGETS as TARGETS,
)
from inductor_override.patches.torch_2_12 import (
    count_sms as count_sms,
)

FIRST = (2, 13)
LAST = (2, 15)
STORE: type[ConfigStore] = CachedContextEntries  # https://github.com/pytorch/pytorch/pull/181159
