"""The environment variable: read when torch is imported, put in place when Inductor is.

Nothing of Inductor may be imported here: that would cost seconds where torch alone is wanted. What
installs is imported when Inductor is, wrapt included.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from inductor_override._names import CONFIG, OWNERS, log
from inductor_override._option import (
    read_environment,
    read_settings,
    switch_problem,
    switched_off,
)
from inductor_override._process import process

if TYPE_CHECKING:
    from inductor_override._store import ConfigStore

_AWAITED = (CONFIG, *OWNERS)


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
    process.waiting, process.min_sms, process.arranged = True, found.value, True
    sys.meta_path.insert(0, _Finder())
    for name in _AWAITED:
        if _ready(name):
            _on_import(sys.modules[name])


class _Finder(MetaPathFinder):
    """Has us called when one of Inductor's modules has been imported.

    wrapt's post-import hooks are not used for it: their finder imports the module's parent while it
    holds Python's import lock, so two threads that import Inductor first wait for each other for
    ever. And wrapt's own import, with torch instead of with Inductor, takes 1 to 2 % of
    `import torch`.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        # It stays on sys.meta_path: another thread may be walking through that list.
        if fullname not in _AWAITED or not (process.waiting or process.installed):
            return None
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if find_spec is None or finder is self:
                continue
            spec: ModuleSpec | None = find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader(Loader):
    """Loads as another does, whose name stands in the module afterwards, and then calls us."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # what `python -m` and others ask, such as `get_code`

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _on_import(module)


def _on_import(module: ModuleType) -> None:
    # An exception here would make the import of torch's module fail, once.
    try:
        from inductor_override._installation import installation

        if module.__name__ == CONFIG and process.waiting:
            _apply_settings(module)
        installation.install_for_environment(
            {name: sys.modules[name] for name in _AWAITED if _ready(name, module)}
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
        before = store.default(name)
        store.set_default(value, name)
        process.taken_back_by_disable.append(partial(_take_back, store, name, value, before))
        if store.read(name) != value:
            _warn(f"the Inductor option {name} stays {store.read(name)!r}: something rules over it")


def _take_back(store: ConfigStore, name: str, value: object, before: object) -> None:
    """Unless someone has assigned another value since."""
    if store.default(name) == value and (not store.default_is_value or store.read(name) == value):
        store.set_default(before, name)


def _ready(name: str, imported_now: ModuleType | None = None) -> bool:
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
