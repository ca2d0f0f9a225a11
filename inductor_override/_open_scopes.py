"""Which scopes are open, and which values are in force because of them.

Until torch 2.11 an option has one value for the process. Scopes of two threads, or of two
interleaved coroutines, then end in any order, and saving at entry what is put back at exit would
leak one scope's value into the other. So the value is computed: the youngest scope that is still
open and names the option rules; when none is left, what was there before the first comes back.

From 2.12 on the same holds within one context (a thread, an asyncio task).
"""

from __future__ import annotations

import sys
import threading
from contextvars import ContextVar
from typing import Any, NamedTuple

from inductor_override._names import OPTION
from inductor_override._stores import ConfigStore


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

    __slots__ = ("closed", "runner", "scope_seen", "seen", "values")

    def __init__(self, values: dict[str, Any], scope_seen: Seen) -> None:
        self.values = values
        self.runner = who_runs()
        self.closed = False
        self.seen, self.scope_seen = Seen(), scope_seen


class _State(NamedTuple):
    entries: tuple[Entry, ...] = ()
    priors: dict[str, Any] = {}  # noqa: RUF012  (never changed: each change makes a new one)


_NONE = _State()
_in_context: ContextVar[_State] = ContextVar("inductor_override.open_scopes", default=_NONE)


class OpenScopes:
    """The open scopes of one config store: of the process, or of the context that asks."""

    def __init__(self, store: ConfigStore) -> None:
        self.store = store
        self._lock = threading.RLock()
        self._in_process = _NONE

    def here(self) -> tuple[Entry, ...]:
        """The scopes whose values may be in force here, oldest first."""
        return self._state().entries

    def seen_here(self) -> set[Seen]:
        """Where to note what happens here; each once, also for a scope that is entered twice."""
        entries = self.here()
        return {e.seen for e in entries} | {e.scope_seen for e in entries} if entries else set()

    def open(self, entry: Entry) -> None:
        """Put the entry's values in force; all of them or, with the error raised, none.

        Raises:
            ValueError: an option keeps another value, since the environment forces it.
        """
        with self._lock:
            entries, priors = self._state()
            priors = dict(priors)
            written = []
            try:
                for key, value in entry.values.items():
                    prior = self.store.write(key, value)
                    written.append((key, prior))
                    priors.setdefault(key, prior)
                    if key != OPTION and self.store.read(key) != value:
                        raise ValueError(
                            f"{key}={value!r} cannot take effect: it stays at "
                            f"{self.store.read(key)!r}, forced by its environment variable or by "
                            "another option"
                        )
            except BaseException:
                for key, prior in reversed(written):
                    self.store.restore(key, prior)
                raise
            self._set(_State((*entries, entry), priors))

    def close(self, entry: Entry) -> bool:
        """Take the entry's values out of force; what rules now is put in their place.

        Returns False when the entry was opened in another context: its values can be put back
        only there.
        """
        with self._lock:
            entry.closed = True
            state = self._raw_state()
            if entry not in state.entries:
                return False
            after = state.entries[state.entries.index(entry) + 1 :]
            left = tuple(e for e in state.entries if not e.closed)
            priors = dict(state.priors)
            for key in entry.values:
                ruling = next((e for e in reversed(left) if key in e.values), None)
                if ruling is None:
                    self.store.restore(key, priors.pop(key))
                elif not any(key in e.values for e in after if not e.closed):
                    self.store.write(key, ruling.values[key])
            self._set(_State(left, priors))
            return True

    def rebase(self, value: int) -> bool:
        """Let the package's option come back to `value` when the last scope ends.

        Only where default and value are one (torch 2.0 to 2.5). False: no scope is open.
        """
        with self._lock:
            entries, priors = self._state()
            if OPTION not in priors:
                return False
            self._set(_State(entries, {**priors, OPTION: value}))
            return True

    def _raw_state(self) -> _State:
        return _in_context.get() if self.store.per_context else self._in_process

    def _state(self) -> _State:
        state = self._raw_state()
        if any(entry.closed for entry in state.entries):
            # A task copies its parent's context, and the parent's scope has ended since.
            left = tuple(entry for entry in state.entries if not entry.closed)
            return _State(left, state.priors) if left else _NONE
        return state

    def _set(self, state: _State) -> None:
        state = state if state.entries else _NONE
        if self.store.per_context:
            _in_context.set(state)
        else:
            self._in_process = state
