"""The environment variable: read when torch is imported, put in place when Inductor is.

Nothing of Inductor may be imported here: that would cost seconds where torch alone is wanted. What
installs is imported when Inductor is, wrapt included.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

from inductor_override._names import CONFIG, OWNERS, log
from inductor_override._option import (
    read_environment,
    read_settings,
    switch_problem,
    switched_off,
)
from inductor_override._process import process

_INDUCTOR = CONFIG.rpartition(".")[0]


def arrange() -> None:
    """See to it that the environment's value will be in force. Never raises."""
    problem = switch_problem()
    if problem:
        _warn(problem)
    if switched_off():
        return
    found = read_environment()
    if found.problem:
        _warn(found.problem)
    _, problem = read_settings()
    if problem:
        _warn(problem)
    if found.value is None or process.waiting or process.installed:
        return  # or arranged already: `run` comes before torch's own call
    process.waiting, process.min_sms = True, found.value
    if _INDUCTOR in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _BeforeInductor())


class _BeforeInductor(MetaPathFinder):
    """Finds nothing: it notices that Inductor's package is about to be imported.

    wrapt's own import, here and not with torch, takes 1 to 2 % of `import torch`.
    """

    waiting = True

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        # It stays on sys.meta_path: another thread may be walking through that list.
        if fullname == _INDUCTOR and self.waiting:
            self.waiting = False
            _register()


def _register() -> None:
    try:
        from wrapt import register_post_import_hook

        for name in (CONFIG, *OWNERS):
            register_post_import_hook(_on_import, name)
    except Exception as error:  # the import must go on, whatever happens here
        _give_up(error)


def _on_import(module: ModuleType) -> None:
    # An exception here would make the import of torch's module fail, once.
    try:
        from inductor_override._installation import installation

        if module.__name__ == CONFIG and process.waiting:
            _apply_settings(module)
        installation.install_for_environment(
            {name: sys.modules[name] for name in (CONFIG, *OWNERS) if _ready(name, module)}
        )
    except Exception as error:
        _give_up(error)


def _apply_settings(config: ModuleType) -> None:
    """What `run --set` asked for, process-wide: as the default, where value and default differ."""
    from inductor_override._stores import store_of

    store = store_of(config)
    for name, value in read_settings()[0].items():
        if store is None or not store.has(name):
            _warn(f"this torch has no Inductor option {name!r}: it is not set")
            continue
        store.set_default(value, name)
        if store.read(name) != value:
            _warn(f"the Inductor option {name} stays {store.read(name)!r}: something rules over it")


def _ready(name: str, imported_now: ModuleType) -> bool:
    """Whether a module is imported to its end; one that is half-way calls us when it is."""
    module = sys.modules.get(name)
    if module is None or module is imported_now:
        return module is not None
    return not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _give_up(error: Exception) -> None:
    process.waiting = False
    process.problem = f"the environment's value is not in force: {error}"
    _warn(process.problem)


def _warn(message: str) -> None:
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    except Warning:  # python -W error: still no reason for `import torch` to fail
        log.warning("%s", message)
