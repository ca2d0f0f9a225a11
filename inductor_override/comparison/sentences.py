"""What is said of an arm and of the machine: one sentence each."""

from __future__ import annotations

import math

from inductor_override.comparison.figures import headline_pairs, noise, wrong_cases
from inductor_override.comparison.result import Result
from inductor_override.comparison.statistics import Interval, fewest_pairs, pairs_needed, spread

FASTER, SLOWER, SAME, UNDECIDED = "FASTER", "SLOWER", "SAME", "UNDECIDED"
WRONG, NOT_IN_FORCE, FAILED = "WRONG", "NOT IN FORCE", "FAILED"
_TOO_NOISY = 0.5


def sentence(
    result: Result, arm: int, verdict: str, reasons: list[str], ratio: Interval | None
) -> str:
    """What a verdict says of an arm, with its figures."""
    name, first = result.arms[arm].name, result.arms[0].name
    if verdict == WRONG:
        of = first if reasons == ["first-arm-wrong"] else name
        wrong = wrong_cases(result, 0 if of == first else arm)
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
        return f"No round has times of {first} and of {name}: a process of one of them failed."
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
        needed = pairs_needed(
            spread(headline_pairs(result, arm), about=ratio.value), result.min_effect
        )
        more = ""
        if needed and needed > ratio.pairs:
            effect = f"{result.min_effect:.1%}"
            more = f" About {needed} rounds would show {effect} half of the time."
        return f"{times}: that may be no difference.{more}"
    return f"{times}: {'faster' if verdict == FASTER else 'slower'}."


def what_can_be_seen(result: Result) -> str:
    """The noise of this machine, and what the rounds that were asked for can show there."""
    found = noise(result)
    if found["spread"] is None:
        return "Noise of this machine: not measured."
    line = (
        f"Noise of this machine: two processes of {result.arms[0].name} differ by "
        f"{found['spread']:.1%} (one standard deviation, {found['pairs']} pairs)"
    )
    if found["spread"] > _TOO_NOISY:
        return f"{line}. That is too much to compare anything: something else keeps it busy."
    if found["smallest_effect"] is not None:
        line += (
            f"; {result.rounds} rounds show a difference of {found['smallest_effect']:.1%} about "
            "half of the time"
        )
        needed = pairs_needed(found["spread"], result.min_effect)
        if found["smallest_effect"] > result.min_effect and needed:
            line += f", {needed} rounds one of {result.min_effect:.1%}"
    return f"{line}."


def calls(number: int) -> str:
    """`1 call`, `1,200 calls`."""
    return f"{number:,} call{'' if number == 1 else 's'}"


def shown(ratio: Interval) -> str:
    """A ratio with its interval, in the digits that the interval supports."""
    if not ratio.known:
        return f"{ratio.value:.2f}"
    half = max((ratio.high - ratio.low) / 2, 1e-5)
    digits = min(max(math.ceil(-math.log10(half)), 1), 4)
    return f"{ratio.value:.{digits}f} ({ratio.low:.{digits}f} to {ratio.high:.{digits}f})"
