"""The user's code: the line that a warning names, and the functions that a scope can decorate."""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any

_BETWEEN = {f"{__package__}.{name}" for name in ("api", "scope")} | {"contextlib", "copy", "pickle"}
"""Modules that may be between a user's line and the package."""


def users_frame() -> tuple[FrameType, int]:
    """The innermost frame that is a user's, and its stack level for the caller of this."""
    frame, level = sys._getframe(2), 2
    while frame.f_globals.get("__name__") in _BETWEEN and frame.f_back is not None:
        frame, level = frame.f_back, level + 1
    return frame, level


def check_decorated(function: Any) -> None:
    name = getattr(function, "__qualname__", repr(function))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{name} is a generator: the scope would be open in its caller "
            "too, between two values. Open it inside, with `with`"
        )
    if getattr(function, "__globals__", {}).get("__name__") == "contextlib":
        raise TypeError(
            f"{name} makes a context manager: the scope would be open while "
            "it is made, not in its `with` block. Open it inside, with `with`"
        )
    if not inspect.isroutine(function):
        raise TypeError(
            f"override() decorates functions, not {type(function).__name__} objects. For one "
            "model use torch.compile(model, options=inductor_override.options(...))"
        )
