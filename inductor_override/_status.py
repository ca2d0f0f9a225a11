"""What is installed, by which patch module, and whether it is live."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import Any

from inductor_override import _newcomers, patches
from inductor_override._installation import installation
from inductor_override._names import ENV_DISABLE, ENV_OPTION, OPTION, TORCH_DECIDES
from inductor_override._option import (
    read_environment,
    switch_problem,
    switched_off,
    value_problem,
)
from inductor_override._process import process


@dataclasses.dataclass(frozen=True)
class Status:
    """A snapshot, as the thread that asks sees it.

    Attributes:
        torch: the version that is imported, else the one that is installed, else None.
        known: the range of releases that the package was written for.
        patch_module: the one in use, or the one that serves this release by its version.
        installed: whether the option is in Inductor's config.
        live: whether the gate that torch finds is ours. False until torch imports it.
        why: one sentence about `installed` and `live`.
        min_sms: the value in force here; None when not installed, -1 when torch decides.
        process_min_sms: the process-wide value, from `enable` or the environment.
        scopes_open: scopes open in the process.
        held_by: who keeps it installed: scope, enable, options, environment, graph (one that is
            being compiled with the values of a scope or of `options`).
        foreign: who else has assigned to the gate.
        disabled: whether INDUCTOR_OVERRIDE_DISABLE=1.
        environment: the text of the option's environment variable, None if it is not set.
        problem: what is wrong with the torch, the environment or the value, if anything.
    """

    torch: str | None
    known: str
    patch_module: str | None
    installed: bool
    live: bool
    why: str
    min_sms: int | None
    process_min_sms: int
    scopes_open: int
    held_by: tuple[str, ...]
    foreign: tuple[str, ...]
    disabled: bool
    environment: str | None
    problem: str | None

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        rows = [
            ("torch", f"{self.torch or 'not installed'} (known: {self.known})"),
            ("patch module", self.patch_module or "none"),
            ("installed", "yes" if self.installed else "no"),
            ("live", "yes" if self.live else "no"),
            ("why", self.why),
            (OPTION, _in_words(self.min_sms)),
            ("held by", ", ".join(self.held_by) or "nobody"),
            ("scopes open", str(self.scopes_open)),
            ("others at the gate", ", ".join(self.foreign) or "none seen"),
            (ENV_OPTION, self.environment or "not set"),
        ]
        if self.problem:
            rows.append(("problem", self.problem))
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def status() -> Status:
    """What is installed here and now. Imports neither torch nor wrapt, changes nothing."""
    torch = _torch_version()
    with installation.lock:
        selection, store = installation.selection, installation.store
        serving = patches.serving(patches.release_of(torch) or (0, 0)) if torch else None
        patch = selection.patch if selection else serving
        live = installation.on_top()
        if installation.scopes is not None:
            installation.scopes.settle()
        value = store.read(OPTION) if store else None
        return Status(
            torch=torch,
            known=patches.known_range(),
            patch_module=patches.short_name(patch) if patch else None,
            installed=installation.installed,
            live=live,
            why=_why(live),
            min_sms=value,
            process_min_sms=process.min_sms,
            scopes_open=installation.holders["scope"],
            held_by=tuple(sorted(holder for holder, n in installation.holders.items() if n)),
            foreign=tuple(_newcomers.seen),
            disabled=switched_off(),
            environment=os.environ.get(ENV_OPTION),
            problem=installation.unsupported
            or process.problem
            or read_environment().problem
            or switch_problem()
            or (value_problem(value) if store else None)
            or _unread(),
        )


def _in_words(min_sms: int | None) -> str:
    if min_sms is None:
        return "-"
    return f"{min_sms} (torch decides)" if min_sms == TORCH_DECIDES else str(min_sms)


def _unread() -> str | None:
    """Whether the variable is set, and torch was imported without a look at it."""
    if read_environment().value is None or process.arranged or "torch" not in sys.modules:
        return None
    if switched_off():
        return None
    return (
        f"{ENV_OPTION} alone has no effect in this process: torch reads it when it is imported, "
        "from 2.5 on, and where TORCH_DEVICE_BACKEND_AUTOLOAD is not 0. Start the program with "
        "`inductor-override run`"
    )


def _why(live: bool) -> str:
    if switched_off() and not installation.installed:
        return f"switched off: {ENV_DISABLE}=1"
    if switched_off():
        return f"{ENV_DISABLE}=1 came later: what was in force before it still is"
    if installation.upstream_has_option:
        return f"this torch has its own {OPTION}: the package steps aside"
    if installation.installed and live:
        said = "the gate reads the option at each question"
        if installation.holders["options"]:
            said += "; a model compiled with options() brings its own value for its compiles"
        return said
    if installation.installed and installation.foreign_on_top():
        return "someone assigned to the gate; it is taken back before the gate is asked again"
    if installation.installed:
        return "torch has not imported the gate yet; it is wrapped when it does"
    if installation.unsupported:
        return "this torch is not supported: nothing was changed"
    if process.waiting:
        return f"{ENV_OPTION} is read; installed as soon as torch imports Inductor"
    said = "nobody asked for it: no scope is open, enable() is off"
    if read_environment().value is None:
        return f"{said}, the variable is not set"
    return f"{said}, the variable has not been read by torch or was taken back by disable()"


def _torch_version() -> str | None:
    module = sys.modules.get("torch")
    version = getattr(module, "__version__", None)
    if version is not None:
        return str(version)
    from importlib import metadata

    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
