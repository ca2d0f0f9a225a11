"""`inductor-override doctor`: what matters on this machine, and what to do about it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
from rich.padding import Padding
from rich.text import Text

from inductor_override import catalogue
from inductor_override.cli import console, parameters
from inductor_override.cli.errors import CannotError, UnsupportedError

if TYPE_CHECKING:
    from inductor_override.diagnosis import Advice, Device, Examined, Machine

_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@click.command(context_settings={"allow_interspersed_args": False})
@click.option(
    "--gpu",
    "named",
    callback=parameters.gpus,
    multiple=True,
    metavar="NAME",
    help="Advice for this GPU instead of those that are here. Repeatable.",
)
@click.option("--mode", type=click.Choice(_MODES), help="The mode of torch.compile that you use.")
@click.option(
    "--shape",
    "shapes",
    callback=parameters.shapes,
    multiple=True,
    metavar="MxKxN",
    help="A product of your model: rows of a, the shared side, columns of b. Repeatable.",
)
@click.option(
    "--dtype",
    callback=parameters.dtype,
    metavar="DTYPE",
    help="What your model computes in: float16, bfloat16 or float32.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def doctor(
    named: tuple[catalogue.Gpu, ...],
    mode: str | None,
    shapes: tuple[tuple[int, int, int], ...],
    dtype: str | None,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Say what matters on this machine: GPUs, torch, caches, and who stands at the gate.

    With COMMAND, run that first, unchanged, and say at its end where the override took effect. With
    --json what COMMAND prints goes to standard error.

    \b
        inductor-override doctor
        inductor-override doctor --gpu "RTX 3060" --dtype float32
        inductor-override doctor -- python train.py

    Exits with 0 where there is nothing to do, 1 with advice, 2 where it cannot be asked like that,
    3 where torch is not supported.
    """
    from inductor_override.diagnosis import Asked, advise, examine, look

    examined = None
    if command:
        try:
            examined = examine(command, os.environ, sys.stderr if as_json else None)
        except FileNotFoundError:
            raise CannotError(f"command not found: {command[0]}") from None
    try:
        machine = look(named)
    except ImportError as error:
        raise CannotError(f"torch cannot be imported: {error}") from None
    advice = examined.advice() if examined else []
    advice += advise(machine, Asked(mode, dtype, shapes))
    if as_json:
        click.echo(json.dumps(_facts(machine, examined, advice), indent=2))
    else:
        _show(machine, examined, advice)
    if machine.unsupported:
        raise UnsupportedError(machine.unsupported)
    if advice:
        click.get_current_context().exit(1)


def _facts(machine: Machine, examined: Examined | None, advice: list[Advice]) -> dict[str, Any]:
    facts = asdict(machine)
    del facts["environment"]  # may hold secrets
    return {
        "schema": 1,
        "machine": facts,
        "examined": asdict(examined) if examined else None,
        "advice": [each.to_dict() for each in advice],
    }


def _show(machine: Machine, examined: Examined | None, advice: list[Advice]) -> None:
    out = console.stdout()
    triton = f"Triton {machine.triton}" if machine.triton else "no Triton"
    module = f", patch module {machine.patch_module}" if machine.patch_module else ""
    out.print(Text(f"torch {machine.torch}, {triton}{module}"))
    here = " in doctor's own process" if examined else ""
    out.print(Text(f"override{here}: {machine.verdict}"))
    for device in machine.devices:
        out.print(Text(_device(device, machine)))
    if not machine.devices:
        out.print(
            Text('torch can use no CUDA or ROCm GPU here. For another machine\'s: --gpu "RTX 3060"')
        )
    for report in examined.processes if examined else ():
        command = " ".join(report["command"])
        nothing = not (report["graphs"] or report["asked"])
        line = "no graph was compiled under the override" if nothing else report["line"]
        out.print(Text(f"process {report['process']} ({command}): {line}"))
    for number, each in enumerate(advice, 1):
        out.print()
        out.print(Text(f"{number}. {each.says}", "bold"))
        below = [each.why, f"do: {each.do}" if each.do else "", f"source: {each.source}"]
        for line in filter(None, below):
            out.print(Padding(Text(line), (0, 0, 0, 3)))
        out.print(Padding(Text(f"code: {each.code}", "dim"), (0, 0, 0, 3)))
    if not advice and not machine.unsupported:
        out.print(Text("Nothing to do."))


def _device(device: Device, machine: Machine) -> str:
    capability = f", capability {device.capability_text}" if device.capability else ""
    decides = {
        True: "torch lets it through",
        False: f"torch refuses it (under {machine.stock_min_sms} SMs)",
        None: "torch goes by its architecture",
    }[device.passes]
    return f"{device.name}: {device.sms} SMs{capability}, {decides}"
