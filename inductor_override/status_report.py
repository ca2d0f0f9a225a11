"""Whether the override is on here, by what, and what stands in its way."""

from __future__ import annotations

import dataclasses
import html
import os
import sys
from typing import Any

from inductor_override.hooks import foreign
from inductor_override.install import on_import
from inductor_override.install.installation import installation
from inductor_override.patches import select
from inductor_override.request.environment import read_environment, switched_off
from inductor_override.request.min_sms import value_problem
from inductor_override.request.names import ENV_DISABLE, ENV_OPTION, OPTION, TORCH_DECIDES


@dataclasses.dataclass(frozen=True)
class Status:
    """A snapshot, as the thread that asks sees it.

    Attributes:
        verdict: one line: on or off, and why.
        torch: the version that is imported, else the one that is installed, else None.
        known: the range of releases that the package was written for.
        patch_module: the one in use, or the one that serves this release by its version.
        lacks: what users of later releases have and users of this torch do not.
        gpu: the GPU that is here and its SMs, as far as torch has looked for one; else None.
        installed: whether the option is in Inductor's config.
        live: whether the gate that torch finds is the package's. False until torch imports it.
        min_sms: the value that applies here; None when not installed, -1 when torch decides.
        process_min_sms: the process-wide value, from `enable` or the environment.
        scopes_open: scopes open in the process.
        held_by: who keeps it installed: scope, enable, options, environment, graph (one that is
            being compiled).
        foreign: who else has assigned to the gate, or to the function that asks it.
        disabled: whether INDUCTOR_OVERRIDE_DISABLE=1.
        environment: the text of the option's environment variable, None if it is not set.
        problem: what is wrong with the torch, the environment or the value, if anything.
    """

    verdict: str
    torch: str | None
    known: str
    patch_module: str | None
    lacks: tuple[str, ...]
    gpu: str | None
    installed: bool
    live: bool
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

    def __repr__(self) -> str:
        return f"<inductor_override status: {self.verdict}>"

    def __str__(self) -> str:
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self._rows()
        )
        return f"<table>{cells}</table>"

    def _rows(self) -> list[tuple[str, str]]:
        rows = [
            ("override", self.verdict),
            ("problem", self.problem or "none"),
            ("torch", f"{self.torch or 'not installed'} (known: {self.known})"),
            ("GPU", self.gpu or "none seen by torch yet"),
            ("patch module", self.patch_module or "none"),
            ("not in this torch", "; ".join(self.lacks) or "nothing"),
            (OPTION, _in_words(self.min_sms)),
            ("held by", ", ".join(self.held_by) or "nobody"),
            ("scopes open", str(self.scopes_open)),
            ("others at the gate", ", ".join(self.foreign) or "none seen"),
            (ENV_OPTION, self.environment or "not set"),
        ]
        return rows if self.problem else [row for row in rows if row[0] != "problem"]


def status() -> Status:
    """What is installed here and now. Imports no torch, changes nothing."""
    torch = _torch_version()
    found = read_environment()
    with installation.lock:
        selection, scopes = installation.selection, installation.scopes
        patch = selection.patch if selection else select.serving(torch) if torch else None
        hook = installation.gate_hook
        live = hook is not None and hook.is_outermost()
        value = scopes.value_here() if scopes else None
        problem = (
            installation.unsupported
            or on_import.state.problem
            or next(iter(found.problems), None)
            or (value_problem(value) if scopes else None)
            or _unread(found.min_sms)
            or _precompile_cache_problem()
        )
        return Status(
            verdict=_verdict(value, live),
            torch=torch,
            known=select.known_range(),
            patch_module=patch.name if patch else None,
            lacks=patch.lacks if patch else (),
            gpu=_gpu(),
            installed=installation.installed,
            live=live,
            min_sms=value,
            process_min_sms=installation.process_min_sms,
            scopes_open=installation.holders["scope"],
            held_by=tuple(sorted(installation.holders)),
            foreign=tuple(foreign.named),
            disabled=found.switched_off,
            environment=os.environ.get(ENV_OPTION),
            problem=problem,
        )


def _verdict(value: Any, live: bool) -> str:
    off = switched_off()
    if not installation.installed:
        if off:
            return f"off: {ENV_DISABLE}=1"
        if installation.unsupported or on_import.state.problem:
            return "off: nothing was changed, see the problem"
        if on_import.state.waiting and read_environment().min_sms is not None:
            return f"waiting: {ENV_OPTION} is read when torch imports Inductor"
        return "off: torch decides. No scope is open here, and enable() was not called"
    later = f". {ENV_DISABLE}=1 came too late" if off else ""
    if installation.gate_hook is None:
        later += ". The gate is hooked when torch imports it"
    elif not live:
        later += ". Someone assigned to the gate: the next compile puts the hook on top"
    if value_problem(value):
        return f"broken: each question to the gate fails, see the problem{later}"
    if value <= TORCH_DECIDES:
        by_model = "; a model compiled with options() brings its own value"
        return f"off: torch decides{by_model if installation.holders['options'] else ''}{later}"
    which = "every GPU passes" if value == 0 else f"GPUs with {value} SMs or more pass"
    return f"on: {which}{later}"


def _gpu() -> str | None:
    """The GPU and its SMs. Only where torch has initialized CUDA: that costs time and memory."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return None
    seen = cuda.get_device_properties(cuda.current_device())
    return f"{seen.name}: {seen.multi_processor_count} SMs"


def _in_words(min_sms: int | None) -> str:
    if min_sms is None:
        return "-"
    return f"{min_sms} (torch decides)" if min_sms == TORCH_DECIDES else str(min_sms)


def _unread(asked_for: int | None) -> str | None:
    """Whether the variable is set, and nobody looks at it in this process."""
    waits = on_import.state.waiting or installation.holders["environment"]
    read = waits or installation.set_by == ENV_OPTION
    if asked_for is None or read or "torch" not in sys.modules or switched_off():
        return None
    if on_import.state.arranged:
        return (
            f"{ENV_OPTION} was set after torch had imported Inductor, or was taken back by "
            "disable(): it has no effect. Call enable() without a value"
        )
    return (
        f"{ENV_OPTION} alone has no effect in this process: torch reads it when it is imported, "
        "from 2.5 on, and where TORCH_DEVICE_BACKEND_AUTOLOAD is not 0. Start the program with "
        "`inductor-override run`"
    )


def _precompile_cache_problem() -> str | None:
    """Dynamo keeps compiled functions on disk (from torch 2.8 on, off by default)."""
    dynamo = sys.modules.get("torch._dynamo.config")
    options = vars(dynamo).get("_config", ()) if dynamo is not None else ()
    if "caching_precompile" not in options or not getattr(dynamo, "caching_precompile", False):
        return None
    return (
        "torch._dynamo.config.caching_precompile is on: that cache keeps functions by their "
        "source, without Inductor's options, so what was compiled without the override is served "
        "with it, and the other way round. Switch it off, or use another TORCHINDUCTOR_CACHE_DIR "
        "for each"
    )


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
