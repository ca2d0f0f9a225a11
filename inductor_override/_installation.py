"""Installing option and hooks, all or nothing, for as long as someone needs them."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from types import ModuleType

from inductor_override import _carry, _newcomers, _precompile, patches
from inductor_override._children import ChildHook
from inductor_override._errors import UnsupportedTorchError
from inductor_override._gate import Gate
from inductor_override._holders import Holder, Holders, graph_key
from inductor_override._hooks import Hook
from inductor_override._names import COMPILE_FX, CONFIG, OPTION, OWNERS, TORCH_DECIDES
from inductor_override._notices import say_once
from inductor_override._open_scopes import Carried, OpenScopes
from inductor_override._process import process
from inductor_override._store import ConfigStore, Default
from inductor_override._store_reads import WholeReads


class Installation:
    """The one installation of a process.

    It stays as long as something holds it. It goes away when the last holder lets go and no
    thread is in the middle of a compile: a compile that started with the option in the config
    must not find it gone half-way.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._holders = Holders()
        self.unsupported: str | None = None
        """Why this torch cannot be patched, when it was last tried."""
        self.selection: patches.Selection | None = None
        self.store: ConfigStore | None = None
        self.scopes: OpenScopes | None = None
        self._upstream_default: int | None = None
        self._undo: list[Callable[[], object]] | None = None
        self._undoing = False
        self._hooks: dict[str, Hook] = {}
        self._gate: Gate | None = None
        self._children = ChildHook()
        self._imported: dict[str, ModuleType] | None = None
        self._selector = patches.Selector()

    @property
    def installed(self) -> bool:
        return process.installed

    @property
    def holders(self) -> Counter[Holder]:
        """Who needs it, and how often."""
        return self._holders.count()

    @property
    def upstream_has_option(self) -> bool:
        """Whether this torch ships an option of this name: then the gate is not touched."""
        return self._upstream_default is not None

    def on_top(self) -> bool:
        """Whether our hook is what torch finds under the gate's name."""
        return "gate" in self._hooks and self._hooks["gate"].is_outermost()

    def foreign_on_top(self) -> bool:
        return "gate" in self._hooks and not self._hooks["gate"].is_outermost()

    def hold(self, holder: Holder, key: object = None) -> OpenScopes:
        """Install if need be, and stay installed until `let_go` of the same two.

        With the same key, or without one, the second time changes nothing.

        Raises:
            UnsupportedTorchError: this torch has another shape than any known. Nothing changed.
        """
        # Imported before the lock is taken: an import may end in a post-import hook, which takes
        # the lock while it holds the import lock of its module.
        self._imported = modules = self._imported or {
            name: importlib.import_module(name) for name in (CONFIG, *OWNERS)
        }
        with self.lock:
            self.install(modules)
            self._holders.add(holder, key)
            assert self.scopes is not None
        _precompile.say_if_on()
        return self.scopes

    def let_go(self, holder: Holder, key: object = None) -> None:
        with self.lock:
            self._holders.drop(holder, key)
            self._uninstall_if_unused()

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """It stays: a compile that started with the option must not find it gone half-way."""
        key = graph_key()
        try:
            with self.lock:
                if self.installed:
                    self._holders.add("graph", key)
                    if not self.upstream_has_option:
                        self._children.attach(sys.modules[COMPILE_FX])
            yield
        finally:
            self.let_go("graph", key)

    @contextmanager
    def put_in_force(self, carried: Carried) -> Iterator[None]:
        """The option is there, and these values are in force, in any thread and at any time.

        Where torch is no known one any more, torch decides: the call is not ours to fail.
        """
        key = graph_key()
        try:
            there: AbstractContextManager[None] = nullcontext()
            try:
                there = self.hold("graph", key).again(carried)
            except UnsupportedTorchError as error:
                if carried.values != _carry.STOCK.values:
                    say_once(f"a backward graph is compiled without {carried.values}: {error}")
            with there:
                yield
        finally:
            self.let_go("graph", key)

    def let_go_of_all_but_scopes(self) -> None:
        with self.lock:
            self._holders.drop_all_but("scope", "graph")
            process.waiting = False
            while process.taken_back_by_disable:
                process.taken_back_by_disable.pop()()
            self.set_base(TORCH_DECIDES)
            self._uninstall_if_unused()

    def set_base(self, value: int) -> None:
        """Change the process-wide value, under the values of scopes and of the user's own."""
        with self.lock:
            process.min_sms = value
            self._finish_uninstalling()
            if self.store is None or self.scopes is None:
                return
            self.scopes.settle()
            self.store.unset_if_default()
            default: int = Default(value)
            if self._upstream_default is not None:  # torch's own option: a plain int, as it was
                default = self._upstream_default if value == TORCH_DECIDES else value
            ruling = self.store.read(OPTION)
            self.store.set_default(default)
            if self.store.default_is_value and self.scopes.rebase(int(default)):
                self.store.write(OPTION, ruling)

    def install_for_environment(self, modules: dict[str, ModuleType]) -> None:
        """Install what is imported so far, unless `disable` came first.

        Raises:
            UnsupportedTorchError: as `install`.
        """
        with self.lock:
            if CONFIG in modules and (process.waiting or self._holders.has("environment")):
                self.install(modules)
                process.waiting = False
                self._holders.add("environment")

    def install(self, modules: dict[str, ModuleType]) -> None:
        """Put the option and every row whose owner is among `modules` in place.

        From the environment the rows come one by one, as torch's modules are imported.

        Raises:
            UnsupportedTorchError: nothing is left of what may have been in place before.
        """
        with self.lock:
            self._finish_uninstalling()
            if self.selection is not None and len(self._hooks) == len(self.selection.patch.TARGETS):
                return
            config = modules[CONFIG]
            owners = {name: modules[name] for name in OWNERS if name in modules}
            try:
                selection, store = self._selector(config, owners)
                if self._undo is None:
                    self._begin(selection, store)
                self._attach_rows(selection, owners)
            except BaseException as error:
                self.unsupported = str(error) if isinstance(error, UnsupportedTorchError) else None
                self._uninstall()
                raise
            self.unsupported = None
            if selection.note:
                say_once(selection.note)

    def _begin(self, selection: patches.Selection, store: ConfigStore) -> None:
        self._undo, process.installed = [store.detach], True
        self.selection, self.store = selection, store
        self.scopes = scopes = OpenScopes(store, self.lock)
        store.attach()  # its undo came first, as always: an interrupt may come in the middle of it
        if store.has(OPTION):
            self._upstream_default = store.default()
            self._undo.append(partial(store.set_default, self._upstream_default))
            say_once(
                f"this torch has an option of its own named {OPTION}: the package steps aside, "
                "values go to torch's option and the gate is not touched"
            )
        else:
            self._undo.append(store.remove)
            store.add(Default(process.min_sms))
        self._gate = gate = Gate(
            selection.patch, store, scopes, self._keep_on_top, self.compiling, self.put_in_force
        )
        self._undo += [gate.close, self._children.detach]

    def _attach_rows(self, selection: patches.Selection, owners: dict[str, ModuleType]) -> None:
        gate, undo = self._gate, self._undo
        assert gate is not None
        assert undo is not None
        upstream = self.upstream_has_option
        for role, owner, name in selection.names:
            watched = role in _newcomers.WATCHED
            if role in self._hooks or (upstream and watched):
                continue
            if role == "consumer" and len(owners) < len(OWNERS):
                continue  # until all of Inductor is imported: torch 2.0 imports it by name
            enabled = gate.outside_compile if role == "graph" else None
            hook = Hook(owners[owner], name, getattr(gate, f"on_{role}"), enabled)
            self._hooks[role] = hook
            undo.append(hook.detach)
            target = hook.attach()
            if watched:
                _newcomers.note(hook, role, target)
            elif role == "compile":
                self._children.attach(owners[owner])

    def _keep_on_top(self) -> None:
        for role in _newcomers.WATCHED:
            hook = self._hooks.get(role)
            if hook is None or hook.is_outermost():
                continue
            with self.lock:
                if self.installed and not hook.is_outermost():
                    _newcomers.note(hook, role, hook.attach())

    def _finish_uninstalling(self) -> None:
        """What an interrupt has stopped."""
        if self._undoing:
            self._uninstall()

    def _uninstall_if_unused(self) -> None:
        if self._undo is not None and not self._holders:
            self._uninstall()

    def _uninstall(self) -> None:
        """Take each step back."""
        self._undoing = True
        self._holders.drop("environment")
        failed, undo = None, self._undo
        while undo:
            try:
                undo[-1]()
            except BaseException as error:
                failed = error
                with suppress(Exception):
                    undo[-1]()  # each can be taken twice
            undo.pop()
        self._hooks = {}
        self._gate = self.selection = self.store = self.scopes = self._undo = None
        self._upstream_default = None
        process.installed = self._undoing = False
        if failed is not None:
            raise failed

    def after_fork(self) -> None:
        """In the child of a fork, which has only one of its parent's threads."""
        self.lock = threading.RLock()  # another thread may have held it
        if self.scopes is not None:
            self.scopes.lock = self.lock
        WholeReads.after_fork()
        self._holders.drop_graphs_of_other_threads()


installation = Installation()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=installation.after_fork)
