"""Running a program of the user's, and what it says of the override at its end."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from inductor_override.child_environment import with_reports
from inductor_override.diagnosis.advice import Advice, someone_at_the_gate
from inductor_override.request.names import ENV_REPORT_BY


@dataclass(frozen=True)
class Examined:
    """What came of a program.

    Attributes:
        command: what was run.
        returncode: its exit status; negative: the signal that ended it.
        processes: what each process told: its number, its command, who stands at its gate, and
            what `TuningReport.to_dict` has.
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
                    f"{' '.join(self.command)} ended with {self.returncode}.",
                    "What it would have compiled later is not in this report.",
                    "see its own message above",
                    "the exit status",
                )
            )
        seen = any(each["graphs"] for each in self.processes)
        if not seen and not self.returncode:
            found.append(
                Advice(
                    "not-on",
                    "No graph was compiled while the override was available.",
                    "Either the program compiles nothing, or nothing in it asks for the override: "
                    "no scope, no enable(), no options(), and no environment variable.",
                    f"inductor-override run --max-autotune --report -- {' '.join(self.command)}",
                    "the reports of its processes",
                )
            )
        if seen and not any(each["asked"] for each in self.processes):
            causes = {each["cause"] for each in self.processes if each["cause"]}
            cached = all(each["graphs"] == each["graphs_from_cache"] for each in self.processes)
            known = f"The graphs: {'; '.join(sorted(causes))}." if causes else ""
            cached = cached and not causes
            if cached:
                known = "torch had all graphs in its caches, where they lie with their threshold."
            found.append(
                Advice(
                    "gate-not-asked",
                    "Graphs were compiled, and the gate was never asked.",
                    known or "No product or convolution that Inductor would tune is in them.",
                    "another TORCHINDUCTOR_CACHE_DIR once, to see it tune" if cached else "",
                    "the reports of its processes",
                )
            )
        owners = dict.fromkeys(each.get("gate_owner") for each in self.processes)
        found += [someone_at_the_gate(one, "at the program's end") for one in owners if one]
        return found


def examine(
    command: Sequence[str], environment: Mapping[str, str], stdout: IO[str] | None = None
) -> Examined:
    """Run a command to its end; its output is its own, and it is not changed in anything else.

    Ctrl-C ends the command, and what it reports at that end is returned.

    Args:
        stdout: where its standard output goes, if not to this process's.

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
        with _interrupts_for_the_command():
            done = subprocess.run(
                ["/bin/sh", "-c", become, "sh", *command],
                env=with_reports(environment, str(file)),
                stdout=stdout,
                check=False,
            )
        reports = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return Examined(tuple(command), done.returncode, tuple(reports))


@contextmanager
def _interrupts_for_the_command() -> Iterator[None]:
    # A handler that does nothing, and not SIG_IGN: the command would inherit that.
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
