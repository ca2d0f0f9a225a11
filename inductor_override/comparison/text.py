"""A comparison on a person's screen."""

from __future__ import annotations

import io
import statistics
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inductor_override.comparison.differences import differences, tuned
from inductor_override.comparison.figures import compile_seconds, is_wrong
from inductor_override.comparison.result import (
    DONE,
    INTERRUPTED,
    NOTHING_IN_FORCE,
    OUT_OF_BUDGET,
    Result,
)
from inductor_override.comparison.schedule import ROUND
from inductor_override.comparison.sentences import FASTER, SAME, calls, shown, what_can_be_seen
from inductor_override.comparison.verdict import Judged, judge

_MOST_LINES = 12
_ENDS = {
    INTERRUPTED: "Interrupted: this is what there was until then. --resume goes on.",
    OUT_OF_BUDGET: "The budget was used up: this is what there was until then. --resume goes on.",
    NOTHING_IN_FORCE: "Nothing was timed: no arm would have differed from the first.",
}


def as_text(comparison: Any) -> str:
    """The comparison as plain text, 120 columns wide."""
    console = Console(width=120, highlight=False, file=io.StringIO())
    with console.capture() as captured:
        show(comparison.result, console)
    return captured.get()


def show(result: Result, console: Console) -> None:
    """Print the whole comparison: the verdicts first."""
    arms = judge(result)
    console.print(Text(headline(result)))
    console.print(Text(what_can_be_seen(result), style="dim"))
    console.print(_table(result, arms))
    for place, judged in enumerate(arms, 1):
        console.print(Text.assemble((f"{judged.verdict}: ", _style(judged)), judged.text))
        for line in _below(result, place, judged):
            console.print(Text(f"  {line}", style="dim"))
    for run in result.failures():
        name = result.arms[run.step.arm].name
        assert run.failed is not None
        console.print(Text(f"failed: {name}, {run.step.phase}: {run.failed['message']}", "red"))
        console.print(Text(run.failed["detail"], style="dim"))
    if result.ended != DONE and result.ended in _ENDS:
        console.print(Text(_ENDS[result.ended], "yellow"))


def headline(result: Result) -> str:
    """What was compared, and where."""
    where = result.environment
    facts = [f"{result.question.text}: {result.question.measures}"]
    if where:
        facts.append(f"torch {where['torch']}, {where['device']}")
    return ", ".join(facts) + f", {_rounds(result)} of {result.rounds} rounds"


def _rounds(result: Result) -> int:
    return min((len(result.runs_of(ROUND, arm)) for arm in range(len(result.arms))), default=0)


def _table(result: Result, arms: list[Judged]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column(f"time, {result.arms[0].name} = 1\n(95 % interval)", justify="right")
    table.add_column(_unit(result), justify="right")
    table.add_column("compile,\ncold s", justify="right")
    table.add_column("warm s", justify="right")
    table.add_column("paid for after", justify="right")
    cold, warm = compile_seconds(result, 0)
    table.add_row(result.arms[0].name, "", "1", figure(result, 0), _s(cold), _s(warm), "")
    for place, judged in enumerate(arms, 1):
        ratio = shown(judged.ratio) if judged.ratio else ""
        row = (judged.name, Text(judged.verdict, _style(judged)), ratio, figure(result, place))
        table.add_row(*row, _s(judged.compile_cold), _s(judged.compile_warm), paid(judged))
        for name, each in judged.cases.items():
            table.add_row(Text(f"  {name}", style="dim"), "", shown(each), "", "", "", "")
    return table


def figure(result: Result, arm: int) -> str:
    """The median of an arm's own figures, for a sense of scale."""
    if any(is_wrong(case) for run in result.runs if run.step.arm == arm for case in run.cases):
        return ""
    name = result.headline_cases()[0]
    found = [run.figure_of(name) for run in result.runs_of(ROUND, arm)]
    known = [each for each in found if each is not None]
    if not known or len(result.headline_cases()) > 1:
        return ""
    value = statistics.median(known)
    return f"{value:.4g}" if result.question.command is not None else f"{value * 1000:.4g}"


def _unit(result: Result) -> str:
    if result.question.command is None:
        return "ms a call"
    return "seconds" if result.question.metric is None else "figure"


def paid(judged: Judged) -> str:
    """After how many calls the longer compilation is paid for."""
    if judged.verdict == FASTER and judged.break_even is not None:
        return calls(judged.break_even) if judged.break_even else "at once"
    return "never" if judged.verdict in ("SLOWER", SAME) else ""


def _below(result: Result, place: int, judged: Judged) -> list[str]:
    lines = [f"why: {', '.join(judged.reasons)}"]
    lines += differences(result, place) + tuned(result, place)
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more lines: see --json"]
    return lines


def _style(judged: Judged) -> str:
    return {FASTER: "bold green", SAME: "bold"}.get(judged.verdict, "bold yellow")


def _s(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"
