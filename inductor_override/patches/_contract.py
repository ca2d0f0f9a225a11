"""What each patch module states, and how a torch is compared with it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Protocol

from inductor_override._names import COMPILE_FX
from inductor_override._stores import store_of

Role = Literal["gate", "consumer", "compile", "graph"]
Release = tuple[int, int]


@dataclass(frozen=True)
class Target:
    """One row of the table of what is patched.

    `name` may list several, separated by `|`: the one that asks the gate is taken.
    """

    role: Role
    owner: str
    name: str
    upstream: str
    why: str


class PatchModule(Protocol):
    """The names that every module of this package has, all with the same meaning."""

    __name__: str

    @property
    def FIRST(self) -> Release:
        """The first release that it serves."""

    @property
    def LAST(self) -> Release:
        """The last release on which it was seen to work."""

    @property
    def STOCK_MIN_SMS(self) -> dict[str, int]:
        """Device type to the SM count from which on torch's own gate is open."""

    @property
    def GATE_PARAMETERS(self) -> tuple[str, ...]:
        """The parameters of `is_big_gpu`; a trailing `=` marks one with a default."""

    @property
    def STORES(self) -> tuple[str, ...]:
        """The kinds of config store that these releases have."""

    @property
    def TARGETS(self) -> tuple[Target, ...]:
        """What is patched."""

    def count_sms(self, *args: Any, **kwargs: Any) -> int | None:
        """SMs of the device that `is_big_gpu(*args, **kwargs)` asks about.

        None where SMs do not decide (ROCm).
        """


_COMPILE_FX_PY = "https://github.com/pytorch/pytorch/blob/v2.15.0/torch/_inductor/compile_fx.py"

COMPILE = Target(
    "compile",
    COMPILE_FX,
    "compile_fx",
    upstream=_COMPILE_FX_PY,
    why="the one door that every graph goes through, cache hits too: scopes count them here",
)

# From torch 2.6 on: before, the AOTAutograd cache does not keep backward graphs.
GRAPH = Target(
    "graph",
    COMPILE_FX,
    "_compile_fx_inner",
    upstream=_COMPILE_FX_PY,
    why="a backward graph gets the values of its forward graph, also of one that was compiled "
    "before the package was there: torch's cache keeps the two under one key",
)


def find_target(target: Target, owner: ModuleType) -> str | None:
    """The attribute of `owner` that a row means, or None when this torch does not have it."""
    for name in target.name.split("|"):
        found = vars(owner).get(name)
        if found is None:
            continue
        if target.role != "consumer" or "is_big_gpu" in _names_used(found):
            return name
    return None


def shape_differences(
    patch: PatchModule, config: ModuleType, owners: dict[str, ModuleType]
) -> list[str]:
    """What in this torch is not as the patch module was written for, one sentence each."""
    found = []
    for target in patch.TARGETS:
        if target.owner not in owners:  # not imported yet: looked at when it is
            continue
        name = find_target(target, owners[target.owner])
        if name is None:
            names = target.name.replace("|", " or ")
            asking = " that asks is_big_gpu" if target.role == "consumer" else ""
            found.append(f"{target.owner} has no {names}{asking}{_replaced(target, owners)}")
        elif target.role == "gate":
            parameters = _parameters(vars(owners[target.owner])[name], target.owner)
            if parameters is not None and parameters != patch.GATE_PARAMETERS:
                found.append(
                    f"{name} takes ({', '.join(parameters)}), "
                    f"expected ({', '.join(patch.GATE_PARAMETERS)})"
                )
    store = store_of(config)
    if store is None:
        found.append(f"the config store is of an unknown kind, expected {_either(patch.STORES)}")
    elif store.kind not in patch.STORES:
        found.append(f"the config store is {store.kind}, expected {_either(patch.STORES)}")
    return found


def _replaced(target: Target, owners: dict[str, ModuleType]) -> str:
    """Who else has put something of the target's name there, if anyone."""
    for name in target.name.split("|"):
        there = getattr(vars(owners[target.owner]).get(name), "__module__", target.owner)
        if there != target.owner:
            return f" ({name} was replaced by {there}: that is not torch's doing)"
    return ""


def _parameters(gate: Any, owner: str) -> tuple[str, ...] | None:
    """None for a gate that someone else put there: it tells nothing about torch."""
    if getattr(gate, "__module__", None) != owner:
        return None
    parameters = inspect.signature(gate).parameters.values()
    return tuple(p.name + ("" if p.default is p.empty else "=") for p in parameters)


def _names_used(function: Any) -> tuple[str, ...]:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_names if code is not None else ()


def _either(kinds: tuple[str, ...]) -> str:
    return " or ".join(kinds)
