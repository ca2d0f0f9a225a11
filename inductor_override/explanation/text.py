"""An explanation on a person's screen."""

from __future__ import annotations

import io

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inductor_override.explanation.report import NOTHING_TIMED, OnGpu, Problem, Report, Side

_MOST_ROWS = 20
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def as_text(report: Report) -> str:
    """The explanation as plain text, 120 columns wide."""
    console = Console(width=120, highlight=False, file=io.StringIO())
    with console.capture() as captured:
        show(report, console)
    return captured.get()


def show(report: Report, console: Console) -> None:
    """Print the whole explanation: for each GPU the verdict first."""
    what = report.what + (", a training step" if report.train else "")
    what += ", a symbolic batch" if report.dynamic else ""
    console.print(
        Text(
            f"{what}: {short(report.flops)}FLOP, torch {report.torch}, triton {report.triton}, "
            "GPUs simulated"
        )
    )
    for column in report.gpus:
        console.print()
        _show_gpu(report, column, console)
    console.print()
    if not report.complete:
        console.print(
            Text("Interrupted: not every candidate was compiled, so some columns say ?.", "yellow")
        )
    console.print(Text(NOTHING_TIMED, style="dim"))


def _show_gpu(report: Report, column: OnGpu, console: Console) -> None:
    gpu, verdict = column.gpu, column.verdict
    console.print(
        Text.assemble(
            (gpu.name, "bold"),
            f" ({gpu.sms} SMs, compute capability {gpu.capability}): ",
            (verdict.code, "bold green" if verdict.code == "worth-trying" else "bold yellow"),
        )
    )
    console.print(Text(verdict.text))
    if column.problems:
        console.print(_table(report, column))
        for line in _facts(column):
            console.print(Text(line, style="dim"))


def _table(report: Report, column: OnGpu) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("product, M x K x N", no_wrap=True)
    table.add_column("times", justify="right")
    table.add_column("FLOPs", justify="right")
    table.add_column("candidates, stock\n-> " + f"min_sms={report.min_sms}", justify="right")
    for name in ("of these\nTriton", "fit", "spill", "Tensor\nCores"):
        table.add_column(name, justify="right")
    table.add_column("fused with", overflow="fold")
    listed = sorted(column.problems, key=lambda number: -report.problems[number].flops)
    for number in listed[:_MOST_ROWS]:
        problem = report.problems[number]
        name = _name(problem)
        same = [report.problems[other] for other in listed if _name(report.problems[other]) == name]
        if len({other.layout for other in same}) > 1:
            name += f" ({problem.layout})"
        table.add_row(name, *_row(problem, *column.problems[number], column))
    if len(listed) > _MOST_ROWS:
        table.add_row(f"and {len(listed) - _MOST_ROWS} more, with fewer FLOPs: see --json")
    return table


def _row(problem: Problem, stock: Side, override: Side, column: OnGpu) -> list[str]:
    facts = override.to_dict(column.gpu)
    known = [facts[name] for name in ("fit", "spill", "tensor_cores")]
    shown = ["?" if each is None else str(each) for each in known]
    if not override.triton:
        shown, fused = ["", "", ""], "(no template)"
    else:
        fused = " + ".join(problem.epilogue) or "nothing"
    return [
        str(problem.count),
        f"{problem.flops_share:.0%}",
        f"{stock.candidates} -> {override.candidates}",
        str(len(override.triton)),
        *shown,
        fused,
    ]


def _name(problem: Problem) -> str:
    batch = f"{problem.batch} x " if problem.batch > 1 else ""
    return f"{problem.op} {batch}{problem.m}x{problem.k}x{problem.n} {problem.dtype}"


def _facts(column: OnGpu) -> list[str]:
    totals = column.totals
    lines = []
    if column.verdict.code != "nothing-fits":
        lines.append(
            "A count, not a time, stock -> override, if the first Triton candidate wins each time: "
            f"kernels launched {totals.kernels[0]} -> {totals.kernels[1]}, bytes moved "
            f"{short(totals.bytes_moved[0])}B -> {short(totals.bytes_moved[1])}B."
        )
    if totals.candidate_kernels:
        seconds = (
            f" {totals.compiled} of them took {totals.compile_seconds:.1f} s to compile, on one "
            "core of this machine."
            if totals.compiled
            else " They were not compiled, so which of them fit is not known."
        )
        lines.append(
            f"Tuning compiles {totals.candidate_kernels} distinct Triton kernels before it times "
            f"any.{seconds}"
        )
        candidates = (c for _, override in column.problems.values() for c in override.triton)
        errors = [c.code.error for c in candidates if c.code is not None and c.code.error]
        if errors and column.verdict.code != "nothing-fits":  # that verdict says so itself
            lines.append(f"Triton does not compile {len(errors)} of the candidates: {errors[0]}.")
        lines += _tiles(column)
        lines += column.notes
    return lines


def _tiles(column: OnGpu) -> list[str]:
    """The tiles that do not fit, for a report of one problem."""
    if len(column.problems) != 1:
        return []
    ((_, override),) = column.problems.values()
    limit = column.gpu.shared_memory_optin
    large = [c for c in override.triton if c.code is not None and c.code.shared_memory > limit]
    if not large:
        return []
    named = ", ".join(
        f"{'x'.join(map(str, c.kernel.tile))} with {c.kernel.stages} stages" for c in large
    )
    return [f"Too large for {limit:,} bytes of shared memory, as rows x columns x depth: {named}."]


def short(number: float) -> str:
    """Three digits and a prefix, such as `8.39 M`."""
    for size, prefix in _PREFIXES:
        if number >= size:
            return f"{number / size:.3g} {prefix}"
    return f"{number:.0f} "
