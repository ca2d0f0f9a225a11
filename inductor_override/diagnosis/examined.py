"""Running a program of the user's, and what it says of the override at its end."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inductor_override.child_environment import with_reports
from inductor_override.diagnosis.advice import Advice
from inductor_override.request.names import ENV_REPORT_BY


@dataclass(frozen=True)
class Examined:
    """What came of a program.

    Attributes:
        command: what was run.
        returncode: its exit status; negative: the signal that ended it.
        processes: the report of each process, as `TuningReport.to_dict` has it.
    """

    command: tuple[str, ...]
    returncode: int
    processes: tuple[dict[str, Any], ...]

    def advice(self) -> list[Advice]:
        """What to do, as far as the reports tell."""
        found = []
        if self.returncode:
            found.append(
                Advice(
                    "program-failed",
                    f"{self.command[0]} ended with {self.returncode}.",
                    "What it would have compiled later is not in this report.",
                    "see its own message above",
                    "the exit status",
                )
            )
        if not any(each["graphs"] for each in self.processes):
            found.append(
                Advice(
                    "not-on",
                    "No graph was compiled under the override.",
                    "Either the program compiles nothing, or nothing in it asks for the override: "
                    "no scope, no enable(), no options(), and no environment variable.",
                    f"inductor-override run --report -- {' '.join(self.command)}",
                    "the reports of its processes",
                )
            )
        elif not any(each["asked"] for each in self.processes):
            found.append(
                Advice(
                    "gate-not-asked",
                    "Graphs were compiled under the override, and the gate was never asked.",
                    "The log of the program names the cause: no max-autotune, inputs on the CPU "
                    "only; or torch had the graphs in its caches.",
                    "mode='max-autotune' in the program, or TORCHINDUCTOR_MAX_AUTOTUNE=1; "
                    "TORCHINDUCTOR_FORCE_DISABLE_CACHES=1 once, to see it tune",
                    "the reports of its processes",
                )
            )
        return found


def examine(command: Sequence[str], environment: Mapping[str, str]) -> Examined:
    """Run a command to its end; its output is its own, and it is not changed in anything else.

    Raises:
        FileNotFoundError: there is no such command.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(command[0])
    with tempfile.TemporaryDirectory(prefix="inductor-override-doctor-") as folder:
        file = Path(folder) / "reports.jsonl"
        file.touch()
        # The shell becomes the command, under the process number that it has told of.
        become = f'export {ENV_REPORT_BY}=$$; exec "$@"'
        done = subprocess.run(
            ["/bin/sh", "-c", become, "sh", *command],
            env=with_reports(environment, str(file)),
            check=False,
        )
        reports = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return Examined(tuple(command), done.returncode, tuple(reports))
