"""The environment in which a command, and each Python that it starts, has the override on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inductor_override.request.names import ENV_OPTION, ENV_REPORT, ENV_SETTINGS

_STARTUP = Path(__file__).parent / "install" / "startup"
"""Its sitecustomize brings the override before torch reads the variable itself (torch 2.5)."""


def with_override(
    environment: Mapping[str, str], min_sms: int, settings: Mapping[str, Any]
) -> dict[str, str]:
    """`environment` with what `inductor-override run --min-sms N --set ...` adds to it."""
    found = {**_with_startup(environment), ENV_OPTION: str(min_sms)}
    if settings:
        found[ENV_SETTINGS] = json.dumps(dict(settings))
    return found


def with_reports(environment: Mapping[str, str], file: str) -> dict[str, str]:
    """`environment` in which each Python process reports to `file`, and nothing else is changed."""
    return {**_with_startup(environment), ENV_REPORT: file}


def _with_startup(environment: Mapping[str, str]) -> dict[str, str]:
    path = environment.get("PYTHONPATH")
    found = os.pathsep.join([str(_STARTUP), path] if path else [str(_STARTUP)])
    return {**environment, "PYTHONPATH": found}
