"""Waits for torch to import Inductor, and then does what the environment asks for.

torch reads its own TORCHINDUCTOR_ variables when it imports Inductor's config. The package reads
its variable at that moment too. Until then nothing of Inductor may be imported here: that would
cost seconds where torch alone is wanted. wrapt and the package's other modules are imported when
Inductor is, if a variable is set.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from inductor_override.request.names import (
    COMPILE_FX,
    CONFIG,
    ENV_COMPILE_MODE,
    ENV_DISABLE,
    ENV_OPTION,
    ENV_REPORT,
    ENV_REPORT_BY,
    ENV_SETTINGS,
    TORCH_DECIDES,
    UTILS,
)

_AWAITED = (CONFIG, UTILS, COMPILE_FX)


class Waiting:
    """What this module waits for, and what came of it.

    Attributes:
        waiting: whether Inductor's import will be noticed.
        arranged: whether `wait` has put the finder on `sys.meta_path`.
        problem: why the environment's value does not apply.
    """

    def __init__(self) -> None:
        self.waiting = self.arranged = False
        self.problem: str | None = None
        self.undo_settings: list[Callable[[], object]] = []
        self.busy = False
        self.done = 0
        """Of the awaited modules, how many the installation knows."""

    def stop(self) -> None:
        """For `disable`: take the settings of `run --set` back, and wait no longer."""
        self.waiting = False
        while self.undo_settings:
            self.undo_settings.pop()()


state = Waiting()


def wait() -> None:
    """Do what the environment asks for as soon as torch imports Inductor. Never raises."""
    if state.arranged:  # `run` comes before torch's own call
        return
    if any(os.environ.get(name) for name in (ENV_OPTION, ENV_SETTINGS, ENV_DISABLE)):
        from inductor_override.request.environment import read_environment

        found = read_environment()
        _warn_of(found.problems)
        if found.switched_off:
            return
    if os.environ.get(ENV_REPORT):
        atexit.register(_report, os.getpid())
    state.waiting = state.arranged = True
    sys.meta_path.insert(0, _Finder())
    _catch_up()


class _Finder:
    """Has `_catch_up` called when one of the awaited modules has been imported.

    wrapt's post-import hooks are not used for it: their finder imports the module's parent while it
    holds Python's import lock, so two threads that import Inductor first wait for each other for
    ever.

    It stays on `sys.meta_path`: another thread may be walking through that list.
    """

    def __init__(self) -> None:
        self._searches: set[tuple[int, str]] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not state.waiting:
            return None
        if fullname not in _AWAITED:
            # Someone else's finder, in front of this one, may have found Inductor meanwhile.
            if CONFIG in sys.modules:
                _catch_up()
            return None
        search = threading.get_ident(), fullname
        if search in self._searches:  # another finder asks every finder, this one too
            return None
        self._searches.add(search)
        try:
            return self._find(fullname, path, target)
        finally:
            self._searches.discard(search)

    def _find(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> ModuleSpec | None:
        for finder in sys.meta_path:
            find_spec = getattr(finder, "find_spec", None)
            if find_spec is None or finder is self:
                continue
            spec: ModuleSpec | None = find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """Runs another loader, and leaves that loader's name in the module."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # what `python -m` and others ask, such as `get_code`

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _catch_up(module)


def _catch_up(imported_now: ModuleType | None = None) -> None:
    """Do what can be done with the modules that are imported so far. Never raises."""
    names = tuple(name for name in _AWAITED if _ready(name, imported_now))
    if not state.waiting or state.busy or CONFIG not in names or len(names) == state.done:
        return
    state.busy = True  # what is imported here comes by the finder again
    try:
        _install(names)
    except Exception as error:
        state.waiting = False
        state.problem = f"{ENV_OPTION} has no effect: {error}"
        _warn_of((state.problem,))
    finally:
        state.busy = False


def _install(names: tuple[str, ...]) -> None:
    """The option first, when Inductor's config is there; each hook when its module is."""
    all_of_inductor = len(names) == len(_AWAITED)
    in_child = _in_compile_child()
    process_wide: tuple[int, str | None] | None = None
    settings: dict[str, Any] = {}
    if not state.done:
        # torch 2.5 imports the config when it is imported itself, long before all of Inductor.
        if not (in_child or os.environ.get(ENV_OPTION)):
            state.waiting = not all_of_inductor
            return
        from inductor_override.request.environment import read_environment

        found = read_environment()
        _warn_of(found.problems)
        min_sms = TORCH_DECIDES if in_child else found.min_sms
        if min_sms is None or found.switched_off:
            state.waiting = False
            return
        process_wide, settings = (min_sms, None if in_child else ENV_OPTION), found.settings
    from inductor_override.install.installation import installation

    state.done = len(names)
    modules = {name: sys.modules[name] for name in names}
    installation.hold("environment", modules=modules, process_wide=process_wide)
    _apply(settings)
    state.waiting = not all_of_inductor


def _in_compile_child() -> bool:
    """Whether Inductor lowers graphs of a parent process here (from torch 2.7 on).

    The parent sends its options with each graph, and one that is not known here makes the compile
    fail: https://github.com/pytorch/pytorch/pull/146135
    """
    # A process that the worker spawns has the worker's `sys.argv` before it imports torch.
    a_worker = "compile_worker" in "".join(sys.argv[:1])
    return a_worker and "SUBPROCESS" in os.environ.get(ENV_COMPILE_MODE, "").upper()


def _apply(settings: dict[str, Any]) -> None:
    """What `run --set` asked for, process-wide: as the default, where value and default differ."""
    from inductor_override.install.installation import installation

    store = installation.store
    assert store is not None
    for name, value in settings.items():
        if not store.has(name):
            _warn_of((f"this torch has no Inductor option {name!r}: it is not set",))
            continue
        before = store.default(name)

        def undo(name: str = name, value: Any = value, before: Any = before) -> None:
            # Unless someone has assigned another value since.
            own = store.default(name) == value
            if own and (not store.default_is_value or store.read(name) == value):
                store.set_default(before, name)

        state.undo_settings.append(undo)
        store.set_default(value, name)
        if store.read(name) != value:
            why = "it was assigned before, an environment variable forces it, or it is an alias"
            _warn_of((f"the Inductor option {name} stays {store.read(name)!r}: {why}",))


def _report(process: int) -> None:
    """At the end of a process. Not in one that was forked from it: what it tuned came before."""
    if os.getpid() != process or "torch" not in sys.modules:
        return
    from inductor_override.install.installation import installation
    from inductor_override.patches.asking import gate_owner
    from inductor_override.tuning_report import TuningReport, hand_in

    always = os.environ.get(ENV_REPORT_BY) == str(process)
    owner = gate_owner(sys.modules.get(UTILS))
    hand_in(TuningReport.of(installation.counts), gate_owner=owner, always=always)


def _ready(name: str, imported_now: ModuleType | None) -> bool:
    """Whether a module is imported to its end."""
    module = sys.modules.get(name)
    if module is None or module is imported_now:
        return module is not None
    return not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _warn_of(problems: Sequence[str]) -> None:
    from inductor_override.messages import warn_once

    for problem in problems:
        warn_once(problem)
