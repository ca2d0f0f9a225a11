"""Who else assigns to the gate, or to its consumer: named once in the log, and in `status()`."""

from __future__ import annotations

import threading

from inductor_override.hooks.hook import Hook
from inductor_override.messages import say_once
from inductor_override.patches.asking import belongs_to_torch, find_consumer, name_of
from inductor_override.request.names import UTILS

named: list[str] = []
"""Everyone who was noticed in this process."""


class Foreign:
    """Keeps the hook on the gate on top of what others assign to it.

    Args:
        lock: the installation's.
        consumers: the names of the function that asks the gate, as the patch module has them.
    """

    def __init__(self, lock: threading.RLock, consumers: tuple[str, ...]) -> None:
        self._lock, self._consumers = lock, consumers
        self._hook: Hook | None = None

    def watch(self, hook: Hook, found: object) -> str | None:
        """From now on keep this hook on top of `found`.

        Returns what is to be said once about who had put `found` there; None if torch had.
        """
        self._hook = hook
        return _sentence(hook.name, found, _DECIDED_ABOVE)

    def keep_on_top(self) -> None:
        """Called when someone needs the override, and before each compile."""
        hook, sentence = self._hook, None
        if hook is None:
            return
        if not hook.is_outermost():
            with self._lock:
                if self._hook and not hook.is_outermost():
                    sentence = _sentence(hook.name, hook.attach(), _DECIDED_ABOVE)
            if sentence:
                say_once(sentence)
        if sentence := _sentence(*find_consumer(self._consumers, hook.owner), _MAY_DECIDE):
            say_once(sentence)

    def stop(self) -> None:
        """Before the hook is taken off."""
        self._hook = None


_DECIDED_ABOVE = "where a threshold is set, inductor-override decides instead"
_MAY_DECIDE = "it may decide without asking the gate, and then the override has no effect"


def _sentence(name: str, found: object, consequence: str) -> str | None:
    if belongs_to_torch(found):
        return None
    who = name_of(found)
    if who not in named:
        named.append(who)
    return (
        f"{UTILS}.{name} was replaced by {who}: {consequence}; {who} stays in place when the "
        "override ends"
    )
