"""Which patch module serves which torch, by its version and by its shape."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

from packaging.version import InvalidVersion, Version

from inductor_override.errors import UnsupportedTorchError
from inductor_override.patches import (
    torch_2_0,
    torch_2_4,
    torch_2_6,
    torch_2_7,
    torch_2_12,
    torch_2_13,
)
from inductor_override.patches.asking import asks_the_gate, belongs_to_torch, find_consumer, name_of
from inductor_override.patches.contract import Patch, Release
from inductor_override.request.names import UTILS

PATCHES = (
    torch_2_0.PATCH,
    torch_2_4.PATCH,
    torch_2_6.PATCH,
    torch_2_7.PATCH,
    torch_2_12.PATCH,
    torch_2_13.PATCH,
)
"""Oldest first. Releases between two modules' ranges do not exist."""


@dataclass(frozen=True)
class Selection:
    """The patch module for a torch.

    Attributes:
        patch: the module.
        note: said when the module is used by shape, not by version.
    """

    patch: Patch
    note: str | None = None


def newest() -> Patch:
    """The patch with which an unknown torch is compared."""
    return PATCHES[-1]


def known_range() -> str:
    """The releases that the package was written for: `2.0 to 2.15`."""
    first, last = PATCHES[0].first, PATCHES[-1].last
    return f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"


@cache  # as below: it is asked for each scope
def release_of(version: str) -> Release | None:
    """The first two numbers of a version; None when it is not a version.

    ======================================  ========
    ``2.9.1``, ``2.9.1+cu128``              (2, 9)
    ``2.10.0``                              (2, 10)
    ``2.16.0.dev20261101+cu130``            (2, 16)
    ``2.7.0a0+7c8ec84dab.nv25.03``          (2, 7)
    ``2.9.0a0+git1a2b3c4``                  (2, 9)
    ======================================  ========
    """
    try:
        release = Version(version).release
    except InvalidVersion:
        return None
    return (release[0], release[1] if len(release) > 1 else 0)


def serving(version: str) -> Patch | None:
    """The patch module whose range holds this version of torch."""
    release = release_of(version)
    if release is None:
        return None
    return next((patch for patch in PATCHES if patch.first <= release <= patch.last), None)


def select(version: str, config: ModuleType, owners: dict[str, ModuleType]) -> Selection:
    """The patch module for the torch at hand.

    A known release of another shape (a vendor's build of a version to come, for one) is given to
    the module whose shape it has. A release after the last known one is compared with the newest
    module only.

    Args:
        version: `torch.__version__`.
        config: `torch._inductor.config`.
        owners: those modules that the table names and that are imported, by their names.

    Raises:
        UnsupportedTorchError: no module fits; it lists what differs. Or another package decides.
    """
    by_version = serving(version)
    release = None if by_version else release_of(version)
    if release is not None and release < PATCHES[0].first:
        raise UnsupportedTorchError(version, known_range(), ["it is older than the first known"])
    expected = by_version or newest()
    differences = shape_differences(expected, config, owners)
    if not differences:
        note = None
        if not by_version:
            note = (
                f"torch {version} is not known (known: {known_range()}), but the gate, the "
                "function that asks it and the config store have the shape that "
                f"{expected.name} was written for: {expected.name} is used"
            )
        return Selection(expected, note)
    if by_version:
        for other in reversed(PATCHES):
            if other is not expected and not shape_differences(other, config, owners):
                note = (
                    f"torch {version} has the shape that {other.name} was written for, "
                    f"not that of {expected.name}: {'; '.join(differences)}"
                )
                return Selection(other, note)
    _refuse_if_another_decides(expected, owners, version)
    raise UnsupportedTorchError(version, known_range(), differences)


def shape_differences(patch: Patch, config: ModuleType, owners: dict[str, ModuleType]) -> list[str]:
    """What in this torch is not as the patch module was written for, one sentence each."""
    found = []
    for target in patch.targets:
        if target.owner not in owners:  # not imported yet
            continue
        function = vars(owners[target.owner]).get(target.name)
        if function is None:
            found.append(f"{target.owner} has no {target.name}")
        elif target.role == "gate" and belongs_to_torch(function):  # another's tells nothing
            parameters = _parameters(function)
            if parameters != patch.gate_parameters:
                found.append(
                    f"{target.name} takes ({', '.join(parameters)}), "
                    f"expected ({', '.join(patch.gate_parameters)})"
                )
    if UTILS in owners:
        name, consumer = find_consumer(patch.consumers, owners[UTILS])
        if consumer is None or not asks_the_gate(consumer):
            found.append(f"{UTILS} has no {name} that asks is_big_gpu")
    if not patch.store.fits(config):
        found.append(f"the config does not keep its values as {patch.store.kind}")
    return found


def _refuse_if_another_decides(patch: Patch, owners: dict[str, ModuleType], version: str) -> None:
    if UTILS not in owners:
        return
    name, found = find_consumer(patch.consumers, owners[UTILS])
    if found is None or belongs_to_torch(found) or asks_the_gate(found):
        return
    who = name_of(found)
    raise UnsupportedTorchError(
        version,
        known_range(),
        [
            f"another package decides about GEMM templates here: {UTILS}.{name} was replaced by "
            f"{who}, which does not ask is_big_gpu, so a threshold would have no effect"
        ],
        f"Take that replacement out, or leave the decision to {who} and do without "
        "inductor-override (INDUCTOR_OVERRIDE_DISABLE=1)",
    )


@cache
def _parameters(gate: Any) -> tuple[str, ...]:
    parameters = inspect.signature(gate).parameters.values()
    return tuple(p.name + ("" if p.default is p.empty else "=") for p in parameters)
