"""Who needs the installation: it stays as long as anyone does."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Literal

Holder = Literal["scope", "enable", "options", "environment", "graph"]


class Holders:
    """Holders of one kind are told apart by a key; with the same key they are one."""

    def __init__(self) -> None:
        self._held: set[tuple[Holder, object]] = set()

    def __bool__(self) -> bool:
        return bool(self._held)

    def has(self, holder: Holder, key: object = None) -> bool:
        return (holder, key) in self._held

    def count(self) -> Counter[Holder]:
        return Counter(holder for holder, _ in self._held)

    def add(self, holder: Holder, key: object = None) -> None:
        self._held.add((holder, key))

    def drop(self, holder: Holder, key: object = None) -> None:
        self._held.discard((holder, key))

    def drop_all_but(self, *holders: Holder) -> None:
        self._held = {held for held in self._held if held[0] in holders}

    def drop_graphs_of_other_threads(self) -> None:
        """In the child of a fork they are compiled by nobody."""
        here = threading.get_ident()
        self._held = {
            (holder, key)
            for holder, key in self._held
            if not (holder == "graph" and isinstance(key, tuple) and key[0] != here)
        }


def graph_key() -> tuple[int, object]:
    """A key for a graph that this thread compiles."""
    return threading.get_ident(), object()
