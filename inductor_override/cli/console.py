"""The one console that commands print tables with."""

from __future__ import annotations

import sys

from rich.console import Console

# A table in a file or a pipe must not be folded to a terminal's width that is not there.
_WIDTH_WITHOUT_TERMINAL = 120


def stdout() -> Console:
    """For what the user asked for."""
    width = None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL
    return Console(width=width, highlight=False)


def stderr() -> Console:
    """For what is said meanwhile."""
    return Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    """Print a line on standard error: folded between words in a terminal, elsewhere one line."""
    to = stderr()
    to.print(sentence, markup=False, emoji=False, soft_wrap=not to.is_terminal)
