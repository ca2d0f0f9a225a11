"""A line in torch's structured trace, so that a tlparse report shows the override."""

from __future__ import annotations

import json
from typing import Any


def record(facts: dict[str, Any]) -> None:
    """Add an artifact named `inductor_override` to the compile that is running.

    Only where torch has a structured trace (2.3 on), and only costs something where someone asked
    for it with TORCH_TRACE.
    """
    try:
        from torch._logging import trace_structured
    except ImportError:
        return
    trace_structured(
        "artifact",
        metadata_fn=lambda: {"name": "inductor_override", "encoding": "json"},
        payload_fn=lambda: json.dumps(facts),
    )
