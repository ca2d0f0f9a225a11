"""Carries a comparison out, process by process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from inductor_override.comparison.arms import Arm, checked
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.process import Processes
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import (
    DONE,
    INTERRUPTED,
    NOTHING_IN_FORCE,
    OUT_OF_BUDGET,
    RUNNING,
    Result,
)
from inductor_override.comparison.schedule import CHECK, NOISE, ROUND, WARM, Step, steps
from inductor_override.comparison.verdict import is_wrong, not_in_force
from inductor_override.workload.model import added_to_path

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many processes have ended, and how many there will be."""


def carry_out(
    result: Result,
    keep: Callable[[Result], None],
    *,
    budget: float | None = None,
    progress: Progress | None = None,
) -> Result:
    """Run the processes that the result still lacks, and put their answers into it.

    An interrupt ends it early; what there is stays. `ended` says how it ended.

    Args:
        keep: called after each process, to write down what there is.

    Raises:
        ComparisonError: it cannot be compared, or a command cannot be started.
    """
    say = progress or (lambda *step: None)
    question = result.question
    compiles = question.command is None
    if compiles:
        _check_device(question)
        result.arms = checked(result.arms)
    else:
        _check_arms_of_command(result.arms)
    plan = list(steps(len(result.arms), result.rounds, compiles=compiles))
    processes = Processes(question, list(added_to_path))
    ends = None if budget is None else time.monotonic() + budget
    result.ended = RUNNING
    try:
        if compiles:
            say("the reference", 0, len(plan))
            found = processes.reference()
            _check_same_place(result, found["environment"])
            result.layers = found["layers"]
            result.environment = found["environment"]
        for number, step in enumerate(plan):
            if _is_done(result, step) or _needless(result, step):
                continue
            if step.phase == NOISE and _nothing_in_force(result):
                result.ended = NOTHING_IN_FORCE
                break
            if ends is not None and time.monotonic() + _expected(result, step) > ends:
                result.ended = OUT_OF_BUDGET
                break
            say(_words(step, result), number, len(plan))
            result.runs = [run for run in result.runs if run.step != step]
            result.runs.append(processes.run(step, result.arms[step.arm]))
            keep(result)
        else:
            result.ended = DONE
    except KeyboardInterrupt:
        result.ended = INTERRUPTED
    finally:
        processes.close()
    keep(result)
    return result


def _check_device(question: Question) -> None:
    if question.device == "cpu":
        return
    import torch

    if not torch.cuda.is_available():
        raise ComparisonError(
            "there is no CUDA GPU here, and nothing is timed on a simulated one. What the override "
            f"opens on a GPU that is not here: inductor-override explain {_explain(question)}. To "
            "compare on the CPU, where the gate plays no part: --device cpu"
        )


def _explain(question: Question) -> str:
    if question.module is not None:
        inputs = "".join(f" --input '{each}'" for each in question.inputs)
        return f"--module {question.module}{inputs} --gpu NAME"
    shapes = " ".join(f"--shape {p.m}x{p.k}x{p.n}" for p in question.problems[:3])
    return f"{shapes} --op {question.problems[0].op} --gpu NAME"


def _check_arms_of_command(arms: list[Arm]) -> None:
    if len(arms) < 2:
        raise ComparisonError("a comparison takes two arms or more; write --arm for each")
    for arm in arms:
        if arm.mode is not None or arm.precision is not None:
            raise ComparisonError(
                f"--arm {arm.name!r}: mode and precision are the command's own; an arm of a "
                "command takes min_sms and options of Inductor"
            )
        if arm.options and arm.min_sms is None:
            raise ComparisonError(
                f"--arm {arm.name!r}: options reach a command along with min_sms only; write "
                f"min_sms=0,{arm.name}"
            )


def _check_same_place(result: Result, now: dict[str, Any]) -> None:
    for name in ("device", "torch", "triton"):
        before = result.environment.get(name, now[name])
        if before != now[name]:
            raise ComparisonError(
                f"--resume: {name} was {before} when the comparison began, and is {now[name]} now; "
                "its rounds would not be of one kind"
            )


def _is_done(result: Result, step: Step) -> bool:
    # Without its warm process a check has to be made anew: its caches are gone.
    warm = step.phase != CHECK or result.done(Step(WARM, step.arm))
    return result.done(step) and warm


def _needless(result: Result, step: Step) -> bool:
    """Whether a process could tell nothing.

    Its arm, or the first, cannot be compiled or is wrong; or it would change nothing.
    """
    bad = {
        run.step.arm
        for run in result.runs
        if run.step.phase == CHECK and (run.failed is not None or any(map(is_wrong, run.cases)))
    }
    if bad & {0, step.arm}:
        return step.phase != CHECK
    return step.phase == ROUND and not_in_force(result, step.arm) is not None


def _nothing_in_force(result: Result) -> bool:
    return all(not_in_force(result, arm) for arm in range(1, len(result.arms)))


def _expected(result: Result, step: Step) -> float:
    """How long the next process will take: as long as the last of its kind."""
    same = [run.seconds for run in result.runs if run.step.timed == step.timed]
    return same[-1] if same else 0.0


def _words(step: Step, result: Result) -> str:
    name = result.arms[step.arm].name
    if step.phase == NOISE:
        return f"noise: {name} against itself"
    if step.phase == ROUND:
        return f"round {step.round + 1} of {result.rounds}: {name}"
    return f"{step.phase}: {name}"
