"""What was tuned in a scope or a process, by torch's own figures: `report()`, `run --report`."""

from __future__ import annotations

import html
import io
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

from inductor_override.open_scopes import Counts
from inductor_override.request.names import ENV_REPORT
from inductor_override.tuning import LIBRARY, OTHER, SELECT_ALGORITHM, TRITON, Tuned, available

TO_STDERR = "-"
CAVEAT = "torch's times are short samples of each kernel alone, without an interval"


@dataclass(frozen=True)
class TuningReport:
    """What was compiled and tuned. Nothing here is measured by inductor-override.

    Attributes:
        asked: how often torch asked the gate.
        passed: how often the answer was yes.
        graphs: graphs that Inductor compiled, or took from its caches.
        graphs_from_cache: of these, what came from torch's caches; nothing is tuned for them. A
            backward graph that comes with its forward graph is not counted on its own.
        tuned: each operation that torch's tuner chose a kernel for, in the order of the choices.
        told: whether this torch tells what its tuner measured (from torch 2.6 on).
        cause: why no graph could gain from an open gate, as far as that is known; else None.
    """

    asked: int
    passed: int
    graphs: int
    graphs_from_cache: int
    tuned: tuple[Tuned, ...]
    told: bool
    cause: str | None = None

    @classmethod
    def of(cls, counts: Counts) -> TuningReport:
        """The report of what was counted so far."""
        told = available() or SELECT_ALGORITHM not in sys.modules
        found = tuple(counts.tuned)
        cause = why_nothing_opened(counts) if counts.graphs else None
        return cls(
            counts.consulted, counts.passed, counts.graphs, counts.from_cache, found, told, cause
        )

    @property
    def seconds(self) -> float:
        """How long torch took to compile and time candidates."""
        return sum(each.seconds for each in self.tuned)

    @property
    def winners(self) -> Counter[str]:
        """Which kind of kernel won, and for how many operations."""
        return Counter(each.winner.kind for each in self.tuned if each.winner)

    def to_dict(self) -> dict[str, Any]:
        """The facts for machines. Within one `schema` keys are only ever added."""
        return {
            "schema": 1,
            "line": self.line(),
            "asked": self.asked,
            "passed": self.passed,
            "graphs": self.graphs,
            "graphs_from_cache": self.graphs_from_cache,
            "told": self.told,
            "cause": self.cause,
            "seconds": self.seconds,
            "winners": dict(self.winners),
            "tuned": [each.to_dict() for each in self.tuned],
            "caveat": CAVEAT,
        }

    def __repr__(self) -> str:
        return f"<inductor_override report: {self.line()}>"

    def __str__(self) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Column, Table

        console = Console(width=120, highlight=False, markup=False, file=io.StringIO())
        with console.capture() as captured:
            console.print(self.line())
            if self.cause:
                console.print(self._because())
            if rows := self._rows():
                columns = (Column(name, overflow="fold") for name in _HEAD)
                table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
                for row in rows:
                    table.add_row(*row)
                console.print(table)
                console.print(f"{CAVEAT[0].upper()}{CAVEAT[1:]}.")
        return captured.get().rstrip()

    def _repr_html_(self) -> str:
        def line(cells: tuple[str, ...], tag: str) -> str:
            style = " style='text-align:left'"
            return "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell in cells)

        rows = [line(_HEAD, "th"), *(line(row, "td") for row in self._rows())]
        table = "".join(f"<tr>{row}</tr>" for row in rows)
        caveat = f"<p>{html.escape(CAVEAT)}</p>"
        below = f"<table>{table}</table>{caveat}" if len(rows) > 1 else ""
        because = f"<p>{html.escape(self._because())}</p>" if self.cause else ""
        return f"<p>{html.escape(self.line())}</p>{because}{below}"

    def _because(self) -> str:
        return f"The graphs: {self.cause}."

    def line(self) -> str:
        """All of it in one line."""
        asked, passed = _count(self.asked, "time"), _count(self.passed, "time")
        cached = self.graphs_from_cache
        graphs = [f"{_count(self.graphs - cached, 'graph')} compiled"]
        if cached:
            graphs = graphs * (cached < self.graphs)
            graphs.append(f"{_count(cached, 'graph')} from torch's caches")
        facts = [
            f"the gate was asked {asked}, and was open {passed}"
            if self.asked
            else "the gate was not asked",
            ", ".join(graphs),
        ]
        if not self.told:
            facts.append("what was tuned is not known: torch tells from 2.6 on")
        elif not self.tuned:
            facts.append("nothing was tuned")
        else:
            facts += self._facts_of_tuning()
        return "; ".join(facts)

    def _facts_of_tuning(self) -> list[str]:
        kept = sum(1 for each in self.tuned if not each.seconds)
        failed, candidates = (
            sum(getattr(each, name) for each in self.tuned) for name in ("failed", "candidates")
        )
        facts = [f"{_count(len(self.tuned), 'operation')} tuned in {self.seconds:.1f} s"]
        facts += [f"{_KINDS[kind]} won {n}{self._ahead(kind)}" for kind, n in self.winners.items()]
        if kept:
            facts.append(f"for {kept} torch had kept the times")
        if failed:
            facts.append(f"{failed} of {candidates} candidates could not run")
        return facts

    def _ahead(self, kind: str) -> str:
        """By how much kernels of this kind won over the library."""
        over = [
            each.over_library
            for each in self.tuned
            if each.winner and each.winner.kind == kind and each.over_library
        ]
        if kind == LIBRARY or not over:
            return ""
        least, most = f"{min(over):.2f}", f"{max(over):.2f}"
        return f" ({least if least == most else f'{least} to {most}'} times as fast as the library)"

    def _rows(self) -> list[tuple[str, ...]]:
        """One for each problem and winner: equal sizes may be laid out in other ways."""
        alike: dict[tuple[str, ...], list[Tuned]] = {}
        for each in self.tuned:
            won = each.winner.name if each.winner else ""
            alike.setdefault((each.op, *each.sizes, each.dtype, won), []).append(each)
        return [_row(group) for group in alike.values()]


