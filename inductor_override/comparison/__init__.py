"""Whether it is worth it: arms compiled and timed in turn, with an interval and a verdict.

from inductor_override.comparison import compare

found = compare("my_project.model:build", arms=["stock", "min_sms=0"], rounds=10)
found.arms[0].verdict    # FASTER, SLOWER, SAME, UNDECIDED, WRONG or NOT IN FORCE
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inductor_override.comparison.arms import Arm, checked
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.process import Processes
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import (
    DONE,
    INTERRUPTED,
    NOTHING_IN_FORCE,
    OUT_OF_BUDGET,
    RUNNING,
    Result,
    write_json,
)
from inductor_override.comparison.schedule import NOISE, ROUND, Step, steps
from inductor_override.comparison.verdict import Judged, judge, noise, not_in_force
from inductor_override.workload.model import added_to_path
from inductor_override.workload.problem import Problem

__all__ = ["Comparison", "ComparisonError", "Judged", "Question", "compare"]

DEFAULT_ARMS = ("stock", "min_sms=0")
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many processes have ended, and how many there will be."""


class Comparison:
    """What a comparison has found: it prints, and writes its files.

    Attributes:
        result: the question and all figures.
    """

    def __init__(self, result: Result) -> None:
        self.result = result

    @property
    def arms(self) -> list[Judged]:
        """Every arm but the first, judged against the first."""
        return judge(self.result)

    def to_dict(self) -> dict[str, Any]:
        """What `--json` prints: figures and judgement."""
        return {
            **self.result.to_dict(),
            "arms": [each.to_dict() for each in self.arms],
            "noise_floor": noise(self.result),
        }

    def write(self, path: str | Path) -> None:
        """Write the result file, which `compare --from` reads.

        Raises:
            OSError: it cannot be written there.
        """
        write_json(self.to_dict(), Path(path))

    def write_page(self, path: str | Path) -> None:
        """Write the page that `--html` writes.

        Raises:
            OSError: it cannot be written there.
        """
        from inductor_override.comparison.page import write_page

        write_page(self, Path(path))

    def __str__(self) -> str:
        """What the command line prints."""
        from inductor_override.comparison.text import as_text

        return as_text(self)

    def __repr__(self) -> str:
        verdicts = ", ".join(f"{each.name}: {each.verdict}" for each in self.arms)
        return f"<inductor_override comparison of {self.result.question.text}: {verdicts}>"


