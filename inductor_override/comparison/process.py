"""Starts the processes of a comparison, each with caches of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inductor_override.child_environment import with_override
from inductor_override.child_process import ChildEnded, answers, process, python_path
from inductor_override.comparison.arms import Arm
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import Run
from inductor_override.comparison.schedule import CHECK, WARM, Step
from inductor_override.request.names import ENV_DISABLE, ENV_OPTION

ENV_COMPARING = "INDUCTOR_OVERRIDE_COMPARING"
"""Set in the processes of a comparison: a script that they import must not start another one."""
_CHILD = "inductor_override.comparison"
_LAST_LINES = 15
# Caches that would hand the work of one arm to another, and what would change an arm unseen.
_DROPPED = (ENV_OPTION, ENV_DISABLE, "TORCH_COMPILE_DEBUG", "TORCHINDUCTOR_FORCE_DISABLE_CACHES")


class Processes:
    """Runs the steps of one comparison; its folder goes with it."""

    def __init__(self, question: Question, path: list[str]) -> None:
        """`path`: folders that Python must search for the model, after all others."""
        self.question, self._path = question, path
        self.layers: list[dict[str, Any]] = []
        self._built: list[list[float]] = []
        self._vector_code = False
        self._folder = Path(tempfile.mkdtemp(prefix="inductor-override-compare-"))

    def close(self) -> None:
        """Delete caches and references."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def reference(self) -> dict[str, Any]:
        """Compute what is right; return the environment and the model's layers.

        Raises:
            ComparisonError: the model or its inputs cannot be used.
        """
        request = self._request("reference")
        try:
            with tempfile.TemporaryDirectory(dir=self._folder) as caches:
                found = self._answers(request, Path(caches))
        except ChildEnded as ended:
            raise ComparisonError(_why(ended), _last_lines(ended.output)) from None
        if found[-1]["kind"] == "failed":
            raise ComparisonError(found[-1]["message"], found[-1]["detail"])
        self.layers = found[-1]["layers"]
        self._built = found[-1]["environment"]["built"]
        self._vector_code = found[-1]["vector_code"]
        return found[-1]

    def run(self, step: Step, arm: Arm) -> Run:
        """Run one process to its end. A process that fails is an answer, too."""
        began = time.monotonic()
        run = Run(step)
        # Those of a check are kept for the warm process that follows.
        caches = self._folder / f"caches-{step.arm if step.phase in (CHECK, WARM) else 'fresh'}"
        if step.phase != WARM:
            shutil.rmtree(caches, ignore_errors=True)
        try:
            if self.question.command is not None:
                self._command(run, arm, caches)
            else:
                self._measure(run, arm, caches)
        finally:
            if step.phase != CHECK:
                shutil.rmtree(caches, ignore_errors=True)
        run.seconds = round(time.monotonic() - began, 2)
        return run

    def _measure(self, run: Run, arm: Arm, caches: Path) -> None:
        request = self._request("measure") | {
            "arm": asdict(arm),
            "layers": self.layers,
            "built": self._built,
            "vector_code": self._vector_code,
            "timed": run.step.timed,
        }
        try:
            found = self._answers(request, caches)
        except ChildEnded as ended:
            run.failed = {"message": _why(ended), "detail": _last_lines(ended.output)}
            return
        if found and found[-1]["kind"] == "failed":
            run.failed = {name: found[-1][name] for name in ("message", "detail")}
            return
        run.cases = [{k: v for k, v in each.items() if k != "kind"} for each in found]

    def _answers(self, request: dict[str, Any], caches: Path) -> list[dict[str, Any]]:
        folder = str(caches / "process")
        with closing(answers(_CHILD, request, self._environment(caches), folder)) as found:
            return list(found)

    def _request(self, phase: str) -> dict[str, Any]:
        return {
            "phase": phase,
            "question": self.question.to_dict(),
            "path": self._path,
            "cwd": os.getcwd(),
            "folder": str(self._folder),
        }

    def _environment(self, caches: Path) -> dict[str, str]:
        caches.mkdir(parents=True, exist_ok=True)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in _DROPPED and "REMOTE_CACHE" not in name
        }
        return {
            **kept,
            ENV_COMPARING: "1",
            "PYTHONPATH": python_path(self._path),
            "PYTHONIOENCODING": "utf-8",
            "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
            "TRITON_CACHE_DIR": str(caches / "triton"),
        }

    def _command(self, run: Run, arm: Arm, caches: Path) -> None:
        assert self.question.command is not None
        words = shlex.split(self.question.command)
        # The command's own PYTHONPATH, and no wrapper that one arm would pay for and not the other.
        environment = self._environment(caches)
        del environment["PYTHONPATH"], environment[ENV_COMPARING]
        if "PYTHONPATH" in os.environ:
            environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
        if arm.min_sms is not None:
            environment = with_override(environment, arm.min_sms, arm.options)
        began = time.monotonic()
        try:
            with process(
                words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            ) as child:
                assert child.stdout is not None
                output = child.stdout.read()
                child.wait()
        except OSError as error:
            raise ComparisonError(
                f"--command: {words[0]} cannot be started: {error.strerror}"
            ) from None
        if child.returncode != 0:
            message = f"the command ended with exit status {child.returncode}"
            run.failed = {"message": message, "detail": _last_lines(output)}
            return
        run.figure = time.monotonic() - began
        if self.question.metric is not None:
            found = re.findall(self.question.metric, output)
            run.figure = _positive(found[-1]) if found else None
            if run.figure is None:
                message = f"no positive figure matches --metric {self.question.metric!r}"
                run.failed = {"message": message, "detail": _last_lines(output)}


def _positive(text: str) -> float | None:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def _why(ended: ChildEnded) -> str:
    if ended.returncode < 0:
        killed = " (out of memory?)" if ended.returncode == -9 else ""
        return f"the process was ended by signal {-ended.returncode}{killed}"
    return f"the process ended with exit status {ended.returncode}"


def _last_lines(output: str) -> str:
    return "\n".join(output.rstrip().splitlines()[-_LAST_LINES:])
