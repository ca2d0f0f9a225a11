"""How the command line says that something can't be done."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

CANNOT = 2  # the arguments, or the environment, must change first
FAILED = 1


class CannotError(click.ClickException):
    """Ends the command with exit 2 and one message, without click's usage lines around it."""

    exit_code = CANNOT

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.message}", file=file or sys.stderr)


class FailedError(CannotError):
    """Ends the command with exit 1: something broke that the user did not ask for."""

    exit_code = FAILED
