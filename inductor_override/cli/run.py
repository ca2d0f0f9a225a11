"""`inductor-override run`: any command, with the override on in it and in its children."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import signal
from pathlib import Path

import click

import inductor_override
from inductor_override.child_environment import with_override
from inductor_override.cli import console, parameters, reach
from inductor_override.cli.errors import CannotError, EndError, UnsupportedError
from inductor_override.cli.settings import checked_settings
from inductor_override.request.environment import switched_off
from inductor_override.request.names import ENV_DISABLE, ENV_REPORT, ENV_REPORT_BY
from inductor_override.tuning_report import TO_STDERR


class NotFoundError(EndError):
    """Ends the command with 127, as a shell and env(1) do."""

    exit_code = 127


class NotExecutableError(EndError):
    """Ends the command with 126, as a shell and env(1) do."""

    exit_code = 126


def _report_file(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """An absolute path: COMMAND may change its folder. The file is emptied."""
    if value is None or value == TO_STDERR:
        return value
    path = Path(value).absolute()
    if path.suffix not in (".json", ".jsonl"):
        raise CannotError(
            f"--report {value!r} is not valid; allowed: a file that ends in .jsonl, or nothing "
            "between --report and -- (inductor-override run --report -- python train.py)"
        )
    try:
        path.write_text("", "utf-8")
    except OSError as error:
        raise CannotError(f"--report {value!r} cannot be written: {error.strerror}") from None
    return str(path)


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
@click.option(
    "--max-autotune",
    is_flag=True,
    help="Tune also where the program asks for no mode of torch.compile.",
)
@click.option(
    "--report",
    callback=_report_file,
    is_flag=False,
    flag_value=TO_STDERR,
    metavar="[FILE]",
    help="At the end of each process that compiled a graph, say what torch's tuner measured: on "
    "standard error, or as one JSON object a line in FILE (.jsonl). Needs `--` before COMMAND.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    min_sms: int,
    settings: tuple[str, ...],
    max_autotune: bool,
    report: str | None,
    command: tuple[str, ...],
) -> None:
    """Start COMMAND with the override on in it and in its Python children.

    Works on every torch from 2.0 on, also for commands that start Python in turn: torchrun,
    vllm serve, pytest. COMMAND takes the place of this process, so its exit status and its signals
    are its own.

    \b
        inductor-override run -- python train.py
        inductor-override run --min-sms 28 -- torchrun --nproc-per-node 2 train.py
        inductor-override run --max-autotune --report tuned.jsonl -- python train.py
    """
    environment = dict(os.environ)  # before torch is imported: it sets variables of its own
    chosen = checked_settings(settings)
    if chosen:
        _refuse_unsupported()
    program = shutil.which(command[0])
    if program is None and os.path.dirname(command[0]) and os.path.exists(command[0]):
        raise NotExecutableError(f"not executable: {command[0]}")
    if program is None:
        raise NotFoundError(f"command not found: {command[0]}")
    environment = with_override(environment, min_sms, chosen)
    if max_autotune and not switched_off():
        environment["TORCHINDUCTOR_MAX_AUTOTUNE"] = "1"
    if report:
        environment |= {ENV_REPORT: report, ENV_REPORT_BY: str(os.getpid())}
    if switched_off():
        console.say(f"inductor-override: the override is off: {ENV_DISABLE}=1")
    if notice := reach.notice(command, environment):
        console.say(f"inductor-override: {notice}")
    _restore_signals()
    try:
        _execute(program, command, environment)
    except FileNotFoundError:
        raise NotFoundError(f"{program}: the interpreter in its first line is not there") from None
    except OSError as error:
        raise NotExecutableError(f"{program}: {error.strerror}") from None


def _execute(program: str, command: tuple[str, ...], environment: dict[str, str]) -> None:
    try:
        os.execve(program, list(command), environment)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
        # A script without a first line `#!...`: for /bin/sh, as execvp(3) says.
        os.execve("/bin/sh", ["sh", program, *command[1:]], environment)


def _restore_signals() -> None:
    """Python ignores some, and what is ignored stays so in COMMAND: `run -- yes | head` would."""
    for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)


def _refuse_unsupported() -> None:
    """Where torch is imported anyway, start nothing in which the override cannot work."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # torch 2.0 has much to say when imported
            inductor_override.enable()
    except inductor_override.UnsupportedTorchError as error:
        raise UnsupportedError(str(error)) from None
