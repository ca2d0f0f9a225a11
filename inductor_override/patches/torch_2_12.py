"""torch 2.12: options have a value of its own in each thread, and in each asyncio task."""

from __future__ import annotations

from dataclasses import replace

from inductor_override.config_store.context_entries import ContextEntries
from inductor_override.patches import torch_2_7

PATCH = replace(
    torch_2_7.PATCH,
    name="torch_2_12",
    first=(2, 12),
    last=(2, 12),
    store=ContextEntries,  # https://github.com/pytorch/pytorch/pull/173568
    selection_returns_choice=True,
    lacks=(),
)
