"""What each patch module states. A patch module states all that is particular to its releases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from inductor_override.config_store.base import ConfigStore
from inductor_override.request.names import COMPILE_FX, UTILS

Role = Literal["gate", "consumer", "compile", "graph"]
Release = tuple[int, int]


@dataclass(frozen=True)
class Target:
    """One row of the table of what is patched.

    Attributes:
        role: which hook goes there.
        owner: the module that has the attribute.
        name: the attribute; several, separated by `|`, where releases differ.
        upstream: where torch says why it is as it is.
        why: why it is patched.
    """

    role: Role
    owner: str
    name: str
    upstream: str
    why: str


class PatchModule(Protocol):
    """The names that every patch module has, all with the same meaning.

    Attributes:
        FIRST, LAST: the first release that it serves, and the last on which it was seen to work.
        STOCK_MIN_SMS: device type to the SM count from which on torch's own gate is open.
        GATE_PARAMETERS: the parameters of `is_big_gpu`; a trailing `=` marks one with a default.
        STORE: where the config keeps its values.
        TARGETS: what is patched.
        AUTOTUNE_SWITCHES: the options of which one has to be on for Inductor to ask the gate.
        SELECTION_RETURNS_CHOICE: whether Inductor's selection of a kernel returns the chosen
            candidate beside its node. The simulated GPU stands in for that selection.
        LACKS: what users of later releases have and users of these do not.
    """

    __name__: str
    FIRST: Release
    LAST: Release
    STOCK_MIN_SMS: dict[str, int]
    GATE_PARAMETERS: tuple[str, ...]
    STORE: type[ConfigStore]
    TARGETS: tuple[Target, ...]
    AUTOTUNE_SWITCHES: tuple[str, ...]
    SELECTION_RETURNS_CHOICE: bool
    LACKS: tuple[str, ...]

    def count_sms(self, *args: Any, **kwargs: Any) -> int | None:
        """SMs of the device that `is_big_gpu(*args, **kwargs)` asks about.

        None where SMs do not decide (ROCm).
        """


def gate_target(upstream: str) -> Target:
    return Target(
        "gate",
        UTILS,
        "is_big_gpu",
        upstream,
        why="it alone decides whether GEMM and convolution templates are candidates",
    )


def consumer_target(name: str, upstream: str) -> Target:
    return Target(
        "consumer",
        UTILS,
        name,
        upstream,
        why="it asks the gate: here a foreign assignment to is_big_gpu is noticed",
    )


_COMPILE_FX_PY = "https://github.com/pytorch/pytorch/blob/v2.15.0/torch/_inductor/compile_fx.py"

COMPILE = Target(
    "compile",
    COMPILE_FX,
    "compile_fx",
    _COMPILE_FX_PY,
    why="the one function that every graph goes through, cache hits too: scopes count them here",
)

# From torch 2.6 on: before, the AOTAutograd cache does not keep backward graphs.
GRAPH = Target(
    "graph",
    COMPILE_FX,
    "_compile_fx_inner",
    _COMPILE_FX_PY,
    why="a backward graph gets the values of its forward graph, also of one that was compiled "
    "before the package was there: torch's cache keeps the two under one key",
)
