"""Runs the process with the simulated GPU: one JSON object in, JSON lines out.

The simulation changes its process for good, so it never runs in the user's own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import closing
from typing import Any

from inductor_override.child_process import ChildEnded, answers, python_path
from inductor_override.simulation.errors import (
    NotCapturedError,
    NotCompiledError,
    SimulationError,
    ToolchainError,
    UnknownTorchError,
)

_CHILD = "inductor_override.explanation"
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
    with tempfile.TemporaryDirectory(prefix="inductor-override-") as folder:
        environment = _environment(folder, request.get("path", ()))
        try:
            with closing(answers(_CHILD, request, environment, folder)) as found:
                for answer in found:
                    if answer["kind"] == "failed":
                        raise _ERRORS[answer["error"]](answer["message"])
                    yield answer
        except ChildEnded as ended:
            raise ChildFailed(ended.returncode, ended.output) from None


def _environment(folder: str, apart: Collection[str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_IGNORED)}
    return {
        **kept,
        # What this process can import, the other can, wherever it was started from.
        "PYTHONPATH": python_path(apart),
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
