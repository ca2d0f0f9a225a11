"""`inductor-override run`: any command, with the override in force in it and in its children."""

from __future__ import annotations

import ast
import json
import os
import shutil
from pathlib import Path
from typing import Any

import click

import inductor_override
from inductor_override._names import ENV_DISABLE, ENV_OPTION, ENV_SETTINGS, OPTION
from inductor_override._option import switched_off
from inductor_override.cli import parameters
from inductor_override.cli.errors import CannotError


class NotFoundError(CannotError):
    """Ends the command with 127, as a shell and env(1) do."""

    exit_code = 127


class NotExecutableError(CannotError):
    """Ends the command with 126, as a shell and env(1) do."""

    exit_code = 126


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--min-sms",
    callback=parameters.min_sms,
    default="0",
    show_default=True,
    metavar="N",
    help="Let GPUs with at least N SMs through.",
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="OPTION=VALUE",
    help="Another option of torch._inductor.config, for the whole process. Can be repeated.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(min_sms: int, settings: tuple[str, ...], command: tuple[str, ...]) -> None:
    """Start COMMAND with the override in force in it and in its Python children.

    Works on every torch from 2.0 on, also for commands that start Python in turn: torchrun,
    vllm serve, pytest. COMMAND takes the place of this process, so its exit status and its signals
    are its own.

    \b
        inductor-override run -- python train.py
        inductor-override run --min-sms 28 -- torchrun --nproc-per-node 2 train.py
    """
    environment = dict(os.environ)  # before torch is imported: it sets variables of its own
    chosen = _settings(settings)
    program = shutil.which(command[0])
    if program is None and os.path.dirname(command[0]) and os.path.exists(command[0]):
        raise NotExecutableError(f"not executable: {command[0]}")
    if program is None:
        raise NotFoundError(f"command not found: {command[0]}")
    startup = str(Path(inductor_override.__file__).parent / "startup")
    path = environment.get("PYTHONPATH")
    environment[ENV_OPTION] = str(min_sms)
    environment["PYTHONPATH"] = os.pathsep.join([startup, path] if path else [startup])
    if chosen:
        environment[ENV_SETTINGS] = json.dumps(chosen)
    if switched_off():
        click.echo(f"inductor-override: not in force: {ENV_DISABLE}=1", err=True)
    try:
        os.execve(program, list(command), environment)
    except OSError as error:
        raise CannotError(f"{program}: {error.strerror}") from None


def _settings(given: tuple[str, ...]) -> dict[str, Any]:
    """The options of --set, checked against this environment's Inductor: only then it is imported.

    Values are Python literals (True, 3, None, ['a']); what is none is taken as text.
    """
    chosen: dict[str, Any] = {}
    for setting in given:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise CannotError(f"--set {setting!r} is not valid; allowed: OPTION=VALUE")
        if name.replace("-", "_") in ("min_sms", OPTION):
            raise CannotError(f"--set {setting!r} is not valid: the threshold is --min-sms N")
        try:
            chosen[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            chosen[name] = text
    if chosen:
        try:
            import torch._inductor.config as config
        except ImportError as error:
            raise CannotError(f"--set: torch cannot be imported to check it: {error}") from None

        from inductor_override._option import check_inductor_options

        try:
            chosen = check_inductor_options(chosen, config)
        except (TypeError, ValueError) as error:
            raise CannotError(f"--set: {error}") from None
    try:
        json.dumps(chosen)
    except TypeError as error:
        raise CannotError(f"--set: {error}") from None
    return chosen
