"""An explanation on a person's screen."""

from __future__ import annotations

import re

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inductor_override.explain.report import SELECTION_NOTE, Outcome, Report, Side
from inductor_override.simulation.result import OTHER, TRITON, VENDOR


def show(report: Report, console: Console) -> None:
    """Print the whole explanation."""
    gpu = report.gpu
    console.print(
        f"[bold]{gpu.name}[/bold] (simulated): {gpu.sms} SMs, compute capability {gpu.capability}"
    )
    console.print(
        f"relu(a @ b) in {report.dtype}, a: {report.m} x {report.k}, b: {report.k} x {report.n}, "
        f"with torch {report.torch} and triton {report.triton}"
    )
    console.print(_table(report))
    console.print(_verdict(report))
    console.print()
    console.print(Text(SELECTION_NOTE, style="dim"))


def _table(report: Report) -> Table:
    stock, override = report.stock, report.override
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("")
    table.add_column("torch alone", overflow="fold")
    table.add_column(f"override(min_sms={override.required_sms})", overflow="fold")
    rows = [("gate", *(_gate(report.gpu.sms, side) for side in (stock, override)))]
    rows.append(("candidates", *(str(len(side.candidates)) for side in (stock, override))))
    for label, kind in (("  vendor", VENDOR), ("  Triton", TRITON), ("  other", OTHER)):
        named = [side.lowering.names(kind) for side in (stock, override)]
        if kind != OTHER or any(named):
            rows.append((label, *(_listed(names) for names in named)))
    rows.append(
        ("kernels called", *("\n".join(side.lowering.kernels) for side in (stock, override)))
    )
    templates = ("yes" if side.lowering.template else "no" for side in (stock, override))
    rows.append(("Triton GEMM", *templates))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _gate(sms: int, side: Side) -> str:
    if side.required_sms is None:
        return "closed for every number of SMs"
    if side.open:
        return f"open: {sms} SMs >= {side.required_sms}"
    return f"closed: {sms} SMs < {side.required_sms}"


def _listed(names: list[str]) -> str:
    """`3: triton_mm_0 to triton_mm_2` for names that only count up, all of them otherwise."""
    if not names:
        return "0"
    stems = {re.sub(r"\d+$", "", name) for name in names}
    if len(names) > 2 and len(stems) == 1:
        return f"{len(names)}: {names[0]} to {names[-1]}"
    return f"{len(names)}: {', '.join(names)}"


def _candidates(side: Side) -> str:
    count = len(side.candidates)
    return f"{count} candidate" if count == 1 else f"{count} candidates"


def _verdict(report: Report) -> Text:
    stock, override = report.stock, report.override
    threshold = stock.required_sms
    name, sms, min_sms = report.gpu.name, report.gpu.sms, override.required_sms
    counts = f"{_candidates(override)} instead of {len(stock.candidates)}"
    if report.outcome is Outcome.OPENED:
        text = (
            f"torch alone drops GEMM autotuning on this GPU: it has {sms} SMs, and torch's gate "
            f"asks for {threshold}. "
        )
        text += (
            f"With the override Inductor has {counts} to time."
            if report.changes_code
            else "The override opens the gate, but for this product the candidates are the same."
        )
    elif report.outcome is Outcome.OPEN_ANYWAY:
        text = (
            f"The override changes nothing here: {name} has {sms} SMs, and torch's own gate asks "
            f"for {threshold}. max-autotune already tunes GEMMs on it."
        )
    elif report.outcome is Outcome.HELD_BACK:
        text = (
            f"torch alone tunes GEMMs on this GPU. override(min_sms={min_sms}) holds it "
            f"back ({sms} SMs < {min_sms}): Inductor has {counts}, as on a small GPU."
        )
    else:
        text = (
            f"The override changes nothing here: {sms} SMs are fewer than min_sms={min_sms}, and "
            f"fewer than the {threshold} that torch asks for. min_sms={sms} or less opens the gate."
        )
    if not stock.candidates and not override.candidates:
        text += " Inductor computes this product without a GEMM, so there is nothing to tune."
    return Text(text)
