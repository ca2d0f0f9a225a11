"""The options of `--set OPTION=VALUE`, checked against this environment's Inductor."""

from __future__ import annotations

import ast
import json
from typing import Any

from inductor_override.cli.errors import CannotError
from inductor_override.request.names import OPTION


def checked_settings(given: tuple[str, ...]) -> dict[str, Any]:
    """The options of --set, checked against this environment's Inductor: only then it is imported.

    Values are Python literals (True, 3, None, ['a']); what is none is taken as text.
    """
    chosen: dict[str, Any] = {}
    for setting in given:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise CannotError(f"--set {setting!r} is not valid; allowed: OPTION=VALUE")
        if name.replace("-", "_") in ("min_sms", OPTION):
            raise CannotError(f"--set {setting!r} is not valid: the threshold is --min-sms N")
        chosen.update(_checked(name, _value_of(text), setting))
    return chosen


def _value_of(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _checked(name: str, value: object, setting: str) -> dict[str, Any]:
    try:
        import torch._inductor.config as config
    except ImportError as error:
        raise CannotError(f"--set: torch cannot be imported to check it: {error}") from None
    from inductor_override.request.inductor_options import check_inductor_options

    try:
        chosen = check_inductor_options({name: value}, config)
    except (TypeError, ValueError) as error:
        raise CannotError(f"--set {setting!r}: {error}") from None
    try:
        carried = json.loads(json.dumps(value)) == value
    except (TypeError, ValueError):
        carried = False
    if not carried:
        allowed = "True, False, None, a number, a text, a list of these, or a dict with text keys"
        raise CannotError(f"--set {setting!r} is not valid; allowed: {allowed}")
    return chosen
