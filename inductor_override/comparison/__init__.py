"""Whether it is worth it: arms compiled and timed in turn, with an interval and a verdict.

from inductor_override.comparison import compare

found = compare("my_project.model:build", arms=["stock", "min_sms=0"], rounds=10)
found.arms[0].verdict    # FASTER, SLOWER, SAME, UNDECIDED, WRONG, NOT IN FORCE or FAILED
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inductor_override.comparison.arms import DEFAULT_ARMS, Arm
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.figures import noise
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import Result, write_json
from inductor_override.comparison.rounds import Progress, carry_out
from inductor_override.comparison.verdict import Judged, judge
from inductor_override.workload.problem import Problem

__all__ = ["Comparison", "ComparisonError", "Judged", "Question", "compare"]


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
        samples = [self.result.samples(arm) for arm in range(len(self.result.arms))]
        arms = zip(self.arms, samples[1:], strict=True)
        return {
            **self.result.to_dict(),
            "first": {"name": self.result.arms[0].name, "samples": samples[0]},
            "arms": [{**each.to_dict(), "samples": own} for each, own in arms],
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

    def _repr_html_(self) -> str:
        from inductor_override.pages import in_a_notebook

        verdicts = ((each.name, each.verdict, each.text) for each in self.arms)
        return in_a_notebook(self.result.question.text, verdicts)


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
    file = Path(output) if output else None
    return Comparison(
        carry_out(result, lambda now: _write(now, file), budget=budget, progress=progress)
    )


def _write(result: Result, file: Path | None) -> None:
    if file is not None:
        Comparison(result).write(file)


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
