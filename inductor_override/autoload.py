"""The environment variable: read when torch is imported, put in place when Inductor is.

torch 2.5 and later call `activate` at the end of `import torch` (the `torch.backends` entry
point). Nothing of Inductor may be imported here: that would cost every user of torch seconds.
"""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

from inductor_override._installation import CONFIG, OWNERS, installation
from inductor_override._names import log
from inductor_override._option import read_environment, switch_problem, switched_off


def activate() -> None:
    """Arrange for the environment's value to be in force. Never raises."""
    problem = switch_problem()
    if problem:
        _warn(problem)
    if switched_off():
        return
    found = read_environment()
    if found.problem:
        _warn(found.problem)
    if found.value is None:
        return
    try:
        from wrapt import register_post_import_hook

        installation.waiting = True
        installation.set_base(found.value)
        for name in (CONFIG, *OWNERS):
            register_post_import_hook(_on_import, name)
    except Exception as error:  # `import torch` must go on, whatever happens here
        _give_up(error)


def _on_import(module: ModuleType) -> None:
    # An exception here would make the import of torch's module fail, once.
    try:
        installation.install_for_environment(
            {name: sys.modules[name] for name in (CONFIG, *OWNERS) if _ready(name, module)}
        )
    except Exception as error:
        _give_up(error)


def _ready(name: str, imported_now: ModuleType) -> bool:
    """Whether a module is imported to its end; one that is half-way calls us when it is."""
    module = sys.modules.get(name)
    if module is None or module is imported_now:
        return module is not None
    return not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _give_up(error: Exception) -> None:
    installation.waiting = False
    installation.problem = f"the environment's value is not in force: {error}"
    _warn(installation.problem)


def _warn(message: str) -> None:
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except Warning:  # python -W error: still no reason for `import torch` to fail
        log.warning("%s", message)
