"""Whether this environment's torch and Triton can lower for a simulated GPU.

Answered from the metadata of what is installed, so that a person who lacks Triton is told at once,
not after torch has been imported.
"""

from __future__ import annotations

import csv
import platform
import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources

from packaging.requirements import Requirement
from packaging.version import Version

from inductor_override.patches.select import PATCHES, newest, serving
from inductor_override.simulation.errors import ToolchainError, UnknownTorchError


@dataclass(frozen=True)
class Toolchain:
    """The versions found."""

    torch: str
    triton: str


def check() -> Toolchain:
    """The torch and the Triton of this environment, if they go together.

    Raises:
        ToolchainError: either is missing, or torch wants another Triton. The message has the line
            that mends it.
        UnknownTorchError: torch is too old.
    """
    torch = _version_of("torch")
    if torch is None:
        raise ToolchainError("torch is not installed here: pip install torch")
    oldest = PATCHES[0].first
    if Version(torch).release[:2] < oldest:
        raise UnknownTorchError(
            f"a GPU can be simulated from torch {oldest[0]}.{oldest[1]} on; this is torch {torch}"
        )
    wanted = wanted_triton(torch)
    name, triton = _installed_triton()
    if triton is None:
        raise ToolchainError(f"torch {torch} needs Triton to lower for a GPU: {_install(wanted)}")
    if wanted is not None and not wanted.specifier.contains(triton, prereleases=True):
        raise ToolchainError(
            f"torch {torch} wants {wanted.name}{wanted.specifier}, but {name} {triton} is "
            f"installed: {_install(wanted)}"
        )
    return Toolchain(torch=torch, triton=triton)


def captures_models(torch: str) -> bool:
    """Whether torch `torch` captures models on `meta`, and compiles candidates without a GPU."""
    return (serving(torch) or newest()).captures_models


def check_models(torch: str) -> None:
    """Whether a model of the user's own can be captured with this torch.

    Raises:
        UnknownTorchError: it is older than the first release that captures models.
    """
    if not captures_models(torch):
        first = next(patch.first for patch in PATCHES if patch.captures_models)
        raise UnknownTorchError(
            f"a model can be explained from torch {first[0]}.{first[1]} on; this is torch {torch}. "
            "Ask about its products by --shape"
        )


def missing_module(error: ModuleNotFoundError) -> ToolchainError:
    """For a module that torch or Triton imports and does not ask for in its metadata."""
    # Triton 2.2 to 3.2 import setuptools, and torch 2.0 its pkg_resources, which newer ones lack.
    distribution = {"pkg_resources": "'setuptools<81'"}.get(str(error.name), error.name)
    return ToolchainError(
        f"torch {_version_of('torch')} or Triton needs the module {error.name}: "
        f"pip install {distribution}"
    )


def wanted_triton(torch: str) -> Requirement | None:
    """The Triton that torch `torch` wants; None where neither torch nor the table says."""
    return declared_triton() or tabulated_triton(torch)


def declared_triton() -> Requirement | None:
    """What the installed torch's own metadata asks for on this platform."""
    for line in metadata.requires("torch") or ():
        requirement = Requirement(line)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if "triton" in requirement.name and applies:
            return requirement
    return None


def tabulated_triton(torch: str) -> Requirement | None:
    """What the table says of torch `torch`."""
    version = Version(torch)
    # A vendor's build or a nightly ("2.7.0a0+7c8ec84dab.nv25.03") may have a Triton of its own.
    if version.is_prerelease:
        return None
    rows = [row for row in _rows() if row[0].release[:2] == version.release[:2]]
    exact = [row for row in rows if row[0].release == version.release]
    return Requirement(f"triton{(exact or rows)[-1][1]}") if rows else None


@cache
def _rows() -> tuple[tuple[Version, str], ...]:
    """Each release with what its CUDA wheel asks for ("Requires-Dist: triton==3.7.1; ...").

    For the builds that ask for none, such as the CPU builds. A release whose patch releases differ
    in this has a row for each.
    """
    text = resources.files("inductor_override").joinpath("data/releases.csv").read_text("utf-8")
    return tuple((Version(r["torch"]), r["triton"]) for r in csv.DictReader(text.splitlines()))


def _install(wanted: Requirement | None) -> str:
    if wanted is None:
        return "pip install triton"
    if platform.system() not in ("Linux", "Windows"):
        return f"pip install {wanted.name}{wanted.specifier} (it is published for Linux only)"
    spec = f"{wanted.name}{wanted.specifier}"
    # A shell would take "~=" and ">=" for its own.
    return f"pip install {spec}" if re.fullmatch(r"[\w.=-]+", spec) else f"pip install '{spec}'"


def _installed_triton() -> tuple[str, str | None]:
    for name in ("triton", "pytorch-triton", "triton-windows"):
        version = _version_of(name)
        if version is not None:
            return name, version
    return "triton", None


def _version_of(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
