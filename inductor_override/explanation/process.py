"""Runs the process with the simulated GPU: one JSON object in, JSON lines out.

The simulation changes its process for good, so it never runs in the user's own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from inductor_override.simulation.errors import (
    NotCapturedError,
    NotCompiledError,
    SimulationError,
    ToolchainError,
    UnknownTorchError,
)

_ERRORS = {
    error.__name__: error
    for error in (
        NotCapturedError,
        NotCompiledError,
        SimulationError,
        ToolchainError,
        UnknownTorchError,
    )
}

# The answer depends on the arguments, torch and Triton, and on nothing that a person happens to
# have exported; above all not on the override's own variables, or "torch alone" would be a lie.
_IGNORED = ("TORCHINDUCTOR_", "INDUCTOR_OVERRIDE_", "TORCH_LOGS", "TORCH_COMPILE_", "TRITON_")


class ChildFailed(SimulationError):
    """The process with the simulated GPU ended without an answer.

    Attributes:
        output: what it printed.
    """

    def __init__(self, returncode: int, output: str) -> None:
        self.output = output
        super().__init__(f"the process with the simulated GPU failed (exit {returncode})")


def run(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Send `request` to `python -m inductor_override.explanation`, and yield its answers.

    The process and those that it has started end with the iterator.

    Raises:
        SimulationError: what was raised over there, or ChildFailed if it ended before its time.
    """
    # An empty folder to run in: Python looks there first for what is imported, and the user's own
    # may have a types.py or a random.py.
    with tempfile.TemporaryDirectory(prefix="inductor-override-") as folder:
        there = os.path.join(folder, "cwd")
        os.mkdir(there)
        with open(os.path.join(folder, "said"), "w+", encoding="utf-8", errors="replace") as said:
            child = subprocess.Popen(
                [sys.executable, "-m", "inductor_override.explanation"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                encoding="utf-8",
                cwd=there,
                env=_environment(folder, request.get("path", ())),
                # Ctrl-C is for this process, which then ends the other.
                start_new_session=True,
            )
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                with suppress(BrokenPipeError), child.stdin:
                    json.dump(request, child.stdin)
                for line in child.stdout:
                    answer = json.loads(line)
                    if answer["kind"] == "failed":
                        raise _ERRORS[answer["error"]](answer["message"])
                    yield answer
                if child.wait() != 0:
                    said.seek(0)
                    raise ChildFailed(child.returncode, said.read())
            finally:
                _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    """End the process, if it has not, and those that it has started."""
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _environment(folder: str, apart: Collection[str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_IGNORED)}
    return {
        **kept,
        # What this process can import, the other can, wherever it was started from.
        "PYTHONPATH": os.pathsep.join(
            os.path.abspath(entry) for entry in sys.path if entry not in apart
        ),
        "TMPDIR": folder,
        "PYTHONIOENCODING": "utf-8",
        # From torch 2.8 on: it would load each candidate through the driver.
        "TORCHINDUCTOR_USE_STATIC_CUDA_LAUNCHER": "0",
        "TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "inductor"),
        "TRITON_CACHE_DIR": os.path.join(folder, "triton"),
        # Neither a real GPU nor another backend's plug-in has a say.
        "CUDA_VISIBLE_DEVICES": "",
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    }
