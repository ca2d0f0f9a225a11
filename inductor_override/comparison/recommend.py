"""From a result file to the line that a script should have, or to leaving it alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from inductor_override.comparison.arms import Arm
from inductor_override.comparison.figures import compile_seconds
from inductor_override.comparison.result import Result
from inductor_override.comparison.schedule import CHECK
from inductor_override.comparison.sentences import FASTER, calls, shown
from inductor_override.comparison.verdict import Judged, judge
from inductor_override.request.names import ENV_OPTION

_PATIENCE = 300
"""Seconds: the default of `torch._inductor.config.precompilation_timeout_seconds`, 2.13 on."""


@dataclass(frozen=True)
class Recommendation:
    """What to do, and why.

    Attributes:
        arm: the arm to deploy; None: leave it alone.
        text: one sentence, with the figure behind it.
        python: the lines for a script; empty where there is nothing to write.
        environment: the same for a program that cannot be edited, as NAME=VALUE words.
        remarks: what else matters on this GPU with this torch, each with its reason.
    """

    arm: str | None
    text: str
    python: str = ""
    environment: str = ""
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        return {"schema": 1, **asdict(self), "remarks": list(self.remarks)}


def recommend(result: Result) -> Recommendation:
    """The fastest arm that is called FASTER, or to leave it alone."""
    judged = judge(result)
    faster = [(each, result.arms[n]) for n, each in enumerate(judged, 1) if each.verdict == FASTER]
    remarks = tuple(_remarks(result))
    if not faster:
        return Recommendation(None, _why_not(judged), remarks=remarks)
    best, arm = min(faster, key=lambda each: each[0].ratio.value if each[0].ratio else 1.0)
    assert best.ratio is not None
    text = f"Use {best.name}: it takes {shown(best.ratio)} times as long as {result.arms[0].name}"
    if best.break_even:
        text += f", and its longer compilation is paid for after {calls(best.break_even)}"
    mode = arm.mode or result.question.base_mode
    own = result.question.command is not None
    return Recommendation(
        best.name,
        f"{text}.",
        "" if own else _python(arm, mode),
        _environment(arm, own, result),
        remarks,
    )


def _why_not(judged: list[Judged]) -> str:
    if not judged:
        return "Leave it alone: nothing was compared."
    verdicts = ", ".join(f"{each.name} is {each.verdict}" for each in judged)
    if any(each.verdict == "UNDECIDED" for each in judged):
        return (
            f"Leave it alone for now: no arm was shown to be faster ({verdicts}). More rounds may "
            "decide (compare --resume --rounds N; decide on N before you look)."
        )
    return f"Leave it alone: no arm is faster ({verdicts})."


def _python(arm: Arm, mode: str) -> str:
    lines = []
    if arm.precision is not None:
        lines.append(f"torch.set_float32_matmul_precision({arm.precision!r})")
    options = "".join(f", {name}={value!r}" for name, value in arm.options.items())
    if any("." in name for name in arm.options):
        options = f", **{arm.options!r}"
    if arm.min_sms is not None:
        call = f"inductor_override.options({mode!r}, min_sms={arm.min_sms}{options})"
        lines = ["import inductor_override", *lines, f"options = {call}"]
    elif arm.options:
        lines.append(
            f"options = {{**torch._inductor.list_mode_options({mode!r}), **{arm.options!r}}}"
        )
    else:
        return "\n".join([*lines, f"model = torch.compile(model, mode={mode!r})"])
    lines.append("model = torch.compile(model, options=options)")
    return "\n".join(lines)


def _environment(arm: Arm, own: bool, result: Result) -> str:
    """Without editing: the variable; `run` where there are options too, or before torch 2.5."""
    if arm.min_sms is None or arm.mode is not None or arm.precision is not None:
        return ""
    # What the modes max-autotune-no-cudagraphs and max-autotune switch on.
    tune = "" if own else "TORCHINDUCTOR_MAX_AUTOTUNE=1 TORCHINDUCTOR_COORDINATE_DESCENT_TUNING=1 "
    tune += "TORCHINDUCTOR_CUDAGRAPHS=1 " if result.question.cudagraphs else ""
    if not arm.options and _release(result.environment.get("torch", "")) >= (2, 5):
        return f"{tune}{ENV_OPTION}={arm.min_sms}"
    settings = "".join(f"{shlex.quote(f'--set={k}={v!r}')} " for k, v in arm.options.items())
    return f"{tune}inductor-override run --min-sms {arm.min_sms} {settings}-- COMMAND"


def _remarks(result: Result) -> list[str]:
    """What matters on this GPU, read from what was measured and from the release."""
    found = []
    failed = max(
        (
            sum(tuned["failed"] for case in run.cases for tuned in case["observed"]["tuned"])
            for run in result.runs
            if run.step.phase == CHECK
        ),
        default=0,
    )
    if failed and _release(result.environment.get("torch", "")) >= (2, 11):
        found.append(
            f"{failed} candidates could not be run, and their compilation is part of the tuning. "
            "max_autotune_prune_choices_based_on_shared_mem=True (on by default in torch 2.9 and "
            "2.10 only) drops what torch takes for too large; torch's estimate counts one stage "
            "too many, so some that would run are dropped, too: try it as an arm"
        )
    convolves = any("conv" in tuned["op"] for tuned in _tuned(result))
    lists = {name for arm in result.arms for name in arm.options if name.endswith("_backends")}
    if convolves and lists == {"max_autotune_gemm_backends"}:
        found.append(
            "convolutions were tuned, and max_autotune_gemm_backends says nothing of them: their "
            "list is max_autotune_conv_backends. Name both in an arm"
        )
    slowest = max(compile_seconds(result, arm)[0] or 0 for arm in range(len(result.arms)))
    if slowest >= _PATIENCE and _release(result.environment.get("torch", "")) >= (2, 13):
        found.append(
            f"an arm compiled for {slowest:.0f} s. Inductor waits {_PATIENCE} s for the candidates "
            "of one operation (in torch 2.9 it was an hour), and takes what is compiled by then: "
            "precompilation_timeout_seconds sets how long"
        )
    precisions = {arm.precision for arm in result.arms}
    if len(precisions) > 1:
        found.append(
            "the arms differ in float32 precision, so in their numbers too: TF32 keeps 10 bits of "
            "the mantissa. Compare the other options with the same precision in all arms"
        )
    if result.question.device == "cuda":
        unknown = next(
            (c["clocks"]["why_not"] for r in result.runs for c in r.cases if _no_clock(c)), None
        )
        if unknown:
            found.append(f"clocks were not watched: {unknown}")
    return found


def _tuned(result: Result) -> Iterator[dict[str, Any]]:
    for run in result.runs:
        for case in run.cases:
            yield from case["observed"]["tuned"]


def _no_clock(case: dict[str, Any]) -> bool:
    return bool(case.get("clocks", {}).get("why_not"))


def _release(version: str) -> tuple[int, ...]:
    parts = version.partition("+")[0].split(".")[:2]
    return tuple(int(part) for part in parts if part.isdigit())
