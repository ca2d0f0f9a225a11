"""The environment in which a command, and each Python that it starts, has the override on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inductor_override.request.names import ENV_OPTION, ENV_SETTINGS

_STARTUP = Path(__file__).parent / "install" / "startup"
"""Its sitecustomize brings the override before torch reads the variable itself (torch 2.5)."""


def with_override(
    environment: Mapping[str, str], min_sms: int, settings: Mapping[str, Any]
) -> dict[str, str]:
    """`environment` with what `inductor-override run --min-sms N --set ...` adds to it."""
    path = environment.get("PYTHONPATH")
    found = {
        **environment,
        ENV_OPTION: str(min_sms),
        "PYTHONPATH": os.pathsep.join([str(_STARTUP), path] if path else [str(_STARTUP)]),
    }
    if settings:
        found[ENV_SETTINGS] = json.dumps(dict(settings))
    return found