def compare(
    build: str | Callable[..., Any] | Problem | Sequence[Problem],
    args: Sequence[str] = (),
    *,
    arms: Sequence[str | Arm] = DEFAULT_ARMS,
    rounds: int = 10,
    device: str | None = None,
    train: bool = False,
    dtype: str | None = None,
    layers: bool = False,
    cudagraphs: bool = False,
    seconds: float = 1.0,
    min_effect: float = 0.01,
    budget: float | None = None,
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Compile and time the same thing in several ways, each way in processes of its own.

    Args:
        build: what `--module` takes, `PACKAGE.MODULE:NAME` or `FILE.py:NAME`; a class or a function
            that another process can import under its name; or products by their sizes.
        args: the model's inputs, each `dtype[sizes]`, if `build` gives none.
        arms: as `--arm` takes them. The first is what the others are compared with.
        rounds: processes for each arm.
        device: "cuda" or "cpu"; without it "cuda".
        seconds: for which each process times calls.
        min_effect: the smallest difference of interest, as a fraction.
        budget: seconds after which no further process is started.
        output: a file that is written anew after each process.

    Raises:
        ComparisonError: it cannot be compared; the message says what to write instead.
    """
    question = Question(
        **_asked(build),
        inputs=tuple(args),
        train=train,
        dtype=dtype,
        layers=layers,
        device=device or "cuda",
        cudagraphs=cudagraphs,
        seconds=seconds,
    )
    parsed = [Arm.parse(each) if isinstance(each, str) else each for each in arms]
    result = Result(question, parsed, rounds, min_effect)
    return Comparison(
        carry_out(result, output=Path(output) if output else None, budget=budget, progress=progress)
    )


def carry_out(
    result: Result,
    *,
    output: Path | None = None,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run the processes that the result still lacks, and put their answers into it.

    An interrupt ends it early; what there is stays. `ended` says how it ended.

    Raises:
        ComparisonError: it cannot be compared, or a command cannot be started.
    """
    say = progress or (lambda *step: None)
    question = result.question
    compiles = question.command is None
    if compiles:
        _check_device(question)
        result.arms = checked(result.arms)
    else:
        _check_arms_of_command(result.arms)
    plan = list(steps(len(result.arms), result.rounds, compiles=compiles))
    processes = Processes(question, list(added_to_path))
    ends = None if budget is None else time.monotonic() + budget
    result.ended = RUNNING
    try:
        if compiles:
            say("the reference", 0, len(plan))
            found = processes.reference()
            result.layers = found["layers"]
            result.environment = found["environment"]
        for number, step in enumerate(plan):
            if result.done(step):
                continue
            if step.phase == NOISE and _nothing_in_force(result):
                result.ended = NOTHING_IN_FORCE
                break
            if ends is not None and time.monotonic() + _expected(result, step) > ends:
                result.ended = OUT_OF_BUDGET
                break
            say(_words(step, result), number, len(plan))
            result.runs = [run for run in result.runs if run.step != step]
            result.runs.append(processes.run(step, result.arms[step.arm]))
            _write(result, output)
            if result.runs[-1].failed is not None and not step.timed:
                break  # it would fail in each round
        else:
            result.ended = DONE
    except KeyboardInterrupt:
        result.ended = INTERRUPTED
    finally:
        processes.close()
    _write(result, output)
    return result


def _asked(build: Any) -> dict[str, Any]:
    if isinstance(build, str):
        return {"module": build}
    if isinstance(build, Problem):
        return {"problems": (build,)}
    if isinstance(build, (list, tuple)) and all(isinstance(each, Problem) for each in build):
        return {"problems": tuple(build)}
    name = getattr(build, "__qualname__", "")
    module = sys.modules.get(getattr(build, "__module__", ""))
    if module is None or not name or "<" in name:
        raise ComparisonError(
            f"{build!r} has no name under which another process could import it: give a class, a "
            "function at the top of a file, or 'FILE.py:NAME'"
        )
    if module.__name__ != "__main__":
        return {"module": f"{module.__name__}:{name}"}
    file = getattr(module, "__file__", None)
    if file is None:
        raise ComparisonError(
            f"{name} was defined in a notebook or a shell, and another process cannot import it: "
            f"write it to a file (%%writefile model.py) and give 'model.py:{name}'"
        )
    return {"module": f"{file}:{name}"}


def _check_device(question: Question) -> None:
    if question.device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise ComparisonError(
            "there is no CUDA GPU here, and nothing is timed on a simulated one. What the override "
            f"opens on a GPU that is not here: inductor-override explain {_explain(question)}. To "
            "compare on the CPU, where the gate plays no part: --device cpu"
        )


def _explain(question: Question) -> str:
    if question.module is not None:
        inputs = "".join(f" --input '{each}'" for each in question.inputs)
        return f"--module {question.module}{inputs} --gpu NAME"
    shapes = " ".join(f"--shape {p.m}x{p.k}x{p.n}" for p in question.problems[:3])
    return f"{shapes} --op {question.problems[0].op} --gpu NAME"


def _check_arms_of_command(arms: list[Arm]) -> None:
    if len(arms) < 2:
        raise ComparisonError("a comparison takes two arms or more; write --arm for each")
    for arm in arms:
        if arm.mode is not None or arm.precision is not None:
            raise ComparisonError(
                f"--arm {arm.name!r}: mode and precision are the command's own; an arm of a "
                "command takes min_sms and options of Inductor"
            )
        if arm.options and arm.min_sms is None:
            raise ComparisonError(
                f"--arm {arm.name!r}: options reach a command along with min_sms only; write "
                f"min_sms=0,{arm.name}"
            )


def _nothing_in_force(result: Result) -> bool:
    return all(not_in_force(result, arm) for arm in range(1, len(result.arms)))


def _expected(result: Result, step: Step) -> float:
    """How long the next process will take: as long as the last of its kind."""
    same = [run.seconds for run in result.runs if run.step.timed == step.timed]
    return same[-1] if same else 0.0


def _words(step: Step, result: Result) -> str:
    name = result.arms[step.arm].name
    if step.phase == NOISE:
        return f"noise: {name} against itself"
    if step.phase == ROUND:
        return f"round {step.round + 1} of {result.rounds}: {name}"
    return f"{step.phase}: {name}"


def _write(result: Result, output: Path | None) -> None:
    if output is not None:
        Comparison(result).write(output)
