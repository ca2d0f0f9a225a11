"""What is said once in a process, to the log."""

from __future__ import annotations

from inductor_override._names import log

_said: set[str] = set()


def say_once(sentence: str) -> None:
    if sentence not in _said:
        _said.add(sentence)
        log.warning("%s", sentence)


def forget() -> None:
    """Everything may be said again."""
    _said.clear()