_KINDS = {LIBRARY: "the library", TRITON: "a Triton template", OTHER: "another kernel"}
_HEAD = (
    *("operation", "times", "winner", "as fast as\nthe library", "runner-up"),
    *("candidates", "could\nnot run", "seconds"),
)


def _row(group: list[Tuned]) -> tuple[str, ...]:
    first = group[0]
    last = group[-1]
    over = f"{last.over_library:.2f}" if last.over_library else ""
    runner_up = last.fastest[1].name if len(last.fastest) > 1 else ""
    return (
        f"{first.op} {', '.join(first.sizes)} {first.dtype}",
        str(len(group)),
        last.winner.name if last.winner else "none could run",
        over,
        runner_up,
        str(last.candidates),
        str(last.failed or ""),
        f"{sum(each.seconds for each in group):.1f}",
    )


def why_nothing_opened(counts: Counts) -> str | None:
    """None: something could be tuned, or the graphs may have come from torch's caches.

    Not by the questions alone: torch 2.6 to 2.13 ask the gate in every mode
    (`torch._inductor.utils.use_triton_template`), and 2.15 does not where TRITON is missing.
    """
    if not counts.graphs:
        return None
    if not counts.autotuned:
        return (
            "none with max-autotune, so nothing was tuned. Use torch.compile(..., "
            "mode='max-autotune'), add max_autotune_gemm=True to the override, or start the "
            "program with inductor-override run --max-autotune"
        )
    if not counts.beyond_cpu and not counts.consulted:
        return "all with inputs on the CPU, but the gate is asked for GPUs only"
    if counts.without_triton == counts.autotuned:
        return (
            "but max_autotune_gemm_backends names no TRITON, so the open gate adds no Triton "
            "template. Add TRITON to that list"
        )
    return None


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def hand_in(report: TuningReport, *, gate_owner: str | None, always: bool) -> None:
    """Do as `run --report` asks, at the end of a process: say it, or add a line to a file.

    Args:
        gate_owner: whose function stands in the place of torch's gate, for the file; None: torch's.
        always: also where nothing was compiled.
    """
    target = os.environ.get(ENV_REPORT)
    if not target or not (always or report.graphs or report.asked):
        return
    if target == TO_STDERR:
        print(f"inductor-override: report of process {os.getpid()}: {report}", file=sys.stderr)
        return
    found = {"process": os.getpid(), "command": sys.argv, "gate_owner": gate_owner}
    try:
        # One write, at the end of the file: processes that end at once do not mix their lines.
        with open(target, "ab", buffering=0) as file:
            file.write(json.dumps({**found, **report.to_dict()}).encode() + b"\n")
    except OSError as error:
        print(f"inductor-override: no report in {target}: {error.strerror}", file=sys.stderr)
