"""What a comparison has found so far: one JSON file, written anew after each process."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inductor_override.comparison.arms import Arm
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.question import Question
from inductor_override.comparison.schedule import CHECK, NOISE, ROUND, Step
from inductor_override.files import write_whole

SCHEMA = 1
KIND = "inductor-override compare"
RUNNING, DONE, INTERRUPTED, OUT_OF_BUDGET, NOTHING_IN_FORCE = (
    "running",
    "done",
    "interrupted",
    "out of budget",
    "nothing in force",
)


@dataclass
class Run:
    """One process, and what it answered.

    Attributes:
        step: which one it was.
        cases: what it answered about each case: compile_seconds, error, limit, device, wall, ...
        figure: of a command, what it printed or the seconds it took.
        failed: what went wrong, as `message` and `detail`; None if nothing did.
        seconds: from its start to its end.
    """

    step: Step
    cases: list[dict[str, Any]] = field(default_factory=list)
    figure: float | None = None
    failed: dict[str, str] | None = None
    seconds: float = 0.0

    def figure_of(self, case: str) -> float | None:
        """The median of the samples of a case; None without samples. Of a command its figure."""
        if self.figure is not None:
            return self.figure
        found = next((each for each in self.cases if each["case"] == case), {})
        return statistics.median(found["device"]) if found.get("device") else None

    def cycles_of(self, case: str) -> float | None:
        """The same in clock cycles of the GPU's SMs; None where the clock is not known."""
        found = next((each for each in self.cases if each["case"] == case), {})
        clock = found.get("clocks", {}).get("sm_mhz")
        if not clock:
            return None
        pairs = zip(found["device"], clock, strict=True)
        return float(statistics.median(seconds * mhz * 1e6 for seconds, mhz in pairs))


@dataclass
class Result:
    """A comparison: the question, and all that was measured.

    Attributes:
        rounds: how many were asked for.
        min_effect: the smallest difference of interest, as a fraction.
        command_line: what was typed.
        environment: versions, the device, variables that torch reads.
        layers: distinct products of the model, as Problem's fields.
        ended: how it stands.
        looks: how often somebody may have looked at it before it went on.
    """

    question: Question
    arms: list[Arm]
    rounds: int
    min_effect: float
    command_line: str = ""
    environment: dict[str, Any] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    ended: str = RUNNING
    looks: int = 0

    def runs_of(self, phase: str, arm: int) -> list[Run]:
        """The processes of one phase and arm that did not fail."""
        return [
            run
            for run in self.runs
            if (run.step.phase, run.step.arm) == (phase, arm) and run.failed is None
        ]

    def failures(self) -> list[Run]:
        """The processes that failed."""
        return [run for run in self.runs if run.failed is not None]

    def done(self, step: Step) -> bool:
        """Whether the process has run, and not failed."""
        return any(run.step == step and run.failed is None for run in self.runs)

    def cases(self) -> list[str]:
        """The names of what was compared, in order; of a command a single empty one."""
        checks = self.runs_of(CHECK, 0)
        return [each["case"] for each in checks[0].cases] if checks else [""]

    def headline_cases(self) -> list[str]:
        """The cases that the headline is about: all but the layers of a model."""
        names = self.cases()
        return names[:1] if self.question.module is not None else names

    def cases_beside_the_headline(self) -> list[str]:
        """The names of those that are shown by themselves: layers, and products if several."""
        names = self.cases()
        if self.question.module is not None:
            return names[1:]
        return names if len(names) > 1 else []

    def samples(self, arm: int) -> list[list[float]]:
        """Of each round, the samples of the first headline case; of a command its figure."""
        name = self.headline_cases()[0]
        found = []
        for run in self.runs_of(ROUND, arm):
            of_case = [each.get("device", []) for each in run.cases if each["case"] == name]
            found.append([run.figure] if run.figure is not None else of_case[0])
        return found

    def pairs(self, arm: int, case: str) -> list[tuple[float, float]]:
        """The figures of the first arm and of another, of each round that has both."""
        return self._pairs(self.runs_of(ROUND, 0), self.runs_of(ROUND, arm), case)

    def cycle_pairs(self, arm: int, case: str) -> list[tuple[float, float]]:
        """The same in clock cycles; of the rounds whose clocks are known."""
        first, other = self.runs_of(ROUND, 0), self.runs_of(ROUND, arm)
        return self._pairs(first, other, case, Run.cycles_of)

    def noise_pairs(self, case: str) -> list[tuple[float, float]]:
        """The figures of the first arm against itself."""
        runs = self.runs_of(NOISE, 0)
        first, second = ([run for run in runs if run.step.half == half] for half in (0, 1))
        return self._pairs(first, second, case)

    def _pairs(
        self,
        first: list[Run],
        second: list[Run],
        case: str,
        figure: Callable[[Run, str], float | None] = Run.figure_of,
    ) -> list[tuple[float, float]]:
        pairs = []
        for one in first:
            for other in second:
                if one.step.round == other.step.round:
                    a, b = figure(one, case), figure(other, case)
                    if a and b:
                        pairs.append((b, a) if self.question.higher_is_better else (a, b))
        return pairs

    def to_dict(self) -> dict[str, Any]:
        """What was asked and measured, as JSON can hold it, without any judgement."""
        return {
            "schema": SCHEMA,
            "kind": KIND,
            "question": self.question.to_dict(),
            "settings": [asdict(arm) for arm in self.arms],
            "rounds": self.rounds,
            "min_effect": self.min_effect,
            "command_line": self.command_line,
            "environment": self.environment,
            "layers": self.layers,
            "ended": self.ended,
            "looks": self.looks,
            "runs": [asdict(run) for run in self.runs],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        """The opposite of `to_dict`."""
        runs = [Run(**{**each, "step": Step(**each["step"])}) for each in data["runs"]]
        kept = ("rounds", "min_effect", "command_line", "environment", "layers", "ended", "looks")
        return cls(
            question=Question.from_dict(data["question"]),
            arms=[Arm(**each) for each in data["settings"]],
            runs=runs,
            **{name: data[name] for name in kept},
        )


def write_json(data: dict[str, Any], path: Path) -> None:
    """Write a file whole: nobody finds half of one, whenever the process ends.

    Raises:
        OSError: it cannot be written there.
    """
    write_whole(json.dumps(data, indent=1) + "\n", path)


def read(path: Path) -> Result:
    """Read a result file.

    Raises:
        ComparisonError: there is none, or it is no such file, or one of another schema.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ComparisonError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise ComparisonError(f"{path} is not a compare result: it is not JSON") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ComparisonError(f"{path} is not a compare result")
    if data.get("schema") != SCHEMA:
        raise ComparisonError(
            f"{path} has schema {data.get('schema')!r}; this version reads schema {SCHEMA}"
        )
    try:
        return Result.from_dict(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ComparisonError(f"{path} is damaged: {type(error).__name__}: {error}") from None
