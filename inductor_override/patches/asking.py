"""Whose a function is, and whether it comes to ask the gate."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

from inductor_override.request.names import UTILS

_GATE = "is_big_gpu"
_MOST = 100
"""Functions that are looked at, at most."""


def asks_the_gate(function: object) -> bool:
    """Whether a call of this function can come to ask `is_big_gpu`, as far as its code tells.

    Looked at are the function, what it wraps, and the functions in its closure and globals that it
    names.
    """
    seen: list[object] = []
    left = [function]
    while left and len(seen) < _MOST:
        one = left.pop()
        if any(one is other for other in seen):
            continue
        seen.append(one)
        code = getattr(one, "__code__", None)
        if isinstance(code, CodeType) and _GATE in _names_in(code):
            return True
        left += _reached_from(one, code)
    return False


def belongs_to_torch(function: object) -> bool:
    """Whether the function is the one that torch's module defines."""
    return getattr(function, "__module__", None) == UTILS


def find_consumer(names: tuple[str, ...], utils: ModuleType) -> tuple[str, object]:
    """The function that asks the gate by the first of these names that there is, and that name.

    None where this torch has no such function.
    """
    held = vars(utils)
    name = next((name for name in names if name in held), names[0])
    return name, held.get(name)


def gate_owner(utils: ModuleType | None) -> str | None:
    """Who has put another function in the place of torch's gate; None if nobody has.

    Args:
        utils: `torch._inductor.utils`; None if it is not imported.
    """
    gate = vars(utils).get(_GATE) if utils is not None else None
    gate = inspect.unwrap(gate) if gate is not None else None
    return None if gate is None or belongs_to_torch(gate) else name_of(gate)


def name_of(function: object) -> str:
    """How a function is named in messages: `unsloth.kernels.is_big_gpu`."""
    module = getattr(function, "__module__", None) or "?"
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{module}.{name}"


def _reached_from(one: Any, code: object) -> Iterator[object]:
    for attribute in ("__wrapped__", "__func__"):
        yield getattr(one, attribute, None)
    if isinstance(one, functools.partial):
        yield one.func
    if not isinstance(code, CodeType):
        yield vars(type(one)).get("__call__")  # an object that can be called
        return
    for cell in getattr(one, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell is empty
            continue
    everything = getattr(one, "__globals__", {})
    for name in _names_in(code):
        if callable(everything.get(name)) and not isinstance(everything[name], type):
            yield everything[name]


def _names_in(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_in(constant)
    return names
