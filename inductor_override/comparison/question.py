"""What is compared: a model, some products, or a command; and how it is measured."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shlex
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

from inductor_override.comparison.errors import ComparisonError
from inductor_override.workload.problem import Problem


@dataclass(frozen=True)
class Question:
    """Everything that two result files must share to be comparable.

    Attributes:
        module: the model, as `PACKAGE.MODULE:NAME` or `FILE.py:NAME`.
        inputs: what the model is called with, each `dtype[sizes]`.
        problems: products and convolutions by their sizes, in place of a model.
        command: a program that prints its own figure, in place of both.
        metric: a regular expression with one group: the figure in what the command prints. Without
            it the seconds that the command takes.
        higher_is_better: of the command's figure.
        dtype: what the model is cast to; None leaves it.
        train: a training step: forward, a loss, backward.
        layers: the model's distinct matrix products too, each by itself.
        device: `cpu` or `cuda`.
        cudagraphs: as `mode="max-autotune"` deploys it.
        seconds: how long each process samples each case, at most.
    """

    module: str | None = None
    inputs: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    command: str | None = None
    metric: str | None = None
    higher_is_better: bool = False
    dtype: str | None = None
    train: bool = False
    layers: bool = False
    device: str = "cuda"
    cudagraphs: bool = False
    seconds: float = 1.0

    def __post_init__(self) -> None:
        asked = [bool(self.module), bool(self.problems), self.command is not None]
        if sum(asked) != 1:
            raise ComparisonError(
                "compare one thing: a model, products by their sizes, or a command"
            )
        if self.problems and self.inputs:
            raise ComparisonError("inputs belong to a model; products have their sizes")
        if self.command is not None and not _words(self.command):
            raise ComparisonError(
                f"--command {self.command!r} is not valid; allowed: a command line, with its "
                "quotes closed"
            )
        if self.metric is None:
            return
        try:
            groups = re.compile(self.metric).groups
        except re.error as error:
            raise ComparisonError(
                f"--metric {self.metric!r} is not a valid regular expression: {error}"
            ) from None
        if groups != 1:
            raise ComparisonError(
                f"--metric {self.metric!r} has {groups} groups; allowed: one, around the figure, "
                r"such as 'tokens/s: ([\d.]+)'"
            )

    @property
    def text(self) -> str:
        """The question in a few words."""
        if self.command is not None:
            return self.command
        if self.module is not None:
            return self.module + (", a training step" if self.train else "")
        if len(self.problems) == 1:
            one = self.problems[0]
            return f"{one.text} {one.m}x{one.k}x{one.n} {one.dtype}"
        return f"{len(self.problems)} products"

    @property
    def base_mode(self) -> str:
        """The mode of `torch.compile` that all arms share which name none."""
        return "max-autotune" if self.cudagraphs else "max-autotune-no-cudagraphs"

    @property
    def measures(self) -> str:
        """What the ratio is a ratio of."""
        if self.command is None:
            return "device time of a call" if self.device == "cuda" else "time of a call"
        return "seconds of the command" if self.metric is None else f"figure of {self.metric}"

    def digest(self, *more: Any) -> str:
        """A short name of this question, for a file that keeps its answer."""
        asked = json.dumps([self.to_dict(), *more], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        return {**asdict(self), "inputs": list(self.inputs), "problems": self._problems()}

    def _problems(self) -> list[dict[str, Any]]:
        return [asdict(each) for each in self.problems]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Question:
        """The opposite of `to_dict`."""
        problems = tuple(Problem(**each) for each in data["problems"])
        return cls(**{**data, "inputs": tuple(data["inputs"]), "problems": problems})


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quote without an end
        return []


def suites() -> dict[str, list[dict[str, str]]]:
    """The suites of `--suite`, each a list of rows with sizes and their origin."""
    found: dict[str, list[dict[str, str]]] = {}
    with resources.files("inductor_override.data").joinpath("suites.csv").open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["suite"], []).append(row)
    return found


def suite(name: str, dtype: str) -> tuple[Problem, ...]:
    """The problems of one suite.

    Raises:
        ComparisonError: there is no such suite.
    """
    known = suites()
    if name not in known:
        raise ComparisonError(f"--suite {name!r} is not valid; allowed: {', '.join(known)}")
    return tuple(
        Problem(
            int(row["m"]),
            int(row["k"]),
            int(row["n"]),
            row["op"],
            row["epilogue"],
            dtype,
            int(row["batch"]),
        )
        for row in known[name]
    )
