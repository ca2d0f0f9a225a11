"""`inductor-override explain`: what torch decides about a GPU, and what the override changes."""

from __future__ import annotations

import json

import click

from inductor_override import catalogue
from inductor_override.catalogue import Gpu
from inductor_override.cli import console, explain_text, parameters
from inductor_override.cli.errors import CannotError, FailedError, UnsupportedError
from inductor_override.explain import explain as run_explain
from inductor_override.explain.process import ChildFailed
from inductor_override.simulation import (
    DTYPES,
    NotCompiledError,
    SimulationError,
    UnknownTorchError,
)


@click.command()
@click.option(
    "--gpu",
    callback=parameters.gpu,
    metavar="NAME",
    help="The GPU, by name: see `inductor-override gpus`.  [default: RTX 3060]",
)
@click.option(
    "--sms",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="A GPU with N SMs, such as a MIG slice: in place of those of --gpu, or of a GPU without "
    "a name.",
)
@click.option("--capability", metavar="X.Y", help="Its compute capability, such as 8.6.")
@click.option(
    "--shared-memory",
    type=click.IntRange(48 << 10, 1 << 20),
    metavar="BYTES",
    help="The most shared memory that one block may ask for.  [default: by capability]",
)
@click.option(
    "--shape",
    callback=parameters.shape,
    default="1024x1024x1024",
    show_default=True,
    metavar="MxKxN",
    help="The product (M x K) @ (K x N): rows of a, the shared side, columns of b.",
)
@click.option(
    "--dtype",
    callback=parameters.dtype,
    default="float16",
    show_default=True,
    metavar="DTYPE",
    help="Of both matrices: float16, bfloat16 or float32.",
)
@click.option(
    "--min-sms",
    callback=parameters.min_sms,
    default="0",
    show_default=True,
    metavar="N",
    help="The override: let GPUs with at least N SMs through.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the same facts as JSON.")
def explain(
    gpu: Gpu | None,
    sms: int | None,
    capability: str | None,
    shared_memory: int | None,
    shape: tuple[int, int, int],
    dtype: str,
    min_sms: int,
    as_json: bool,
) -> None:
    """Show what torch decides about a GPU, and what the override changes.

    Inductor really lowers relu(a @ b) with max-autotune's GEMMs, twice, for a GPU that need not be
    here: without the override, and with it. Nothing runs on a GPU and nothing is timed.
    """
    m, k, n = shape
    gpu = parameters.gpu_by_numbers(gpu, sms, capability, shared_memory)
    gpu = gpu or catalogue.find("RTX 3060")
    try:
        with console.stderr().status("Lowering relu(a @ b) twice ..."):
            report = run_explain(gpu, m=m, k=k, n=n, dtype=dtype, min_sms=min_sms)
    except ChildFailed as error:
        raise FailedError(f"{error}; it printed:\n{error.output.rstrip()}") from None
    except NotCompiledError as error:
        others = ", ".join(other for other in DTYPES if other != dtype)
        raise CannotError(f"--dtype {dtype!r}: {error}; the other dtypes are: {others}") from None
    except UnknownTorchError as error:
        raise UnsupportedError(str(error)) from None
    except SimulationError as error:
        raise CannotError(str(error)) from None
    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        explain_text.show(report, console.stdout())
