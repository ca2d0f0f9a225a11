"""Who else assigns to the gate, or to its consumer: named once in the log, and in `status()`."""

from __future__ import annotations

import threading

from inductor_override.hooks.hook import Hook
from inductor_override.messages import say_once
from inductor_override.patches.asking import belongs_to_torch, name_of, who_decides_instead
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
        return _assigned_by_another(hook, found)

    def keep_on_top(self) -> None:
        """Called before each compile, in which the gate is asked."""
        hook, sentence = self._hook, None
        if hook is None:
            return
        if not hook.is_outermost():
            with self._lock:
                if self._hook and not hook.is_outermost():
                    sentence = _assigned_by_another(hook, hook.attach())
            if sentence:
                say_once(sentence)
        if another := who_decides_instead(self._consumers, hook.owner):
            name, who = another
            _note(who)
            say_once(
                f"{UTILS}.{name} was replaced by {who}, which does not ask {hook.name}: the "
                "override has no effect"
            )

    def stop(self) -> None:
        """Before the hooks are taken off."""
        self._hook = None


def _assigned_by_another(hook: Hook, found: object) -> str | None:
    if belongs_to_torch(found):
        return None
    _note(who := name_of(found))
    return (
        f"{UTILS}.{hook.name} was replaced by {who}: where a threshold is set, inductor-override "
        f"decides instead; {who} stays in place when the override ends"
    )


def _note(who: str) -> None:
    if who not in named:
        named.append(who)
