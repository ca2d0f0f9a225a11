"""The table of what is patched, and which patch module serves which torch."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from inductor_override._errors import UnsupportedTorchError
from inductor_override._store import ConfigStore
from inductor_override._stores import store_of
from inductor_override.patches._contract import (
    PatchModule,
    Release,
    Target,
    find_target,
    shape_differences,
)

__all__ = [
    "MODULES",
    "PatchModule",
    "Selection",
    "Selector",
    "Target",
    "find_target",
    "known_range",
    "modules",
    "release_of",
    "select",
    "serving",
]

MODULES = ("torch_2_0", "torch_2_4", "torch_2_6", "torch_2_7")
"""Oldest first. Releases between two modules' ranges do not exist."""


@dataclass(frozen=True)
class Selection:
    """The patch module for a torch.

    Attributes:
        patch: the module.
        names: (role, owner, attribute) of each row whose owner is imported.
        note: said when the module is used by shape, not by version.
    """

    patch: PatchModule
    names: tuple[tuple[str, str, str], ...]
    note: str | None = None


@cache
def modules() -> tuple[PatchModule, ...]:
    return tuple(importlib.import_module(f"{__name__}.{name}") for name in MODULES)


def short_name(patch: PatchModule) -> str:
    """`torch_2_7`."""
    return patch.__name__.rpartition(".")[2]


def known_range() -> str:
    """The releases that the package was written for: `2.0 to 2.15`."""
    first, last = modules()[0].FIRST, modules()[-1].LAST
    return f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"


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
    from packaging.version import InvalidVersion, Version  # not for those who only import us

    try:
        release = Version(version).release
    except InvalidVersion:
        return None
    return (release[0], release[1] if len(release) > 1 else 0)


def serving(release: Release) -> PatchModule | None:
    """The patch module whose range holds this release."""
    return next((patch for patch in modules() if patch.FIRST <= release <= patch.LAST), None)


def select(version: str, config: ModuleType, owners: dict[str, ModuleType]) -> Selection:
    """The patch module for the torch at hand, told by its version and by its shape.

    A known release of another shape (a vendor's build of a version to come, for one) is given to
    the module whose shape it has. A release after the last known one is compared with the newest
    module only.

    Args:
        version: `torch.__version__`.
        config: `torch._inductor.config`.
        owners: those modules that the table names and that are imported, by their names.

    Raises:
        UnsupportedTorchError: no module fits; it lists what differs.
    """
    release = release_of(version)
    newest = modules()[-1]
    if release is not None and release < modules()[0].FIRST:
        raise UnsupportedTorchError(version, known_range(), ["it is older than the first known"])
    by_version = serving(release) if release is not None else None
    expected = by_version or newest
    differences = shape_differences(expected, config, owners)
    if not differences:
        if by_version:
            return Selection(expected, _names(expected, owners))
        return Selection(
            expected,
            _names(expected, owners),
            f"torch {version} is not known (known: {known_range()}), but the gate, its consumer "
            f"and the config store have the shape that {short_name(newest)} was written for: "
            "it is used",
        )
    if by_version:
        for other in reversed(modules()):
            if other is not expected and not shape_differences(other, config, owners):
                return Selection(
                    other,
                    _names(other, owners),
                    f"torch {version} has the shape that {short_name(other)} was written for, "
                    f"not that of {short_name(expected)}: {'; '.join(differences)}",
                )
    raise UnsupportedTorchError(version, known_range(), differences)


def _names(patch: PatchModule, owners: dict[str, ModuleType]) -> tuple[tuple[str, str, str], ...]:
    return tuple(
        (row.role, row.owner, name)
        for row in patch.TARGETS
        if row.owner in owners and (name := find_target(row, owners[row.owner]))
    )


class Selector:
    """`select` for the torch of this process, and its config's store.

    It compares again only what is not as it was: scopes come and go, torch stays.
    """

    def __init__(self) -> None:
        self._names = {
            (row.owner, name)
            for patch in modules()
            for row in patch.TARGETS
            for name in row.name.split("|")
        }
        self._last: tuple[list[object], Selection, ConfigStore] | None = None

    def __call__(
        self, config: ModuleType, owners: dict[str, ModuleType]
    ) -> tuple[Selection, ConfigStore]:
        """Raises what `select` raises."""
        seen = [config, *[vars(owners[o]).get(name) for o, name in self._names if o in owners]]
        if self._last is None or self._last[0] != seen:
            selection = select(sys.modules["torch"].__version__, config, owners)
            store = store_of(config)
            assert store is not None  # `select` has compared it
            self._last = (seen, selection, store)
        return self._last[1:]
