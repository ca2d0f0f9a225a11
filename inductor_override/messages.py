"""What the package says in the log, under the logger `inductor_override`.

Nothing is logged while a lock of the package is held: a logging handler is a stranger's code, and
may wait for another thread that needs the lock.
"""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Final

log: Final = logging.getLogger("inductor_override")

_SENDER = "inductor-override"
_said: set[str] = set()


class _HeldBack(threading.local):
    depth = 0
    lines: tuple[str, ...] = ()


_held_back = _HeldBack()


def say_once(sentence: str, key: str | None = None) -> None:
    """Log a warning once in a process.

    Args:
        sentence: what is said.
        key: what tells this message from others, if the sentence names numbers that vary.
    """
    if (key or sentence) in _said:
        return
    _said.add(key or sentence)
    if _held_back.depth:
        _held_back.lines += (sentence,)
    else:
        say(sentence)


def say(sentence: str) -> None:
    """Log a warning, with the name of the package in front."""
    log.warning("%s: %s", _SENDER, sentence)


def warn_once(sentence: str) -> None:
    """Issue a `RuntimeWarning` once, which never raises: for code that `import torch` runs."""
    if sentence in _said:
        return
    _said.add(sentence)
    try:
        warnings.warn(f"{_SENDER}: {sentence}", RuntimeWarning, stacklevel=3)
    except Warning:  # python -W error
        say(sentence)


class QuietLock:
    """A lock that a thread may take again. What is said under it is logged after it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()
        _held_back.depth += 1

    def __exit__(self, *exception: object) -> None:
        _held_back.depth -= 1
        self._lock.release()
        if not _held_back.depth and _held_back.lines:
            lines, _held_back.lines = _held_back.lines, ()
            for line in lines:
                say(line)

    def renew(self) -> None:
        """In the child of a fork: another thread of its parent's may have held the lock."""
        self._lock, _held_back.depth = threading.RLock(), 0


def forget() -> None:
    """Let everything be said again."""
    _said.clear()
