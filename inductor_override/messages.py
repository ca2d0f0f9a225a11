"""What the package says in the log, under the logger `inductor_override`.

Nothing is logged while the installation's lock is held: a logging handler is a stranger's code, and
may wait for another thread that needs the lock.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import Final

log: Final = logging.getLogger("inductor_override")

_SENDER = "inductor-override"
_said: set[str] = set()


def say_once(sentence: str, key: str | None = None) -> None:
    """Log a warning once in a process.

    Args:
        sentence: what is said.
        key: what tells this message from others, if the sentence names numbers that vary.
    """
    if (key or sentence) in _said:
        return
    _said.add(key or sentence)
    say(sentence)


def say(sentence: str) -> None:
    """Log a warning, with the name of the package in front."""
    log.warning("%s: %s", _SENDER, sentence)


def log_line(sentence: Callable[[], str]) -> None:
    """Log what happened, for who wants to know: at the level INFO."""
    if log.isEnabledFor(logging.INFO):
        log.info("%s: %s", _SENDER, sentence())


def warn_once(sentence: str) -> None:
    """Issue a `RuntimeWarning` once, which never raises: for code that `import torch` runs."""
    if sentence in _said:
        return
    _said.add(sentence)
    try:
        warnings.warn(f"{_SENDER}: {sentence}", RuntimeWarning, stacklevel=3)
    except Warning:  # python -W error
        say(sentence)
