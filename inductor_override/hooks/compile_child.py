"""Inductor's compile children: they get the option before they get the parent's config.

With `TORCHINDUCTOR_FX_COMPILE_MODE=SUBPROCESS` (torch 2.7 on; ASYNC and PROGRESSIVE build on it)
graphs are lowered in a child process, which patches its own config with all options of its
parent's. An option that the child does not have makes the compile fail:
https://github.com/pytorch/pytorch/pull/146135
"""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import Future
from typing import Any

from inductor_override.hooks.hook import Hook
from inductor_override.messages import say
from inductor_override.request.names import COMPILE_FX, OPTION

_MODULE = "torch._inductor.compile_fx_subproc"
IN_CHILD = "inductor_override.api", "make_available"
"""The function that runs in the child, by its path: the child imports it for itself."""


class ChildHook:
    """While attached, each job of a compile child comes after one that adds the option there."""

    def __init__(self) -> None:
        self._hook: Hook | None = None

    def attach(self) -> None:
        """Attach if this process compiles in a child, or has done so before."""
        if self._hook is not None:
            return
        module = sys.modules.get(_MODULE)
        if module is None:
            mode = vars(sys.modules[COMPILE_FX]).get("fx_compile_mode")
            if getattr(mode, "name", "NORMAL") != "SUBPROCESS":
                return
            module = importlib.import_module(_MODULE)
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
    pool.submit(call, *IN_CHILD).add_done_callback(_told)
    return pool


def call(module: str, function: str) -> None:
    """Call a function by its path. Runs in the child."""
    getattr(importlib.import_module(module), function)()


def _told(future: Future[None]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None and str(error) != "SubprocPool closed":  # this process ends
        say(
            f"Inductor's compile child has no option {OPTION}, so its compile fails. Install "
            "inductor-override where the child finds it (TORCH_CUSTOM_PYTHONPATH, if that is "
            f"set), or unset TORCHINDUCTOR_FX_COMPILE_MODE. What the child said: {error}"
        )
