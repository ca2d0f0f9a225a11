"""torch 2.13 to 2.15: each thread also keeps what it has read of the whole config."""

from __future__ import annotations

from dataclasses import replace

from inductor_override.config_store.context_entries import CachedContextEntries
from inductor_override.patches import torch_2_12

PATCH = replace(
    torch_2_12.PATCH,
    name="torch_2_13",
    first=(2, 13),
    last=(2, 15),
    store=CachedContextEntries,  # https://github.com/pytorch/pytorch/pull/181159
)
