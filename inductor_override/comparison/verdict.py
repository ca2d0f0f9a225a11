"""What the figures say about each arm: one verdict, its reasons, one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from inductor_override.comparison.figures import (
    break_even,
    compile_seconds,
    headline_pairs,
    means_over_cases,
    wrong_cases,
)
from inductor_override.comparison.result import Result
from inductor_override.comparison.schedule import CHECK, ROUND
from inductor_override.comparison.sentences import (
    FAILED,
    FASTER,
    NOT_IN_FORCE,
    SAME,
    SLOWER,
    UNDECIDED,
    WRONG,
    sentence,
)
from inductor_override.comparison.statistics import Interval, ratio_interval


@dataclass(frozen=True)
class Judged:
    """One arm against the first.

    Attributes:
        name: of the arm.
        verdict: FASTER, SLOWER, SAME, UNDECIDED, WRONG, NOT IN FORCE or FAILED.
        reasons: codes, the one that decided first.
        text: one sentence.
        ratio: time over the first arm's time, below 1 is faster; None where nothing was measured.
        cases: the ratio of each case, by its name.
        compile_cold, compile_warm: seconds, medians; None where not measured.
        break_even: calls after which the longer compilation is paid for; None: never, or unknown.
    """

    name: str
    verdict: str
    reasons: tuple[str, ...]
    text: str
    ratio: Interval | None
    cases: dict[str, Interval]
    compile_cold: float | None
    compile_warm: float | None
    break_even: int | None

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        ratio = self.ratio.to_dict() if self.ratio else dict.fromkeys(("value", "low", "high"))
        kept = ("name", "verdict", "text", "compile_cold", "compile_warm", "break_even")
        return {
            **{name: getattr(self, name) for name in kept},
            "reasons": list(self.reasons),
            "ratio": ratio,
            "cases": {name: each.to_dict() for name, each in self.cases.items()},
        }


def judge(result: Result) -> list[Judged]:
    """Every arm but the first, against the first."""
    return [_judge(result, arm) for arm in range(1, len(result.arms))]


def not_in_force(result: Result, arm: int) -> str | None:
    """Why an arm changes nothing, as a reason code, by what the checks saw; None: it may."""
    one, first = result.arms[arm], result.arms[0]
    checks, firsts = result.runs_of(CHECK, arm), result.runs_of(CHECK, 0)
    if not checks or not firsts or one.same_as(first):
        return None
    if not (one.only_compiles and first.only_compiles):
        return None  # a mode or a precision changes what no generated code shows
    for case, other in zip(checks[0].cases, firsts[0].cases, strict=True):
        code, others = case["observed"]["code"], other["observed"]["code"]
        if not code or code != others or case["gate"].get("asked"):
            return None
    return "gate-not-asked" if one.min_sms is not None else "code-unchanged"


def _judge(result: Result, arm: int) -> Judged:
    pairs = headline_pairs(result, arm)
    ratio = ratio_interval(pairs) if pairs else None
    verdict, reasons = _verdict(result, arm, ratio)
    cold, warm = compile_seconds(result, arm)
    even = break_even(result, arm) if verdict == FASTER else None
    told = verdict not in (WRONG, NOT_IN_FORCE)
    by_case = {name: result.pairs(arm, name) for name in result.cases_beside_the_headline()}
    return Judged(
        result.arms[arm].name,
        verdict,
        tuple(reasons),
        sentence(result, arm, verdict, reasons, ratio),
        ratio if told else None,
        {name: ratio_interval(found) for name, found in by_case.items() if found and told},
        cold,
        warm,
        even,
    )


def _verdict(result: Result, arm: int, ratio: Interval | None) -> tuple[str, list[str]]:
    if wrong_cases(result, 0):
        return WRONG, ["first-arm-wrong"]
    if wrong_cases(result, arm):
        return WRONG, ["outputs-differ"]
    if reason := not_in_force(result, arm):
        return NOT_IN_FORCE, [reason]
    if ratio is None:
        failed = any(run.step.arm in (0, arm) for run in result.failures())
        return (FAILED, ["process-failed"]) if failed else (UNDECIDED, ["nothing-measured"])
    remarks = _remarks(result, arm)
    verdict = verdict_of(ratio, result.min_effect)
    if verdict == SAME:
        return SAME, ["within-min-effect", *remarks]
    if verdict == UNDECIDED:
        return UNDECIDED, ["interval-contains-1" if ratio.known else "too-few-rounds", *remarks]
    if _only_of_the_clock(result, arm):
        return UNDECIDED, ["not-confirmed-in-cycles", *remarks]
    inner = ratio.high if verdict == FASTER else ratio.low
    if abs(math.log(inner)) <= math.log1p(result.min_effect):
        remarks.insert(0, "perhaps-below-min-effect")
    return verdict, ["interval-below-1" if verdict == FASTER else "interval-above-1", *remarks]


def verdict_of(ratio: Interval, min_effect: float) -> str:
    """FASTER, SLOWER, SAME or UNDECIDED, by the interval alone."""
    if not ratio.known:
        return UNDECIDED
    if 1 / (1 + min_effect) <= ratio.low and ratio.high <= 1 + min_effect:
        return SAME
    if ratio.low <= 1 <= ratio.high:
        return UNDECIDED
    return FASTER if ratio.high < 1 else SLOWER


def _only_of_the_clock(result: Result, arm: int) -> bool:
    """Whether the GPU ran the two arms at different clocks, and in cycles they do not differ."""
    names = result.headline_cases()
    cycles = means_over_cases([result.cycle_pairs(arm, name) for name in names])
    times = headline_pairs(result, arm)
    if not cycles or len(cycles) != len(times):
        return False
    in_cycles = ratio_interval(cycles)
    clocks = ratio_interval(
        [(c[0] / t[0], c[1] / t[1]) for c, t in zip(cycles, times, strict=True)]
    )
    differ = clocks.known and not clocks.low <= 1 <= clocks.high
    return differ and in_cycles.low <= 1 <= in_cycles.high


def _remarks(result: Result, arm: int) -> list[str]:
    """What a reader must know beside the interval."""
    found = []
    if result.looks:
        found.append("looked-at-before")
    runs = result.runs_of(ROUND, arm) + result.runs_of(ROUND, 0)
    cases = [case for run in runs for case in run.cases]
    if any(case.get("clocks", {}).get("throttled") for case in cases):
        found.append("throttled")
    if any(case.get("error", 0) is None for case in cases):
        found.append("outputs-not-checked")
    if sum(not case.get("steady", True) for case in cases) > len(cases) / 4:
        found.append("not-steady")
    checks, firsts = result.runs_of(CHECK, arm), result.runs_of(CHECK, 0)
    if checks and firsts and result.arms[arm].min_sms is not None:
        changed = checks[0].cases[0]["observed"]["code"] != firsts[0].cases[0]["observed"]["code"]
        if changed and not checks[0].cases[0]["gate"].get("asked"):
            found.append("changed-without-the-gate")
        elif not changed:
            found.append("same-code-as-the-first-arm")
    return found
