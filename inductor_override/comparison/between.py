"""Two result files of the same question, arm by arm: before and after an upgrade, for one."""

from __future__ import annotations

import math
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.result import Result
from inductor_override.comparison.schedule import ROUND
from inductor_override.comparison.sentences import shown
from inductor_override.comparison.statistics import LEVEL, Interval
from inductor_override.comparison.verdict import verdict_of


def between(older: Result, newer: Result) -> dict[str, Any]:
    """The ratio of the newer file's figures to the older file's, for each arm that both have.

    The processes of two files make no pairs, so the interval is that of Welch's t-test on the
    logarithms (scipy), and it is as wide as the machine's drift between the files.

    Raises:
        ComparisonError: the files cannot be compared; the message says why.
    """
    _check(older, newer)
    found = []
    for name in (arm.name for arm in newer.arms):
        for case in newer.headline_cases():
            a, b = (_figures(each, name, case) for each in (older, newer))
            if min(len(a), len(b)) >= 2:
                ratio = _ratio(a, b, newer.question.higher_is_better)
                verdict = verdict_of(ratio, newer.min_effect)
                found.append(
                    {"arm": name, "case": case, "ratio": ratio.to_dict(), "verdict": verdict}
                )
    changed = {
        key: [older.environment.get(key), newer.environment.get(key)]
        for key in newer.environment
        if key != "built" and older.environment.get(key) != newer.environment.get(key)
    }
    return {"schema": 1, "arms": found, "changed": changed}


def show_between(found: dict[str, Any], console: Console) -> None:
    """Print what `between` found."""
    for key, (old, new) in found["changed"].items():
        console.print(Text(f"{key}: {old} in the older file, {new} in the newer", "dim"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm")
    table.add_column("case")
    table.add_column("verdict")
    table.add_column("newer time, older = 1\n(95 % interval)", justify="right")
    for each in found["arms"]:
        ratio = Interval(**each["ratio"])
        table.add_row(each["arm"], each["case"], each["verdict"], shown(ratio))
    console.print(table)


def _check(older: Result, newer: Result) -> None:
    mine, others = newer.question.to_dict(), older.question.to_dict()
    for field in mine:
        if mine[field] != others[field]:
            raise ComparisonError(
                f"the files cannot be compared: {field} is {others[field]!r} in the older one and "
                f"{mine[field]!r} in the newer"
            )
    device = [each.environment.get("device") for each in (older, newer)]
    if device[0] != device[1]:
        raise ComparisonError(
            f"the files cannot be compared: one is from {device[0]}, the other from {device[1]}"
        )
    names = {arm.name for arm in older.arms} & {arm.name for arm in newer.arms}
    if not names:
        raise ComparisonError("the files cannot be compared: they have no arm in common")


def _figures(result: Result, name: str, case: str) -> list[float]:
    place = next((n for n, arm in enumerate(result.arms) if arm.name == name), None)
    runs = [] if place is None else result.runs_of(ROUND, place)
    return [found for run in runs if (found := run.figure_of(case))]


def _ratio(older: list[float], newer: list[float], higher_is_better: bool) -> Interval:
    from scipy.stats import ttest_ind

    logs = [[math.log(each) for each in figures] for figures in (newer, older)]
    if higher_is_better:
        logs.reverse()
    found = ttest_ind(*logs, equal_var=False).confidence_interval(LEVEL)
    value = sum(logs[0]) / len(logs[0]) - sum(logs[1]) / len(logs[1])
    pairs = min(len(older), len(newer))
    return Interval(math.exp(value), math.exp(found.low), math.exp(found.high), pairs)
