"""Inductor's compile children: they get the option before they get the parent's config.

With `TORCHINDUCTOR_FX_COMPILE_MODE=SUBPROCESS` (torch 2.7 on; ASYNC and PROGRESSIVE build on it)
graphs are lowered in a child process, which patches its own config with all options of its
parent's. An option that the child does not have makes the compile fail, also a compile that no
one wanted an override for: https://github.com/pytorch/pytorch/pull/146135
"""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import Future
from types import ModuleType
from typing import Any

from inductor_override._hooks import Hook
from inductor_override._names import OPTION, TORCH_DECIDES, log

_MODULE = "torch._inductor.compile_fx_subproc"


class ChildHook:
    """While attached, each job of a compile child comes after one that adds the option there."""

    def __init__(self) -> None:
        self._hook: Hook | None = None

    def attach(self, compile_fx: ModuleType) -> None:
        """Attach if this process compiles in a child, or has done so before."""
        if self._hook is not None:
            return
        mode = getattr(vars(compile_fx).get("fx_compile_mode"), "name", "NORMAL")
        module = sys.modules.get(_MODULE)
        if module is None and mode == "SUBPROCESS":
            module = importlib.import_module(_MODULE)
        if module is None:
            return
        hook = Hook(module._SubprocessFxCompile, "process_pool", _tell_child)
        hook.attach()
        self._hook = hook

    def detach(self) -> None:
        hook, self._hook = self._hook, None
        if hook is not None:
            hook.detach()


def _tell_child(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    # Before each job, not once: torch replaces a child that has crashed. There is one child, so
    # jobs run in the order in which they are sent.
    pool = wrapped(*args, **kwargs)
    pool.submit(add_option).add_done_callback(_told)
    return pool


def _told(future: Future[None]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None and str(error) != "SubprocPool closed":  # this process ends
        log.error(
            "Inductor's compile child has no option %s, so its compile fails. Install "
            "inductor-override where the child finds it (TORCH_CUSTOM_PYTHONPATH, if that is "
            "set), or unset TORCHINDUCTOR_FX_COMPILE_MODE. What the child said: %s",
            OPTION,
            error,
        )


def add_option() -> None:
    """Runs in the child. The parent sends its value with each graph, so there is none here."""
    from inductor_override._installation import installation

    installation.hold("enable")
    installation.set_base(TORCH_DECIDES)
