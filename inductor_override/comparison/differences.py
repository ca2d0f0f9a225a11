"""What else an arm changed, so that an effect is credited to its cause."""

from __future__ import annotations

from collections import Counter
from typing import Any

from inductor_override.comparison.result import Result
from inductor_override.comparison.schedule import CHECK, NOISE, ROUND
from inductor_override.tuning import Tuned

_COUNTED = {
    "pad_mm_bench": "matrix products padded",
    "fxgraph_cache_hit": "hits of the FX graph cache",
    "pattern_matcher_count": "patterns replaced",
}


def differences(result: Result, arm: int) -> list[str]:
    """How what Inductor made of an arm differs from the first arm's, a line each."""
    checks, firsts = result.runs_of(CHECK, arm), result.runs_of(CHECK, 0)
    if not checks or not firsts:
        return []
    lines = []
    for case, other in zip(checks[0].cases, firsts[0].cases, strict=True):
        of = f"{case['case']}: " if len(checks[0].cases) > 1 else ""
        lines += [of + line for line in _differ(case["observed"], other["observed"])]
    return lines


def _differ(seen: dict[str, Any], first: dict[str, Any]) -> list[str]:
    if not seen["code"] or not first["code"]:
        return ["no generated code was seen"]
    if seen["code"] == first["code"]:
        return []
    lines = []
    mine, others = Counter(seen["kernels"]), Counter(first["kernels"])
    only_mine, only_others = mine - others, others - mine
    if only_mine or only_others:
        lines.append(f"kernels: {_listed(only_mine)} instead of {_listed(only_others)}")
    else:
        lines.append("the same kernels by name, with other code or settings")
    for name, words in _COUNTED.items():
        a, b = seen["counters"].get(name, 0), first["counters"].get(name, 0)
        if a != b:
            lines.append(f"{words}: {a} instead of {b}")
    if seen["graph_breaks"] != first["graph_breaks"]:
        lines.append(f"graph breaks: {seen['graph_breaks']} instead of {first['graph_breaks']}")
    return lines


def _listed(kernels: Counter[str]) -> str:
    shown = [f"{name}" + (f" x{n}" if n > 1 else "") for name, n in kernels.most_common(4)]
    more = len(kernels) - len(shown)
    return (", ".join(shown) or "nothing") + (f" and {more} more" if more > 0 else "")


def tuned(result: Result, arm: int) -> list[str]:
    """Who won each tuned operation, over all processes of an arm: the tuner's lottery."""
    found: dict[tuple[str, ...], list[Tuned]] = {}
    for phase in (CHECK, NOISE, ROUND):
        for run in result.runs_of(phase, arm):
            for case in run.cases:
                for each in map(Tuned.from_dict, case["observed"]["tuned"]):
                    found.setdefault((each.op, *each.sizes, each.dtype), []).append(each)
    return [_won(key, times) for key, times in found.items()]


def _won(key: tuple[str, ...], times: list[Tuned]) -> str:
    op, *sizes, dtype = key
    winners = Counter(each.winner.name if each.winner else "none" for each in times)
    over = [each.over_library for each in times if each.over_library]
    line = f"{op} {', '.join(sizes)} {dtype}: "
    names = (f"{name} won {n}" for name, n in winners.most_common(3))
    line += ", ".join(names) + f" of {len(times)} tunings"
    if over and max(over) > 1:
        least, most = f"{min(over):.2f}", f"{max(over):.2f}"
        between = least if least == most else f"{least} to {most}"
        line += f"; {between} times as fast as the library, alone"
    if failed := max(each.failed for each in times):
        line += f"; {failed} of {times[0].candidates} candidates could not run"
    return line
