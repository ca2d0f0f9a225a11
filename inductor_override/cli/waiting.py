"""What a command does while it waits for processes: shows how far it is, and ends when told to."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from inductor_override.cli import console


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let SIGTERM (timeout, CI) and SIGHUP (a lost connection) end it as Ctrl-C does."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    found = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, interrupt) for number in found}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def progress_of_processes() -> Iterator[Callable[[str, int, int], None]]:
    """A bar with the time that is left in a terminal, else a line for each process."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    to = console.stderr()
    if not to.is_terminal:
        yield lambda what, done, count: click.echo(f"[{done}/{count}] {what}", err=True)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=to, transient=True) as bars:
        task = bars.add_task("starting", total=None)
        yield lambda what, done, count: bars.update(
            task, description=what, completed=done, total=count
        )
