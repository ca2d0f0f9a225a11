"""A Python process of the package's own: one JSON object in, JSON lines out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any


class ChildEnded(Exception):
    """The process ended without saying that it was done.

    Attributes:
        returncode: its exit status.
        output: what it wrote to standard error.
    """

    def __init__(self, returncode: int, output: str) -> None:
        self.returncode, self.output = returncode, output
        super().__init__(f"exit {returncode}")


def answers(
    module: str, request: Mapping[str, Any], environment: Mapping[str, str], folder: str
) -> Generator[dict[str, Any], None, None]:
    """Send `request` to `python -m MODULE`, and yield what it answers.

    The process and those that it has started end with the iterator.

    Args:
        folder: where the process runs, and keeps what it writes to standard error. Empty: Python
            looks there first for what is imported, and a user's own folder may have a types.py.

    Raises:
        ChildEnded: its exit status was not 0.
    """
    there = os.path.join(folder, "cwd")
    os.makedirs(there, exist_ok=True)
    with (
        open(os.path.join(folder, "said"), "w+", encoding="utf-8", errors="replace") as said,
        process(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            cwd=there,
            env=environment,
        ) as child,
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        with suppress(BrokenPipeError), child.stdin:
            json.dump(request, child.stdin)
        for line in child.stdout:
            yield json.loads(line)
        if child.wait() != 0:
            said.seek(0)
            raise ChildEnded(child.returncode, said.read())


@contextmanager
def process(arguments: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a process; end it, and those that it has started, when the block ends.

    Args:
        **how: for `subprocess.Popen`.
    """
    child: subprocess.Popen[str] | None = None
    try:
        with _interrupts_later():
            child = subprocess.Popen(
                arguments,
                encoding="utf-8",
                errors="replace",
                # Ctrl-C is for this process, which then ends the other.
                start_new_session=True,
                **how,
            )
        yield child
    finally:
        if child is not None:
            _end(child)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Keep an interrupt until the block has ended: within Popen nobody knows the child yet."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in numbers
        if callable(signal.getsignal(number))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in came:
        signal.raise_signal(number)


def _end(child: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def python_path(apart: Collection[str] = ()) -> str:
    """A PYTHONPATH with which a process can import what this one can, but for some folders."""
    return os.pathsep.join(os.path.abspath(entry) for entry in sys.path if entry not in apart)
