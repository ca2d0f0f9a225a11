"""`inductor-override gpus`: the GPUs known by name."""

from __future__ import annotations

import json

import click
from rich import box
from rich.table import Table

from inductor_override import catalogue
from inductor_override.cli import console


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
def gpus(as_json: bool) -> None:
    """List the GPUs that are known by name, and which pass torch's own gate.

    torch 2.4 and later let GPUs with at least 68 SMs through, torch 2.0 to 2.3 those with at least
    80. A name may be given short: "3060", "rtx4070ti" and "T4" are enough.
    """
    if as_json:
        click.echo(json.dumps([_facts(gpu) for gpu in catalogue.all_gpus()], indent=2))
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("GPU", no_wrap=True)
    table.add_column("SMs", justify="right")
    table.add_column("capability", justify="right")
    table.add_column(f"passes torch's gate (torch >= 2.4, {catalogue.STOCK_MIN_SMS} SMs)")
    for gpu in catalogue.all_gpus():
        passes = gpu.sms >= catalogue.STOCK_MIN_SMS
        table.add_row(
            gpu.name, str(gpu.sms), gpu.capability, "yes" if passes else "[yellow]no[/yellow]"
        )
    console.stdout().print(table)


def _facts(gpu: catalogue.Gpu) -> dict[str, object]:
    return {
        "name": gpu.name,
        "sms": gpu.sms,
        "compute_capability": gpu.capability,
        "shared_memory_optin": gpu.shared_memory_optin,
        "source": gpu.source,
        "passes_stock_gate": gpu.sms >= catalogue.STOCK_MIN_SMS,
    }
