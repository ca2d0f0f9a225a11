"""A comparison as one HTML file, for someone who was not there when it was made."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from inductor_override.comparison.differences import differences, tuned
from inductor_override.comparison.figures import compile_seconds
from inductor_override.comparison.result import Result, Run
from inductor_override.comparison.sentences import shown, what_can_be_seen
from inductor_override.comparison.text import figure, headline, paid
from inductor_override.comparison.verdict import Judged, judge
from inductor_override.files import write_whole
from inductor_override.pages import render

_ROW = 34
"""Height of one arm in the plot of intervals, in pixels."""
_HEIGHT = 240
_LABEL = 24
_MARKS = ("circle", "square", "triangle", "diamond")


def write_page(comparison: Any, path: Path) -> None:
    """Write the page. A file is replaced whole: nobody sees half of a page.

    Raises:
        OSError: it cannot be written there.
    """
    write_whole(page(comparison.result), path)


def page(result: Result) -> str:
    """The page's HTML. Needs nothing but itself."""
    arms = judge(result)
    rows = [
        {
            **each.to_dict(),
            "shown": shown(each.ratio) if each.ratio else "not measured",
            "paid": paid(each),
            "figure": figure(result, place),
            "differences": differences(result, place),
            "tuned": tuned(result, place),
            "cases_shown": {name: shown(ratio) for name, ratio in each.cases.items()},
        }
        for place, each in enumerate(arms, 1)
    ]
    return render(
        "inductor_override.comparison",
        {"seconds": lambda value: "not measured" if value is None else f"{value:.1f}"},
        result=result,
        headline=headline(result),
        noise=what_can_be_seen(result),
        rows=rows,
        first={"compile": compile_seconds(result, 0), "figure": figure(result, 0)},
        tuned_first=tuned(result, 0),
        intervals=intervals(arms, result.min_effect),
        processes=processes(result),
    )


def intervals(arms: list[Judged], min_effect: float) -> dict[str, Any] | None:
    """Where each arm's interval is drawn, from 0 to 100 % of the width; None if there is none."""
    known = [each for each in arms if each.ratio is not None and each.ratio.known]
    if not known:
        return None
    ends = [end for each in known if each.ratio for end in (each.ratio.low, each.ratio.high)]
    low = math.log(min(*ends, 1 / (1 + 2 * min_effect)))
    high = math.log(max(*ends, 1 + 2 * min_effect))
    margin = 0.08 * (high - low)
    low, high = low - margin, high + margin

    def x(ratio: float) -> float:
        return round(100 * (math.log(ratio) - low) / (high - low), 2)

    bars = [
        {
            "name": each.name,
            "label": each.name if len(each.name) <= _LABEL else f"{each.name[: _LABEL - 1]}…",
            "text": shown(each.ratio),
            "low": x(each.ratio.low),
            "high": x(each.ratio.high),
            "value": x(each.ratio.value),
            "y": 24 + place * _ROW,
        }
        for place, each in enumerate(known)
        if each.ratio is not None
    ]
    same = (x(1 / (1 + min_effect)), x(1 + min_effect))
    return {"bars": bars, "one": x(1), "same": same, "height": 30 + len(bars) * _ROW}


def processes(result: Result) -> dict[str, Any] | None:
    """Every timed process in the order in which it ran: its samples' middle, 5 % and 95 %."""
    name = result.headline_cases()[0]
    timed = [run for run in result.runs if run.step.timed and run.figure_of(name)]
    if not timed:
        return None
    rows: list[dict[str, Any]] = []
    for place, run in enumerate(timed):
        samples = _samples(run, name)
        middle = run.figure_of(name)
        assert middle is not None
        low, high = _percentiles(samples) if len(samples) > 1 else (middle, middle)
        rows.append(
            {
                "number": place + 1,
                "arm": result.arms[run.step.arm].name,
                "phase": run.step.phase,
                "round": run.step.round + 1,
                "mark": _MARKS[run.step.arm % len(_MARKS)],
                "middle": middle,
                "low": low,
                "high": high,
                "count": len(samples) or 1,
                "seconds": run.seconds,
                "throttled": _throttled(run.cases),
            }
        )
    lowest, highest = min(row["low"] for row in rows), max(row["high"] for row in rows)
    # Samples that were far slower than all others are cut off, so that the rest can be seen.
    highest = min(highest, 2 * max(row["middle"] for row in rows))
    extent = (highest - lowest) or highest
    for row in rows:
        row["x"] = round(100 * (row["number"] - 0.5) / len(rows), 2)
        for end in ("low", "middle", "high"):
            y = _HEIGHT * (1 - (min(row[end], highest) - lowest) / extent)
            row[f"y_{end}"] = round(12 + 0.9 * y, 1)
    marks = [
        {"arm": arm.name, "mark": _MARKS[place % len(_MARKS)]}
        for place, arm in enumerate(result.arms)
    ]
    of_seconds = result.question.command is None
    scale, unit = (1000, "ms") if of_seconds else (1, "")
    return {
        "rows": rows,
        "marks": marks,
        "height": _HEIGHT,
        "lowest": f"{lowest * scale:.4g} {unit}".strip(),
        "highest": f"{highest * scale:.4g} {unit}".strip(),
        "scale": scale,
        "unit": unit,
    }


def _samples(run: Run, name: str) -> list[float]:
    for case in run.cases:
        if case["case"] == name:
            return list(case.get("device", ()))
    return []


def _percentiles(samples: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(samples, n=20, method="inclusive")
    return cuts[0], cuts[-1]


def _throttled(cases: list[dict[str, Any]]) -> str:
    found = {name for case in cases for name in case.get("clocks", {}).get("throttled", {})}
    return ", ".join(sorted(found))
