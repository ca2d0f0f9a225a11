"""An explanation as one HTML file, for someone who was not there when it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inductor_override.explanation.report import Report
from inductor_override.explanation.text import short
from inductor_override.files import write_whole
from inductor_override.pages import render

NOT_COMPILED = "not compiled"
_COMPILED = (
    *("shared_memory", "registers", "spilled", "tensor_core"),
    *("blocks_per_sm", "waves", "seconds", "error"),
)
"""What is known of a candidate only when it was compiled."""
_TOP, _ROW = 20, 30
"""Of the bar chart, in pixels: above the first bar, and for each bar with its label."""


def write_page(report: Report, path: Path) -> None:
    """Write the page. A file is replaced whole: nobody sees half of a page.

    Raises:
        OSError: it cannot be written there.
    """
    write_whole(page(report), path)


def page(report: Report) -> str:
    """The page's HTML. Needs nothing but itself."""
    facts = report.to_dict()
    gpus = [_gpu(number, gpu, facts["problems"]) for number, gpu in enumerate(facts["gpus"], 1)]
    return render(
        "inductor_override.explanation",
        {"number": _number, "short": short},
        report=facts,
        gpus=gpus,
    )


def _gpu(number: int, gpu: dict[str, Any], problems: list[dict[str, Any]]) -> dict[str, Any]:
    """The facts of one GPU, the problems with most FLOPs first."""
    pairs = [
        (problem, found)
        for problem, found in zip(problems, gpu["problems"], strict=True)
        if found is not None
    ]
    pairs.sort(key=lambda pair: -pair[0]["flops"])
    rows = []
    for place, (problem, found) in enumerate(pairs, 1):
        candidates = [_candidate(each) for each in found["candidates"]]
        row = {"id": f"gpu{number}-product{place}", "problem": problem, "candidates": candidates}
        row |= {"stock": found["stock"], "override": found["override"]}
        rows.append({**row, "chart": _chart(candidates, gpu["shared_memory_optin"])})
    return {**gpu, "id": f"gpu{number}", "rows": rows}


def _candidate(facts: dict[str, Any]) -> dict[str, Any]:
    """A candidate; None is what compiling would tell."""
    if "shared_memory" not in facts:
        return {**dict.fromkeys(_COMPILED), **facts, "state": "unknown"}
    if facts["error"] is not None:
        return {**facts, "state": "error"}
    return {**facts, "state": "fits" if facts["fits"] else "over"}


def _chart(candidates: list[dict[str, Any]], limit: int) -> dict[str, Any] | None:
    """Where the bars of shared memory are; None if none of the candidates was compiled."""
    states = [each["state"] for each in candidates]
    if set(states) <= {"unknown"}:
        return None
    widest = max(limit, *(each["shared_memory"] or 0 for each in candidates))
    known_first = sorted(
        candidates,
        key=lambda each: (each["state"] in ("error", "unknown"), each["shared_memory"] or 0),
    )
    return {
        "bars": [
            {
                **each,
                "y": _TOP + place * _ROW,
                "width": round(100 * (each["shared_memory"] or 0) / widest, 2),
            }
            for place, each in enumerate(known_first)
        ],
        "height": _TOP + len(candidates) * _ROW,
        "limit": limit,
        "limit_at": round(100 * limit / widest, 2),
        "count": {state: states.count(state) for state in ("fits", "over", "error", "unknown")},
    }


def _number(value: float | None) -> str:
    if value is None:
        return NOT_COMPILED
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
