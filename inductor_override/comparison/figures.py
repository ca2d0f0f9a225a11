"""Figures that follow from what was measured: pairs, noise, seconds to compile, what is wrong."""

from __future__ import annotations

import math
import statistics
from typing import Any

from inductor_override.comparison.result import Result, Run
from inductor_override.comparison.schedule import CHECK, NOISE, ROUND, WARM
from inductor_override.comparison.statistics import smallest_effect, spread


def headline_pairs(result: Result, arm: int | None) -> list[tuple[float, float]]:
    """The pairs of all headline cases together: geometric means over the cases, round by round."""
    names = result.headline_cases()
    return means_over_cases(
        [result.noise_pairs(name) if arm is None else result.pairs(arm, name) for name in names]
    )


def means_over_cases(by_case: list[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The geometric means over the cases of both figures, round by round."""
    rounds = min((len(pairs) for pairs in by_case), default=0)
    means = statistics.geometric_mean
    return [
        (means(p[number][0] for p in by_case), means(p[number][1] for p in by_case))
        for number in range(rounds)
    ]


def noise(result: Result) -> dict[str, Any]:
    """How far two processes of the first arm differ on this machine, and what can be seen there."""
    pairs = headline_pairs(result, None)
    if not pairs:
        return {"pairs": 0, "spread": None, "smallest_effect": None}
    found = spread(pairs)
    smallest = smallest_effect(found, result.rounds)
    return {
        "pairs": len(pairs),
        "spread": found,
        "smallest_effect": smallest if math.isfinite(smallest) else None,
    }


def compile_seconds(result: Result, arm: int) -> tuple[float | None, float | None]:
    """Seconds to compile an arm, without and with caches: medians over its processes."""
    names = set(result.headline_cases())

    def median(runs: list[Run]) -> float | None:
        sums = [sum(c["compile_seconds"] for c in r.cases if c["case"] in names) for r in runs]
        return statistics.median(sums) if sums and runs[0].cases else None

    return median(compiled_runs(result, arm)), median(result.runs_of(WARM, arm))


def break_even(result: Result, arm: int) -> int | None:
    """The calls after which an arm's longer compilation is made up for; None: never, or unknown."""
    (cold, _), (first, _) = compile_seconds(result, arm), compile_seconds(result, 0)
    by_case = [result.pairs(arm, name) for name in result.headline_cases()]
    saved = sum(statistics.median(a - b for a, b in pairs) for pairs in by_case)
    if cold is None or first is None or saved <= 0:
        return None
    return max(0, math.ceil((cold - first) / saved))


def wrong_cases(result: Result, arm: int) -> list[dict[str, Any]]:
    """What is wrong, in all processes of an arm."""
    return [case for run in compiled_runs(result, arm) for case in run.cases if is_wrong(case)]


def is_wrong(case: dict[str, Any]) -> bool:
    """Whether the outputs of a case were farther from the reference than allowed."""
    return case.get("error") is not None and case["error"] > case["limit"]


def compiled_runs(result: Result, arm: int) -> list[Run]:
    """The processes of an arm that compiled with empty caches."""
    return [run for phase in (CHECK, NOISE, ROUND) for run in result.runs_of(phase, arm)]
