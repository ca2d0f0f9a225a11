"""torch 2.4 and 2.5: the threshold came down from 80 to 68 SMs (an RTX 3080)."""

from __future__ import annotations

from inductor_override.config_store.base import ConfigStore
from inductor_override.config_store.plain_dicts import PlainDicts
from inductor_override.patches.contract import COMPILE, consumer_target, gate_target
from inductor_override.patches.torch_2_0 import (
    AUTOTUNE_SWITCHES as AUTOTUNE_SWITCHES,
)
from inductor_override.patches.torch_2_0 import (
    GATE_PARAMETERS as GATE_PARAMETERS,
)
from inductor_override.patches.torch_2_0 import (
    SELECTION_RETURNS_CHOICE as SELECTION_RETURNS_CHOICE,
)
from inductor_override.patches.torch_2_0 import (
    count_sms as count_sms,
)

FIRST = (2, 4)
LAST = (2, 5)
STOCK_MIN_SMS = {"cuda": 68}
STORE: type[ConfigStore] = PlainDicts
TARGETS = (
    gate_target("https://github.com/pytorch/pytorch/pull/123121"),
    consumer_target("_use_template_for_cuda", "https://github.com/pytorch/pytorch/issues/106991"),
    COMPILE,
)
LACKS: tuple[str, ...] = (
    "the environment variable without `run` (2.5 has it)",
    "values of each thread's own",
)
