"""What each patch module states: all that is particular to its releases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from inductor_override.config_store.base import ConfigStore
from inductor_override.request.names import COMPILE_FX, UTILS

Role = Literal["gate", "compile", "graph"]
Release = tuple[int, int]


@dataclass(frozen=True)
class Target:
    """One row of the table of what is patched.

    Attributes:
        role: which hook goes there.
        owner: the module that has the attribute.
        name: the attribute.
        upstream: where torch says why it is as it is.
        why: why it is patched.
    """

    role: Role
    owner: str
    name: str
    upstream: str
    why: str


@dataclass(frozen=True)
class Patch:
    """The `PATCH` of a patch module. What did not change is taken over from the one before.

    Attributes:
        name: of the module.
        first, last: the first release that it serves, and the last on which it was seen to work.
        stock_min_sms: device type to the SM count from which on torch's own gate is open.
        gate_parameters: the parameters of `is_big_gpu`; a trailing `=` marks one with a default.
        count_sms: called with the gate's arguments: SMs of the device that is asked about, or None
            where SMs do not decide (ROCm).
        store: where the config keeps its values.
        targets: what is patched.
        consumers: the function of `torch._inductor.utils` that asks the gate, by the names that it
            has in these releases, the latest first. It is not patched, but looked at: does it come
            to ask the gate, and is it torch's?
        autotune_switches: the options of which one has to be on for Inductor to tune.
        selection_returns_choice: whether Inductor's selection of a kernel returns the chosen
            candidate beside its node. The simulated GPU stands in for that selection.
        captures_models: whether a model can be captured on `meta`, and its candidates compiled
            without a GPU.
        lacks: what users of later releases have and users of these do not.
    """

    name: str
    first: Release
    last: Release
    stock_min_sms: dict[str, int]
    gate_parameters: tuple[str, ...]
    count_sms: Callable[..., int | None]
    store: type[ConfigStore]
    targets: tuple[Target, ...]
    consumers: tuple[str, ...]
    autotune_switches: tuple[str, ...]
    selection_returns_choice: bool
    captures_models: bool
    lacks: tuple[str, ...]


def gate_target(upstream: str) -> Target:
    return Target(
        "gate",
        UTILS,
        "is_big_gpu",
        upstream,
        why="it alone decides whether GEMM and convolution templates are candidates",
    )


_COMPILE_FX_PY = "https://github.com/pytorch/pytorch/blob/v2.15.0/torch/_inductor/compile_fx.py"

COMPILE = Target(
    "compile",
    COMPILE_FX,
    "compile_fx",
    _COMPILE_FX_PY,
    why="the one function that every graph goes through, cache hits too: scopes count them here, "
    "and a foreign assignment to is_big_gpu is noticed",
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
