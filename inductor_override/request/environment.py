"""What the environment variables ask for. Nothing here raises."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from inductor_override.request.min_sms import ALLOWED
from inductor_override.request.names import ENV_DISABLE, ENV_OPTION, ENV_SETTINGS, TORCH_DECIDES


@dataclass(frozen=True)
class Environment:
    """What the environment asks for at this moment.

    Attributes:
        min_sms: the threshold; None when the variable is not set, is empty, or cannot be used.
        settings: further options of Inductor's config, from `run --set`.
        switched_off: whether INDUCTOR_OVERRIDE_DISABLE=1: every entry is then a no-op.
        problems: one sentence for each variable that cannot be used; it names the variable, its
            value and what is allowed.
    """

    min_sms: int | None
    settings: dict[str, Any]
    switched_off: bool
    problems: tuple[str, ...]


def read_environment() -> Environment:
    """Read all variables of the package."""
    min_sms, bad_value = _min_sms()
    settings, bad_settings = _settings()
    problems = (switch_problem(), bad_value, bad_settings)
    return Environment(min_sms, settings, switched_off(), tuple(p for p in problems if p))


def switched_off() -> bool:
    """Whether `INDUCTOR_OVERRIDE_DISABLE=1`."""
    return os.environ.get(ENV_DISABLE, "").strip() == "1"


def switch_problem() -> str | None:
    """A sentence about a value of `INDUCTOR_OVERRIDE_DISABLE` that means nothing, else None."""
    text = os.environ.get(ENV_DISABLE, "").strip()
    if text in ("", "0", "1"):
        return None
    return f"{ENV_DISABLE}={text!r} switches nothing off: it must be 1 (off) or 0 (on)"


def _min_sms() -> tuple[int | None, str | None]:
    text = os.environ.get(ENV_OPTION, "").strip()
    if not text:
        return None, None
    with suppress(ValueError):
        if (value := int(text)) >= TORCH_DECIDES:
            return value, None
    return None, (
        f"{ENV_OPTION}={text!r} is ignored: it must be {ALLOWED}, or -1 for torch's own decision. "
        "torch decides in this process"
    )


def _settings() -> tuple[dict[str, Any], str | None]:
    text = os.environ.get(ENV_SETTINGS, "").strip()
    if not text:
        return {}, None
    with suppress(ValueError):
        if isinstance(settings := json.loads(text), dict):
            return settings, None
    return {}, f"{ENV_SETTINGS} is ignored: it must be a JSON object of Inductor options"
