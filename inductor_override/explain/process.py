"""Runs the process with the simulated GPU: JSON in, JSON out.

The simulation changes its process for good, so it never runs in the user's own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from inductor_override.simulation.errors import (
    NotCompiledError,
    SimulationError,
    ToolchainError,
    UnknownTorchError,
)

_ERRORS = {
    error.__name__: error
    for error in (NotCompiledError, SimulationError, ToolchainError, UnknownTorchError)
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


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Send `request` to `python -m inductor_override.explain`, and return its reply.

    Raises:
        SimulationError: what was raised over there, or ChildFailed if it gave no answer.
    """
    # An empty folder to run in: Python looks there first for what is imported, and the user's own
    # may have a types.py or a random.py.
    with tempfile.TemporaryDirectory(prefix="inductor-override-") as folder:
        there = os.path.join(folder, "cwd")
        os.mkdir(there)
        child = subprocess.run(
            [sys.executable, "-m", "inductor_override.explain"],
            input=json.dumps(request),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            cwd=there,
            env=_environment(folder),
            check=False,
        )
    if child.returncode != 0:
        raise ChildFailed(child.returncode, child.stderr)
    reply: dict[str, Any] = json.loads(child.stdout)
    if "error" in reply:
        raise _ERRORS[reply["error"]](reply["message"])
    return reply


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_IGNORED)}
    return {
        **kept,
        # What this process can import, the other can, wherever it was started from.
        "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        "PYTHONIOENCODING": "utf-8",
        "TORCHINDUCTOR_CACHE_DIR": os.path.join(folder, "inductor"),
        "TRITON_CACHE_DIR": os.path.join(folder, "triton"),
        # Neither a real GPU nor another backend's plug-in has a say.
        "CUDA_VISIBLE_DEVICES": "",
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    }
