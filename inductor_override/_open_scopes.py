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
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, NamedTuple

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

    __slots__ = ("autotuned", "consulted", "devices", "graphs", "passed")

    def __init__(self) -> None:
        self.consulted = self.passed = self.graphs = 0
        self.autotuned = False
        """Whether a graph was compiled with max_autotune or max_autotune_gemm on."""
        self.devices: set[str] = set()
        """Types of the devices of the graphs' inputs; of other inputs, their own type."""


class Entry:
    """One time that a scope was entered. `scope_seen` is shared by all entries of the scope."""

    __slots__ = (
        "closed",
        "leaving",
        "opened_in",
        "priors",
        "runner",
        "scope_seen",
        "seen",
        "token",
        "values",
    )

    def __init__(self, values: dict[str, Any], scope_seen: Seen) -> None:
        self.values = values
        self.priors: dict[str, Any] = {}
        self.runner = who_runs()
        self.opened_in: OpenScopes | None = None
        """None: everything was switched off."""
        self.leaving = self.closed = False
        self.token: Token[None] | None = None
        self.seen, self.scope_seen = Seen(), scope_seen


class Carried(NamedTuple):
    """What is in force for a graph, to be put in force again when its backward is compiled."""

    seen: tuple[Seen, ...]
    """Of the scopes that were open: a backward graph counts for them."""
    values: dict[str, Any]
    """The package's option, and the others of the scopes that were open."""


_Entries = tuple[Entry, ...]
_in_context: ContextVar[_Entries] = ContextVar("inductor_override.open_scopes", default=())
_entered: ContextVar[None] = ContextVar("inductor_override.entered")
"""Nobody reads it: its tokens tell the contexts apart in which scopes were entered."""


class OpenScopes:
    """The open scopes of one config store: of the process, or of the context that asks."""

    def __init__(self, store: ConfigStore, lock: threading.RLock) -> None:
        self.store, self.lock = store, lock
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
            if self.store.per_context:  # this one may be a copy, as in `settle`
                self.settle()
            try:
                for key, value in entry.values.items():
                    entry.priors[key] = self.store.prior(key)  # should an interrupt come
                    entry.priors[key] = self.store.write(key, value)
                    if key != OPTION and self.store.read(key) != value:
                        raise ValueError(
                            f"{key}={value!r} cannot take effect: it stays at "
                            f"{self.store.read(key)!r}, forced by its environment variable or by "
                            "another option"
                        )
                if self.store.per_context:
                    entry.token = _entered.set(None)
                self._set((*self._entries(), entry))
            except BaseException:
                for key in reversed(entry.priors):
                    self.store.restore(key, entry.priors[key])
                raise

    def close(self, entry: Entry) -> bool:
        """Take the entry's values out of force; what rules now is put in their place.

        Returns False when the entry was opened in another context: its values can be put back
        only there, and are when that compiles again.
        """
        with self.lock:
            entry.closed = True
            if entry not in self._entries():
                return False
            here = self._is_of_this_context(entry)
            self.settle()
            return here

    def settle(self) -> None:
        """Take out of force here what is closed; what rules now is put in its place.

        A context may be a copy, made in a scope that has ended since.
        """
        if not self._entries():
            return
        with self.lock:
            entries = self._entries()
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
            if len(left) < len(entries):
                for key, prior in found.items():
                    self.store.restore(key, prior)
                self._set(tuple(left))

    def now(self) -> Carried:
        """What a graph that is compiled here and now is compiled with."""
        entries = self.here()
        keys = {OPTION: None, **{key: None for entry in entries for key in entry.values}}
        seen = tuple(entry.scope_seen for entry in entries)
        return Carried(seen, {key: self.store.read(key) for key in keys})

    @contextmanager
    def again(self, carried: Carried) -> Iterator[None]:
        """Put in force here what was in force there, as far as it is not."""
        differing = {k: v for k, v in carried.values.items() if self.store.read(k) != v}
        have = {entry.scope_seen for entry in self.here()}
        entries = [Entry({}, seen) for seen in carried.seen if seen not in have]
        if differing:
            entries.append(Entry(differing, Seen()))
        opened: list[Entry] = []
        try:
            for entry in entries:
                self.open(entry)
                opened.append(entry)
            yield
        finally:
            for entry in reversed(opened):
                self.close(entry)

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

    def _is_of_this_context(self, entry: Entry) -> bool:
        """Whether it was opened here, and not in the context of which this one is a copy."""
        if entry.token is None:
            return True
        try:
            _entered.reset(entry.token)
        except ValueError:  # so contextvars says it, and nothing else does
            return False
        except RuntimeError:  # used already, by a `close` that was interrupted
            return True
        return True
