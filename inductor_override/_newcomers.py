"""Who else assigns to what is hooked: they are named once in the log, and in `status()`."""

from __future__ import annotations

from inductor_override._hooks import Hook
from inductor_override._notices import say_once

WATCHED = {
    "gate": "where a threshold is set, inductor-override decides instead",
    "consumer": "it may decide without asking the gate, and then the override has no effect",
}
"""The roles of the hooks that go on top of what others assign, and what is said of it."""

seen: list[str] = []
"""Everyone who was noticed."""


def note(hook: Hook, role: str, target: object) -> None:
    """Name whose `target` it is that the hook has gone on top of, unless it is torch's own."""
    if getattr(target, "__module__", None) == "torch._inductor.utils":
        return
    who = _describe(target)
    if who not in seen:
        seen.append(who)
    say_once(
        f"torch._inductor.utils.{hook.name} was replaced by {who}: {WATCHED[role]}; it stays in "
        "place when the override ends"
    )


def _describe(target: object) -> str:
    """Who a function is: `unsloth.kernels.is_big_gpu`."""
    module = getattr(target, "__module__", None) or "?"
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{module}.{name}"
