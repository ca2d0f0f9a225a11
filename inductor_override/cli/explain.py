"""`inductor-override explain`: what there is in the override for a model on a GPU."""

from __future__ import annotations

import json
import re
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inductor_override import catalogue
from inductor_override.catalogue import Gpu
from inductor_override.cli import console, parameters
from inductor_override.cli.errors import CannotError, FailedError, UnsupportedError
from inductor_override.cli.workload import Asked, answer_options, workload_options
from inductor_override.simulation import SimulationError, UnknownTorchError
from inductor_override.workload.errors import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inductor_override.explanation import Explanation

_DEMO_GPU = "RTX 3060"


@click.command()
@workload_options
@click.option("--dynamic", is_flag=True, help="A symbolic batch, the first size of each input.")
@click.option(
    "--gpu",
    "gpus",
    callback=parameters.gpus,
    multiple=True,
    metavar="NAME",
    help="A GPU, by name: see `inductor-override gpus`. Repeatable.  [default: the one that is "
    f"here, else {_DEMO_GPU}]",
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
    "--min-sms",
    callback=parameters.min_sms,
    default="0",
    show_default=True,
    metavar="N",
    help="The override: let GPUs with at least N SMs through.",
)
@click.option(
    "--set",
    "settings",
    callback=parameters.settings,
    multiple=True,
    metavar="OPTION=VALUE",
    help="Another Inductor option, on both sides. Repeatable.",
)
@click.option("--no-compile", is_flag=True, help="Do not compile the candidates: only count them.")
@click.option("--show-code", is_flag=True, help="Print the forced kernels as Inductor writes them.")
@answer_options
def explain(
    asked: Asked,
    dynamic: bool,
    gpus: tuple[Gpu, ...],
    sms: int | None,
    capability: str | None,
    shared_memory: int | None,
    min_sms: int,
    settings: dict[str, Any],
    no_compile: bool,
    show_code: bool,
    as_json: bool,
    html_file: Path | None,
) -> None:
    """Is there anything in it for a model on a GPU that need not be here?

    Inductor really lowers the model (or one product) with max-autotune's GEMMs and convolutions,
    without the override and with it, and the real Triton compiles every candidate for the GPU.
    Nothing runs on a GPU and nothing is timed.
    """
    if dynamic and asked.module is None:
        raise CannotError("--dynamic is for a model of your own: give --module too")
    if html_file is not None and not html_file.parent.is_dir():
        raise CannotError(f"--html {str(html_file)!r}: there is no folder {html_file.parent}")
    wanted = parameters.gpus_by_numbers(gpus, sms, capability, shared_memory)
    report = _run(
        lambda: (
            parameters.model(asked.module, asked.inputs)
            if asked.module is not None
            else (asked.problems, ())
        ),
        gpu=wanted or _gpu_here() or [catalogue.find(_DEMO_GPU)],
        train=asked.train,
        dynamic=dynamic,
        dtype=asked.model_dtype,
        min_sms=min_sms,
        options=settings,
        compile_candidates=not no_compile,
    )
    if all(column.verdict.code == "not-compiled" for column in report.gpus):
        raise CannotError(" ".join(column.verdict.text for column in report.gpus))
    if html_file is not None:
        try:
            report.write_page(html_file)
        except OSError as error:
            raise CannotError(f"--html {str(html_file)!r}: {error.strerror}") from None
        click.echo(f"written: {html_file}", err=True)
    from inductor_override.explanation.text import show

    if as_json:
        click.echo(json.dumps(report.to_dict(), indent=2))
    else:
        show(report, console.stdout())
    if show_code:
        for column in report.gpus:
            click.echo(f"\n# {column.gpu.name}\n{column.forced_code}", err=as_json)
    if not report.complete:
        sys.exit(130)


def _run(what: Callable[[], tuple[Any, Any]], **how: Any) -> Explanation:
    from inductor_override.explanation import explain as run_explain
    from inductor_override.explanation.process import ChildFailed

    try:
        # What the user's own code prints is not part of the report.
        with _progress() as progress, redirect_stdout(sys.stderr):
            model_or_problem, args = what()
            return run_explain(model_or_problem, args, progress=progress, **how)
    except KeyboardInterrupt:
        click.echo("interrupted before anything was known", err=True)
        sys.exit(130)
    except WorkloadError as error:
        detail = f"\n{error.detail}" if error.detail else ""
        raise CannotError(f"{error}{detail}") from None
    except ChildFailed as error:
        lines = [
            line
            for line in error.output.splitlines()
            if re.match(r"\w[\w.]*(Error|Exception)", line)
        ]
        reason = lines[-1][:300] if lines else str(error)
        raise FailedError(
            f"torch could not lower this: {reason}. Please report it with the model and what "
            f"follows\n{error.output.rstrip()}"
        ) from None
    except UnknownTorchError as error:
        raise UnsupportedError(str(error)) from None
    except SimulationError as error:
        raise CannotError(str(error)) from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    to = console.stderr()
    with Progress(*columns, console=to, transient=True, disable=not to.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def say(what: str, done: int, count: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=count)
            bars.update(tasks[what], completed=done, total=count)

        say("starting", 0, 1)
        yield say


def _gpu_here() -> list[Gpu]:
    """The GPUs of this machine; none where no CUDA driver is, without asking torch."""
    import ctypes

    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        import torch
    except (OSError, ImportError):  # no driver; or a torch that explain will tell of
        return []
    found: dict[str, Gpu] = {}
    for number in range(torch.cuda.device_count()):
        of = torch.cuda.get_device_properties(number)
        capability = (of.major, of.minor)
        memory = getattr(of, "shared_memory_per_block_optin", None)
        memory = memory or catalogue.SHARED_MEMORY_OPTIN.get(capability, 48 << 10)
        found[of.name] = Gpu(of.name, of.multi_processor_count, capability, memory, "device")
    return list(found.values())
