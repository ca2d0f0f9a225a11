"""Which scopes are open, and which values are in force because of them.

Until torch 2.11 an option has one value for the process. Scopes of two threads, or of two
interleaved coroutines, then end in any order, and saving at entry what is put back at exit would
leak one scope's value into the other. So the youngest scope that is still open and names the option
rules, and a scope that ends below it hands on what it found: that comes back when the youngest
ends. Torch's own `config.patch` between two scopes is found and put back like any other value.

From 2.12 on the same holds within one context (a thread, an asyncio task).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

from inductor_override._names import OPTION
from inductor_override._store import ConfigStore


def who_runs() -> tuple[int, int]:
    """The thread, and in it the asyncio task."""
    asyncio = sys.modules.get("asyncio")  # not imported: then no task runs either
    task = None
    if asyncio is not None and asyncio._get_running_loop() is not None:
        task = asyncio.current_task()
    return threading.get_ident(), id(task) if task is not None else 0


class Seen:
    """What was seen while a scope was open."""

    __slots__ = ("autotuned", "consulted", "graphs", "passed")

    def __init__(self) -> None:
        self.consulted = self.passed = self.graphs = 0
        self.autotuned = False
        """Whether a graph was compiled with max_autotune or max_autotune_gemm on."""


class Entry:
    """One time that a scope was entered. `scope_seen` is shared by all entries of the scope."""

    __slots__ = ("closed", "priors", "runner", "scope_seen", "seen", "values")

    def __init__(self, values: dict[str, Any], scope_seen: Seen) -> None:
        self.values = values
        self.priors: dict[str, Any] = {}
        self.runner = who_runs()
        self.closed = False
        self.seen, self.scope_seen = Seen(), scope_seen


_Entries = tuple[Entry, ...]
_in_context: ContextVar[_Entries] = ContextVar("inductor_override.open_scopes", default=())


class OpenScopes:
    """The open scopes of one config store: of the process, or of the context that asks."""

    def __init__(self, store: ConfigStore) -> None:
        self.store = store
        self.lock = threading.RLock()
        self._in_process: _Entries = ()

    def here(self) -> _Entries:
        """The scopes whose values may be in force here, oldest first."""
        entries = self._entries()
        for each in entries:  # not any(): the gate asks this
            if each.closed:
                # A task copies its parent's context, and the parent's scope has ended since.
                return tuple(entry for entry in entries if not entry.closed)
        return entries

    def seen_here(self) -> Collection[Seen]:
        """Where to note what happens here; each once, also for a scope that is entered twice."""
        entries = self.here()
        if len(entries) == 1:
            return entries[0].seen, entries[0].scope_seen
        return {e.seen for e in entries} | {e.scope_seen for e in entries}

    def open(self, entry: Entry) -> None:
        """Put the entry's values in force; all of them or, with the error raised, none.

        Raises:
            ValueError: an option keeps another value, since the environment forces it.
        """
        with self.lock:
            written: list[str] = []
            try:
                for key, value in entry.values.items():
                    entry.priors[key] = self.store.write(key, value)
                    written.append(key)
                    if key != OPTION and self.store.read(key) != value:
                        raise ValueError(
                            f"{key}={value!r} cannot take effect: it stays at "
                            f"{self.store.read(key)!r}, forced by its environment variable or by "
                            "another option"
                        )
            except BaseException:
                for key in reversed(written):
                    self.store.restore(key, entry.priors[key])
                raise
            self._set((*self._entries(), entry))

    def close(self, entry: Entry) -> bool:
        """Take the entry's values out of force; what rules now is put in their place.

        Returns False when the entry was opened in another context: its values can be put back
        only there.
        """
        with self.lock:
            entry.closed = True
            entries = self._entries()
            if entry not in entries:
                return False
            left: list[Entry] = []
            found: dict[str, Any] = {}
            for each in entries:
                for key in each.values:
                    if each.closed:
                        found.setdefault(key, each.priors[key])
                    elif key in found:
                        each.priors[key] = found.pop(key)
                if not each.closed:
                    left.append(each)
            for key, prior in found.items():
                self.store.restore(key, prior)
            self._set(tuple(left))
            return True

    def rebase(self, value: int) -> bool:
        """Let the package's option come back to `value` when the last scope ends.

        Only where default and value are one (torch 2.0 to 2.5). False: no scope is open.
        """
        with self.lock:
            for entry in self.here():
                if OPTION in entry.priors:
                    entry.priors[OPTION] = value
                    return True
            return False

    def _entries(self) -> _Entries:
        return _in_context.get() if self.store.per_context else self._in_process

    def _set(self, entries: _Entries) -> None:
        if self.store.per_context:
            _in_context.set(entries)
        else:
            self._in_process = entries
