"""Who else assigns to what is hooked: named once in the log, and in `status()`."""

from __future__ import annotations

import threading

from inductor_override.hooks.hook import Hook
from inductor_override.messages import say_once
from inductor_override.patches.asking import belongs_to_torch, name_of
from inductor_override.request.names import UTILS

_SAID = {
    "gate": "where a threshold is set, inductor-override decides instead",
    "consumer": "it may decide without asking the gate, and then the override has no effect",
}
"""By the role of the hook that goes on top."""

named: list[str] = []
"""Everyone who was noticed in this process."""


class Foreign:
    """Keeps the hooks that decide on top of what others assign to the same names.

    Args:
        lock: the installation's.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._watched: list[tuple[str, Hook]] = []

    def watch(self, role: str, hook: Hook, found: object) -> str | None:
        """From now on keep this hook on top of `found`.

        Returns what is to be said once about who had put `found` there; None if torch had.
        """
        self._watched.append((role, hook))
        return _sentence(role, hook, found)

    def keep_on_top(self) -> None:
        """Called before the gate is asked."""
        for role, hook in self._watched:
            if hook.is_outermost():
                continue
            sentence = None
            with self._lock:
                if self._watched and not hook.is_outermost():
                    sentence = _sentence(role, hook, hook.attach())
            if sentence:
                say_once(sentence)

    def stop(self) -> None:
        """Before the hooks are taken off."""
        self._watched = []


def _sentence(role: str, hook: Hook, found: object) -> str | None:
    if belongs_to_torch(found):
        return None
    who = name_of(found)
    if who not in named:
        named.append(who)
    return (
        f"{UTILS}.{hook.name} was replaced by {who}: {_SAID[role]}; {who} stays in place when the "
        "override ends"
    )
