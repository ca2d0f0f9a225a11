"""What the figures say about each arm: one verdict, its reasons, one sentence."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Any

from inductor_override.comparison.result import Result, Run
from inductor_override.comparison.schedule import CHECK, NOISE, ROUND, WARM
from inductor_override.comparison.statistics import (
    Interval,
    fewest_pairs,
    pairs_needed,
    ratio_interval,
    smallest_effect,
    spread,
)

FASTER, SLOWER, SAME, UNDECIDED = "FASTER", "SLOWER", "SAME", "UNDECIDED"
WRONG, NOT_IN_FORCE, FAILED = "WRONG", "NOT IN FORCE", "FAILED"


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


def noise(result: Result) -> dict[str, Any]:
    """How far two processes of the first arm differ on this machine, and what can be seen there."""
    pairs = _headline(result, None)
    if not pairs:
        return {"pairs": 0, "spread": None, "smallest_effect": None}
    found = spread(pairs)
    smallest = smallest_effect(found, result.rounds)
    return {
        "pairs": len(pairs),
        "spread": found,
        "smallest_effect": smallest if math.isfinite(smallest) else None,
    }


def _headline(result: Result, arm: int | None) -> list[tuple[float, float]]:
    """The pairs of all headline cases together: geometric means over the cases, round by round."""
    names = result.headline_cases()
    return _means(
        [result.noise_pairs(name) if arm is None else result.pairs(arm, name) for name in names]
    )


def _means(by_case: list[list[tuple[float, float]]]) -> list[tuple[float, float]]:
    rounds = min((len(pairs) for pairs in by_case), default=0)
    means = statistics.geometric_mean
    return [
        (means(p[number][0] for p in by_case), means(p[number][1] for p in by_case))
        for number in range(rounds)
    ]


def _judge(result: Result, arm: int) -> Judged:
    pairs = _headline(result, arm)
    ratio = ratio_interval(pairs) if pairs else None
    verdict, reasons = _verdict(result, arm, ratio)
    cold, warm = compile_seconds(result, arm)
    even = _break_even(result, arm) if verdict == FASTER else None
    told = verdict not in (WRONG, NOT_IN_FORCE)
    by_case = {name: result.pairs(arm, name) for name in result.cases_beside_the_headline()}
    return Judged(
        result.arms[arm].name,
        verdict,
        tuple(reasons),
        _sentence(result, arm, verdict, reasons, ratio),
        ratio if told else None,
        {name: ratio_interval(found) for name, found in by_case.items() if found and told},
        cold,
        warm,
        even,
    )


def _break_even(result: Result, arm: int) -> int | None:
    (cold, _), (first, _) = compile_seconds(result, arm), compile_seconds(result, 0)
    by_case = [result.pairs(arm, name) for name in result.headline_cases()]
    saved = sum(statistics.median(a - b for a, b in pairs) for pairs in by_case)
    if cold is None or first is None or saved <= 0:
        return None
    return max(0, math.ceil((cold - first) / saved))


def _verdict(result: Result, arm: int, ratio: Interval | None) -> tuple[str, list[str]]:
    if _wrong_cases(result, 0):
        return WRONG, ["first-arm-wrong"]
    if _wrong_cases(result, arm):
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
    cycles = _means([result.cycle_pairs(arm, name) for name in names])
    times = _headline(result, arm)
    if not cycles or len(cycles) != len(times):
        return False
    in_cycles = ratio_interval(cycles)
    clocks = ratio_interval(
        [(c[0] / t[0], c[1] / t[1]) for c, t in zip(cycles, times, strict=True)]
    )
    differ = clocks.known and not clocks.low <= 1 <= clocks.high
    return differ and in_cycles.low <= 1 <= in_cycles.high


def _wrong_cases(result: Result, arm: int) -> list[dict[str, Any]]:
    return [case for run in _compiled(result, arm) for case in run.cases if is_wrong(case)]


def is_wrong(case: dict[str, Any]) -> bool:
    """Whether the outputs of a case were farther from the reference than allowed."""
    return case.get("error") is not None and case["error"] > case["limit"]


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


def _compiled(result: Result, arm: int) -> list[Run]:
    return [run for phase in (CHECK, NOISE, ROUND) for run in result.runs_of(phase, arm)]


def compile_seconds(result: Result, arm: int) -> tuple[float | None, float | None]:
    """Seconds to compile an arm, without and with caches: medians over its processes."""
    names = set(result.headline_cases())

    def median(runs: list[Run]) -> float | None:
        sums = [sum(c["compile_seconds"] for c in r.cases if c["case"] in names) for r in runs]
        return statistics.median(sums) if sums and runs[0].cases else None

    return median(_compiled(result, arm)), median(result.runs_of(WARM, arm))


def _sentence(
    result: Result, arm: int, verdict: str, reasons: list[str], ratio: Interval | None
) -> str:
    name, first = result.arms[arm].name, result.arms[0].name
    if verdict == WRONG:
        of = first if reasons == ["first-arm-wrong"] else name
        wrong = _wrong_cases(result, 0 if of == first else arm)
        worst = max(wrong, key=lambda case: case["error"] / case["limit"])
        return (
            f"The outputs of {of} are wrong: the relative error of {worst['case']} is "
            f"{worst['error']:.1e}, and {worst['limit']:.1e} is allowed. Its times say nothing."
        )
    if verdict == NOT_IN_FORCE:
        asked = reasons == ["gate-not-asked"]
        why = "the gate was never asked" if asked else "its options made no difference"
        return f"{name} changes nothing here: {why}, and the generated code is that of {first}."
    if verdict == FAILED:
        return f"No process of {name} came to its end."
    if ratio is None:
        return f"{name} was not measured."
    if not ratio.known:
        return (
            f"Fewer than {fewest_pairs()} rounds can never show a difference at 95 %; {name} has "
            f"{ratio.pairs}."
        )
    times = f"{name} takes {shown(ratio)} times as long as {first}"
    if verdict == SAME:
        return f"{times}: any difference is under {result.min_effect:.1%}."
    if reasons[0] == "not-confirmed-in-cycles":
        return f"{times}, but not in clock cycles: the GPU ran at another clock."
    if verdict == UNDECIDED:
        needed = pairs_needed(spread(_headline(result, arm), about=ratio.value), result.min_effect)
        more = ""
        if needed and needed > ratio.pairs:
            effect = f"{result.min_effect:.1%}"
            more = f" About {needed} rounds would show {effect} half of the time."
        return f"{times}: that may be no difference.{more}"
    return f"{times}: {'faster' if verdict == FASTER else 'slower'}."


def shown(ratio: Interval) -> str:
    """A ratio with its interval, in the digits that the interval supports."""
    if not ratio.known:
        return f"{ratio.value:.2f}"
    half = max((ratio.high - ratio.low) / 2, 1e-5)
    digits = min(max(math.ceil(-math.log10(half)), 1), 4)
    return f"{ratio.value:.{digits}f} ({ratio.low:.{digits}f} to {ratio.high:.{digits}f})"
