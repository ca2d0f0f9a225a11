"""The options that say what is asked about: a model of the user's own, or single products."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from inductor_override.cli import parameters
from inductor_override.cli.errors import CannotError
from inductor_override.workload.problem import EPILOGUES, OPS, Problem

_DEFAULT_SHAPE = (1024, 1024, 1024)

_OPTIONS = (
    click.option(
        "--module",
        metavar="WHERE:NAME",
        help="Your model: PACKAGE.MODULE:NAME or FILE.py:NAME, a torch.nn.Module, a class of them, "
        "or a function that returns one, or (model, args[, kwargs]).",
    ),
    click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="DTYPE[SIZES]",
        help="An input of the model, such as 'float16[8,1024]'. Repeatable.",
    ),
    click.option("--train", is_flag=True, help="A training step: forward and backward graphs."),
    click.option(
        "--shape",
        "shapes",
        callback=parameters.shapes,
        multiple=True,
        metavar="MxKxN",
        help="Instead of a model: rows of a, the shared side, columns of b. Repeatable.  "
        "[default: 1024x1024x1024]",
    ),
    click.option("--op", type=click.Choice(OPS), default="mm", show_default=True),
    click.option("--epilogue", type=click.Choice(EPILOGUES), default="relu", show_default=True),
    click.option(
        "--batch",
        type=click.IntRange(1, 65536),
        default=1,
        metavar="N",
        help="Products at once, for bmm and baddbmm.  [default: 1]",
    ),
    click.option(
        "--dtype",
        callback=parameters.dtype,
        metavar="DTYPE",
        help="float16, bfloat16 or float32; with --module its parameters are cast.  [default: "
        "float16; a model keeps its own]",
    ),
)


_ANSWERS = (
    click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON."),
    click.option(
        "--html",
        "html_file",
        type=click.Path(dir_okay=False, writable=True, path_type=Path),
        metavar="FILE",
        help="Write a page for someone who was not here.",
    ),
)


def answer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command --json and --html, as its arguments `as_json` and `html_file`."""
    for option in reversed(_ANSWERS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Asked:
    """What the options below said, checked against each other."""

    module: str | None
    inputs: tuple[str, ...]
    train: bool
    shapes: tuple[tuple[int, int, int], ...]
    op: str
    epilogue: str
    batch: int
    dtype: str | None

    def __post_init__(self) -> None:
        if self.module is None:
            for given, option in ((self.inputs, "--input"), (self.train, "--train")):
                if given:
                    raise CannotError(f"{option} is for a model of your own: give --module too")
        elif self.shapes:
            raise CannotError("--shape and --module exclude each other")
        if self.batch != 1 and self.op not in ("bmm", "baddbmm"):
            raise CannotError(f"--batch is for --op bmm and baddbmm, not for {self.op}")

    @property
    def model_dtype(self) -> str | None:
        """What a model is cast to; None leaves it."""
        return self.dtype if self.module is not None else None

    @property
    def problems(self) -> list[Problem]:
        """The products; one of 1024 where nothing was given."""
        return [
            Problem(*shape, self.op, self.epilogue, self.dtype or "float16", self.batch)
            for shape in self.shapes or (_DEFAULT_SHAPE,)
        ]


def workload_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it takes what they said as its argument `asked`."""
    names = [each.name for each in fields(Asked)]

    @functools.wraps(command)
    def collected(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in names})
        command(asked=asked, **given)

    wrapped: Callable[..., None] = collected
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped
