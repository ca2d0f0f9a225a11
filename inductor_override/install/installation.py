"""The one installation of a process: who needs it, what it has put in place, and the undoing."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType
from typing import Literal

from inductor_override.config_store.base import ConfigStore
from inductor_override.errors import UnsupportedTorchError
from inductor_override.hooks import late_backward
from inductor_override.hooks.compile_fx import CompileHooks, outside_compile
from inductor_override.hooks.foreign import Foreign
from inductor_override.hooks.gate import Gate
from inductor_override.hooks.hook import Hook, Wrapper
from inductor_override.messages import say_once
from inductor_override.open_scopes import Counts, Entry, GraphValues, OpenScopes
from inductor_override.patches.select import Selection, known_range, select
from inductor_override.request.names import COMPILE_FX, CONFIG, OPTION, TORCH_DECIDES, UTILS
from inductor_override.tuning import Listener

Holder = Literal["scope", "enable", "options", "environment", "graph"]
_OWNERS = (UTILS, COMPILE_FX)
_OF_THE_USER: tuple[Holder, ...] = ("enable", "options", "environment")


class Installation:
    """It stays as long as something holds it, and goes when the last holder lets go.

    The option comes when Inductor's config is imported, each hook when its module is.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.process_min_sms = TORCH_DECIDES
        """The process-wide value, from `enable` or the environment."""
        self.set_by: str | None = None
        """Who set it, for messages."""
        self.unsupported: str | None = None
        """Why torch cannot be patched, when it was last tried."""
        self.counts = Counts()
        """What was seen in this process while the package was installed."""
        self.selection: Selection | None = None
        self.store: ConfigStore | None = None
        self.scopes: OpenScopes | None = None
        self._held: set[tuple[Holder, object]] = set()
        self._undo: list[Callable[[], object]] = []
        self._undoing = False
        self._hooks: dict[str, Hook] = {}
        self._gate: Gate | None = None
        self._to_say: list[str] = []
        """What is logged once the lock is released."""

    @property
    def installed(self) -> bool:
        """Whether the option is in Inductor's config."""
        return self.store is not None

    @property
    def holders(self) -> Counter[Holder]:
        """Who needs it, and how often."""
        return Counter(holder for holder, _ in tuple(self._held))

    @property
    def gate_hook(self) -> Hook | None:
        return self._hooks.get("gate")

    def hold(
        self,
        holder: Holder,
        key: object = None,
        *,
        modules: dict[str, ModuleType] | None = None,
        process_wide: tuple[int, str | None] | None = None,
    ) -> OpenScopes:
        """Install if need be, and stay installed until `release` of the same two.

        Args:
            modules: what is imported of the modules that the package touches; None: import all.
            process_wide: the process-wide value from now on, and who sets it, for messages.

        Raises:
            UnsupportedTorchError: this torch cannot be patched. Nothing changed.
        """
        # Before the lock is taken: an import runs other packages' code, and may wait for a thread
        # that waits for the lock.
        if modules is None:
            # Not importlib: for each scope Python 3.10 takes 20 us there.
            import torch._inductor.compile_fx
            import torch._inductor.config
            import torch._inductor.utils  # noqa: F401

            modules = {name: sys.modules[name] for name in (CONFIG, *_OWNERS)}
        with self.lock:
            self._install(modules)
            self._held.add((holder, key))
            if process_wide is not None:
                self._set_process_wide(*process_wide)
            scopes, said, self._to_say = self.scopes, self._to_say, []
        assert scopes is not None
        for sentence in said:
            say_once(sentence)
        self._foreign.keep_on_top()
        return scopes

    def hold_while_compiling(self) -> object:
        """Stay installed while this thread compiles a graph, until `release("graph", ...)`.

        A compile that began with the option in the config must not find it gone.
        """
        key = object()
        with self.lock:
            if self.installed:
                self._held.add(("graph", key))
        return key

    def release(self, holder: Holder, key: object = None) -> None:
        with self.lock:
            self._held.discard((holder, key))
            self._uninstall_if_unused()

    def release_all_but_scopes(self) -> None:
        """For `disable`: the process-wide value goes too."""
        with self.lock:
            self._held = {held for held in self._held if held[0] not in _OF_THE_USER}
            self._set_process_wide(TORCH_DECIDES, None)
            self._uninstall_if_unused()

    def _set_process_wide(self, min_sms: int, set_by: str | None) -> None:
        """Change the process-wide value, below the values of scopes and the user's own."""
        self.process_min_sms, self.set_by = min_sms, set_by
        self._finish_uninstalling()
        if self.store is None or self.scopes is None:
            return
        self.scopes.drop_closed()
        now = self.store.read(OPTION)
        self.store.set_default(min_sms)
        if self.store.default_is_value and self.scopes.rebase(min_sms):
            self.store.write(OPTION, now)

    @contextmanager
    def reopen(self, graph: GraphValues) -> Iterator[None]:
        """Apply these values to the compile of one graph, in any thread and at any time.

        Where torch cannot be patched any more torch decides: the user's call must not fail.
        """
        key = object()
        try:
            reopened: AbstractContextManager[None] = nullcontext()
            try:
                reopened = self.hold("graph", key).reopen(graph)
            except UnsupportedTorchError as error:
                if graph.values != late_backward.STOCK.values:
                    say_once(f"a backward graph is compiled without {graph.values}: {error}")
            with reopened:
                yield
        finally:
            self.release("graph", key)

    def _install(self, modules: dict[str, ModuleType]) -> None:
        self._finish_uninstalling()
        if self.selection is not None and len(self._hooks) == len(self.selection.patch.targets):
            return
        owners = {name: modules[name] for name in _OWNERS if name in modules}
        try:
            selection = select(sys.modules["torch"].__version__, modules[CONFIG], owners)
            if self.store is None:
                self._install_option(selection.patch.store(modules[CONFIG]))
            self._install_hooks(selection, owners)
        except BaseException as error:
            self.unsupported = str(error) if isinstance(error, UnsupportedTorchError) else None
            self._uninstall()
            raise
        self.selection, self.unsupported = selection, None
        if selection.note:
            self._to_say.append(selection.note)

    def _install_option(self, store: ConfigStore) -> None:
        if store.has(OPTION):
            raise UnsupportedTorchError(
                sys.modules["torch"].__version__,
                known_range(),
                [f"this torch has an option {OPTION} of its own"],
                f"Set torch._inductor.config.{OPTION}: inductor-override is not needed",
            )
        self.store = store
        self.scopes = OpenScopes(store, self.lock, self.counts)
        # The undo comes first, here and below: an interrupt may stop what follows half-way.
        self._undo.append(store.remove)
        store.add(self.process_min_sms)

    def _install_hooks(self, selection: Selection, owners: dict[str, ModuleType]) -> None:
        """Hook each row whose owner is imported. The environment has them imported one by one."""
        assert self.store is not None
        assert self.scopes is not None
        if self._gate is None:
            patch = selection.patch
            self._gate = Gate(patch, self.store, self.scopes, set_by=lambda: self.set_by)
            self._foreign = Foreign(self.lock, patch.consumers)
            self._tuner = Listener(self.scopes.count_tuned)
            self._undo += [self._tuner.detach, self._gate.close]
        compiler = CompileHooks(self._gate, self._foreign, self._tuner, self)
        wrappers: dict[str, Wrapper] = {
            "gate": self._gate.on_gate,
            "compile": compiler.on_compile,
            "graph": compiler.on_graph,
        }
        for row in selection.patch.targets:
            if row.role in self._hooks or row.owner not in owners:
                continue
            enabled = outside_compile if row.role == "graph" else None
            hook = Hook(owners[row.owner], row.name, wrappers[row.role], enabled)
            self._hooks[row.role] = hook
            self._undo.append(hook.detach)
            found = hook.attach()
            if row.role == "gate":
                self._undo.append(self._foreign.stop)
                if sentence := self._foreign.watch(hook, found):
                    self._to_say.append(sentence)

    def _finish_uninstalling(self) -> None:
        """What an interrupt has stopped."""
        if self._undoing:
            self._uninstall()

    def _uninstall_if_unused(self) -> None:
        # A scope that is closed holds nothing: an interrupt may have come before its `release`.
        self._held = {(h, k) for h, k in self._held if not (isinstance(k, Entry) and k.closed)}
        self._finish_uninstalling()
        if self.installed and not self._held:
            self._uninstall()

    def _uninstall(self) -> None:
        """Take each step back, in reverse. Each can be taken twice, should an interrupt come."""
        self._undoing = True
        self._held = {held for held in self._held if held[0] != "environment"}
        while self._undo:
            self._undo[-1]()
            self._undo.pop()
        self._hooks = {}
        self._gate = self.selection = self.store = self.scopes = None
        self._undoing = False


installation = Installation()
if hasattr(os, "register_at_fork"):  # not on Windows
    # No other thread holds the lock at the fork: in the child nobody would release it.
    os.register_at_fork(
        before=installation.lock.acquire,
        after_in_parent=installation.lock.release,
        after_in_child=installation.lock.release,
    )
