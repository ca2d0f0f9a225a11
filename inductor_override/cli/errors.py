"""How the command line says that something can't be done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click
from rich.errors import ConsoleError

from inductor_override.cli import console

_OF_WRONG_DATA = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class EndError(click.ClickException):
    """Ends the command with one message, without click's usage lines around it."""

    def show(self, file: IO[Any] | None = None) -> None:
        console.say(f"error: {self.message}")


class CannotError(EndError):
    """The arguments, or the environment, must change first."""

    exit_code = 2


class UnsupportedError(EndError):
    """This torch is older, or has another shape, than any known."""

    exit_code = 3


class FailedError(EndError):
    """Something broke that the user did not ask for."""

    exit_code = 1


class OneLineGroup(click.Group):
    """A group whose commands answer a typing error in one line, without click's usage lines."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _in_one_line():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _in_one_line():
            return super().invoke(ctx)


@contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # from click 8.2 on; shows the help
            raise
        command = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        raise CannotError(f"{error.format_message().rstrip('.')}{command}") from None


@contextmanager
def in_words_of_a_file(path: Path | None) -> Iterator[None]:
    """Where what a file holds does not fit together, say that the file is damaged."""
    try:
        yield
    except (*_OF_WRONG_DATA, ConsoleError) as error:
        if path is None:
            raise
        raise CannotError(f"{path} is damaged: {type(error).__name__}: {error}") from None
