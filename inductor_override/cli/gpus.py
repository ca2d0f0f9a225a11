"""`inductor-override gpus`: the GPUs known by name."""

from __future__ import annotations

import json
from importlib import metadata

import click
from rich import box
from rich.table import Table

from inductor_override import catalogue
from inductor_override.cli import console
from inductor_override.cli.errors import CannotError
from inductor_override.patches import select

_NOTE = (
    "Passing the gate is not gaining from it. For compute capability 7.5 (T4, RTX 20) Triton 3.4 "
    "and later emit no Tensor Core code, so a float16 product gains nothing there: "
    "`inductor-override explain` says it of your model."
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
@click.argument("words", nargs=-1)
def gpus(as_json: bool, words: tuple[str, ...]) -> None:
    """List the GPUs that are known by name, and which pass torch's own gate.

    With WORDS, those whose names have all of them.

    The gate stands before the Triton templates of matrix products and convolutions.

    The gate is that of the torch that is installed here, else of the newest known one: torch 2.4
    and later let GPUs with at least 68 SMs through, torch 2.0 to 2.3 those with at least 80. A name
    may be given short: "3060", "rtx4070ti" and "T4" are enough. Passing the gate is not gaining
    from it: `inductor-override explain` says what there is to choose from.
    """
    torch, threshold = _gate()
    chosen = [
        gpu
        for gpu in catalogue.all_gpus()
        if all(word.lower() in gpu.name.lower() for word in words)
    ]
    if not chosen:
        raise CannotError(f"no GPU is known whose name has {' '.join(words)!r}")
    if as_json:
        click.echo(json.dumps([_facts(gpu, threshold) for gpu in chosen], indent=2))
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("GPU", no_wrap=True)
    table.add_column("SMs", justify="right")
    table.add_column("capability", justify="right")
    table.add_column(f"passes the gate of torch {torch} ({threshold} SMs)")
    for gpu in chosen:
        passes = gpu.sms >= threshold
        table.add_row(
            gpu.name, str(gpu.sms), gpu.capability, "yes" if passes else "[yellow]no[/yellow]"
        )
    console.stdout().print(table)
    console.stdout().print(_NOTE)


def _facts(gpu: catalogue.Gpu, threshold: int) -> dict[str, object]:
    return {
        "name": gpu.name,
        "sms": gpu.sms,
        "compute_capability": gpu.capability,
        "shared_memory_optin": gpu.shared_memory_optin,
        "source": gpu.source,
        "passes_stock_gate": gpu.sms >= threshold,
    }


def _gate() -> tuple[str, int]:
    """The torch of which the gate is told, and its threshold for CUDA devices."""
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        version = ""
    patch = select.serving(version)
    if patch is None:
        newest = select.newest()
        return ".".join(map(str, newest.last)), newest.stock_min_sms["cuda"]
    return version, patch.stock_min_sms["cuda"]
