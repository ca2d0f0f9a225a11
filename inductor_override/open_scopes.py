"""Which scopes are open, and which values apply because of them.

Until torch 2.11 an option has one value for the process. Scopes of two threads, or of two
interleaved coroutines, then end in any order, and saving at entry what is put back at exit would
leak one scope's value into the other. So the youngest open scope that names an option gives its
value. A scope that ends before a younger one hands its prior to the younger one, which restores it
at its end. torch's own `config.patch` between two scopes is found and put back like any other
value.

From 2.12 on the same holds within one context (a thread, an asyncio task).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from inductor_override.config_store.base import ConfigStore
from inductor_override.request.names import OPTION
from inductor_override.tuning import Tuned


@dataclass(eq=False)
class Counts:
    """What was seen while a scope was open, over all times that it was entered, or in a process."""

    consulted: int = 0
    """Questions to the gate."""
    passed: int = 0
    """Questions to which the answer was yes."""
    graphs: int = 0
    autotuned: int = 0
    """Calls of the compiler with max_autotune or max_autotune_gemm on."""
    without_triton: int = 0
    """Of these: with a list of GEMM backends that lacks TRITON."""
    beyond_cpu: int = 0
    """Of these: with an input that is not on the CPU."""
    from_cache: int = 0
    """Of the graphs: what torch took from its caches."""

    def __post_init__(self) -> None:
        # No field: the Dynamo of torch 2.0 cannot trace a scope made of fields with a factory.
        self.tuned: list[Tuned] = []
        """What torch's tuner told."""

    def now(self) -> tuple[int, ...]:
        *numbers, tuned = vars(self).values()
        return (*numbers, len(tuned))

    def since(self, before: tuple[int, ...]) -> Counts:
        """What was counted after `now` had returned `before`."""
        *numbers, tuned = vars(self).values()
        found = Counts(*(n - then for n, then in zip(numbers, before, strict=False)))
        found.tuned += tuned[before[-1] :]
        return found


@dataclass(eq=False)
class Entry:
    """One time that a scope was entered, in one context."""

    values: dict[str, Any]
    counts: Counts
    """Of the scope."""

    def __post_init__(self) -> None:
        self.before = self.counts.now()
        self.priors: dict[str, Any] = {}
        self.opened_in: OpenScopes | None = None
        """None while it is not open, and where everything is switched off."""
        self.closed = False


class GraphValues(NamedTuple):
    """What a graph is compiled with, to be applied again when its backward is compiled."""

    counts: tuple[Counts, ...]
    """Of the process and of the scopes that were open: a backward graph counts for them."""
    values: dict[str, Any]
    """The package's option, and the other options of the scopes that were open."""


_Entries = tuple[Entry, ...]
_in_context: ContextVar[_Entries] = ContextVar("inductor_override.open_scopes", default=())


def opened_here() -> _Entries:
    """The entries that were opened in this context, or in the one of which it is a copy."""
    return _in_context.get()


class OpenScopes:
    """The open scopes of one config store.

    Args:
        lock: the installation's. It is not held while the gate is asked.
        process_counts: what was seen in this process, in a scope or not.
    """

    def __init__(self, store: ConfigStore, lock: threading.RLock, process_counts: Counts) -> None:
        self.store, self.lock, self.process_counts = store, lock, process_counts
        self._in_process: _Entries = ()

    def here(self) -> _Entries:
        """The open scopes whose values may apply here, oldest first."""
        entries = self._entries()
        for each in entries:  # not any(): the gate asks this
            if each.closed:
                return tuple(entry for entry in entries if not entry.closed)
        return entries

    def counts_here(self) -> Collection[Counts]:
        """Where to count what happens here; each once, also for a scope that is entered twice."""
        entries = self.here()
        if len(entries) <= 1:  # the gate asks this
            return (self.process_counts, *(entry.counts for entry in entries))
        return dict.fromkeys((self.process_counts, *(entry.counts for entry in entries)))

    def count_tuned(self, operation: Tuned) -> None:
        """Note what torch's tuner told in this thread."""
        for counts in self.counts_here():
            counts.tuned.append(operation)

    def open(self, entry: Entry) -> None:
        """Apply the entry's values; all of them or, with the error raised, none.

        Raises:
            ValueError: an option keeps another value, since the environment forces it.
        """
        with self.lock:
            self.drop_closed()  # this context may be a copy
            entry.opened_in = self
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
                _in_context.set((*(e for e in _in_context.get() if not e.closed), entry))
                self._in_process = (*self._in_process, entry)
            except BaseException:
                for key in reversed(entry.priors):
                    self.store.restore(key, entry.priors[key])
                raise

    def close(self, entry: Entry) -> bool:
        """Put back what the entry's values have replaced, as far as no younger entry needs it.

        Returns False when the entry was not opened here (in another thread, say): its values can
        be put back only there, and are when a graph is compiled there.
        """
        with self.lock:
            entry.closed = True
            here = entry in self._entries()
            self.drop_closed()
            return here

    def drop_closed(self) -> None:
        """Undo the closed entries of this context.

        The context may be a copy, made in a scope that has ended since.
        """
        with self.lock:
            entries = self._entries()
            if any(entry.closed for entry in entries):
                for key, prior in self._to_put_back(entries).items():
                    self.store.restore(key, prior)
            self._in_process = tuple(e for e in self._in_process if not e.closed)
            if any(entry.closed for entry in _in_context.get()):
                _in_context.set(tuple(e for e in _in_context.get() if not e.closed))

    def value_here(self) -> Any:
        """The threshold that a graph compiled here would have. Changes no option."""
        found = self._to_put_back(self._entries())
        if OPTION in found:
            return self.store.value_of(OPTION, found[OPTION])
        return self.store.min_sms()

    def values_here(self) -> GraphValues:
        """What a graph that is compiled here and now is compiled with."""
        entries = self.here()
        keys = dict.fromkeys((OPTION, *(key for entry in entries for key in entry.values)))
        return GraphValues(tuple(self.counts_here()), {key: self._read(key) for key in keys})

    @contextmanager
    def reopen(self, graph: GraphValues) -> Iterator[None]:
        """Set the graph's values where they differ from the present ones, until the block ends."""
        self.drop_closed()  # this context may be a copy, made in a scope that has ended
        differing = {k: v for k, v in graph.values.items() if self._read(k) != v}
        have = self.counts_here()
        entries = [Entry({}, counts) for counts in graph.counts if counts not in have]
        if differing:
            entries.append(Entry(differing, Counts()))
        opened: list[Entry] = []
        try:
            for entry in entries:
                opened.append(entry)
                self.open(entry)
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

    def _to_put_back(self, entries: _Entries) -> dict[str, Any]:
        """The priors of closed entries that no younger open entry needs, by option.

        A younger open entry that has set the same option gets such a prior. Can be repeated.
        """
        found: dict[str, Any] = {}
        for entry in entries:
            for key in entry.priors:
                if entry.closed:
                    found.setdefault(key, entry.priors[key])
                elif key in found:
                    entry.priors[key] = found.pop(key)
        return found

    def _read(self, key: str) -> Any:
        return self.store.min_sms() if key == OPTION else self.store.read(key)

    def _entries(self) -> _Entries:
        return _in_context.get() if self.store.per_context else self._in_process
