"""`inductor-override status`: whether the override works with the torch that is here."""

from __future__ import annotations

import json

import click

import inductor_override
from inductor_override.cli.errors import CannotError, UnsupportedError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
def status(as_json: bool) -> None:
    """Show the torch that was found, the patch module for it, and whether the override is live.

    Imports torch and its compiler and calls enable() in this process, as a program of yours would:
    what other processes do is not seen. Exits with 3 when this torch is not supported.
    """
    try:
        import torch
        import torch._inductor.config
    except ImportError as error:
        raise CannotError(f"torch cannot be imported: {error}") from None
    unsupported = None
    try:
        inductor_override.enable()
    except inductor_override.UnsupportedTorchError as error:
        unsupported = str(error)
    if torch.cuda.is_available():
        torch.cuda.init()  # so that the status names the GPU
    now = inductor_override.status()
    if as_json:
        click.echo(json.dumps({**now.as_dict(), "unsupported": unsupported}, indent=2))
    else:
        click.echo("In a process of its own, with inductor_override.enable() as the only call:")
        click.echo(str(now))
    if unsupported:
        raise UnsupportedError(unsupported)
