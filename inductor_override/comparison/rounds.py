"""Carries a comparison out, process by process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inductor_override.comparison.arms import Arm, checked
from inductor_override.comparison.environment import environment_of_command
from inductor_override.comparison.errors import ComparisonError
from inductor_override.comparison.figures import is_wrong
from inductor_override.comparison.process import ENV_COMPARING, Processes
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
from inductor_override.comparison.sentences import what_can_be_seen
from inductor_override.comparison.statistics import fewest_pairs
from inductor_override.comparison.verdict import not_in_force
from inductor_override.workload.model import added_to_path

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many processes have ended, and how many there will be."""


def carry_out(
    result: Result,
    keep: Callable[[Result], None],
    *,
    budget: float | None = None,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda text: None,
) -> Result:
    """Run the processes that the result still lacks, and put their answers into it.

    An interrupt ends it early; what there is stays. `ended` says how it ended.

    Args:
        keep: called after each process, to write down what there is.
        notice: told what these rounds can show: before they begin, and once the noise is known.

    Raises:
        ComparisonError: it cannot be compared, or a command cannot be started.
    """
    say = progress or (lambda *step: None)
    question = result.question
    compiles = question.command is None
    if os.environ.get(ENV_COMPARING):
        raise ComparisonError(
            "this is a process of a comparison, whose model is being imported: put the call of "
            "compare() under `if __name__ == '__main__':`"
        )
    result.arms = check_arms(question, result.arms)
    plan = list(steps(len(result.arms), result.rounds, compiles=compiles))
    _drop_what_has_no_partner(result)
    processes = Processes(question, list(added_to_path))
    ends = None if budget is None else time.monotonic() + budget
    result.ended = RUNNING
    if result.rounds < fewest_pairs():
        notice(
            f"{result.rounds} rounds can never show a difference at 95 %; --rounds "
            f"{fewest_pairs()} is the least that can"
        )
    try:
        if compiles:
            say("the reference", 0, len(plan))
            found = processes.reference()
            _check_same_place(result, found["environment"])
            result.layers = found["layers"]
            result.environment = found["environment"]
        else:
            _check_same_place(result, environment_of_command())
            result.environment = environment_of_command()
        for number, step in enumerate(plan):
            if result.done(step) or _needless(result, step):
                continue
            if step.phase == NOISE and (reason := _nothing_to_time(result)):
                result.ended = reason
                break
            if ends is not None and time.monotonic() + _expected(result, step) > ends:
                result.ended = OUT_OF_BUDGET
                break
            if step == Step(ROUND, 0, 0):
                notice(what_can_be_seen(result))
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


def check_arms(question: Question, arms: list[Arm]) -> list[Arm]:
    """The arms as torch knows their options; on the device of the question.

    Raises:
        ComparisonError: there is no such option, or no such device.
    """
    if question.command is not None:
        _check_arms_of_command(arms)
        return arms
    _check_device(question)
    return checked(arms)


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
        train = " --train" if question.train else ""
        return f"--module {question.module}{inputs}{train} --gpu NAME"
    first = question.problems[0]
    alike = [p for p in question.problems if replace(first, m=p.m, k=p.k, n=p.n) == p]
    shapes = " ".join(f"--shape {p.m}x{p.k}x{p.n}" for p in alike[:3])
    batch = f" --batch {first.batch}" if first.batch > 1 else ""
    how = f"--op {first.op}{batch} --dtype {first.dtype} --epilogue {first.epilogue}"
    return f"{shapes} {how} --gpu NAME"


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
    for name in ("device", "torch", "triton", "built"):
        before = result.environment.get(name, now.get(name))
        if before != now.get(name):
            what = "the model" if name == "built" else name
            changed = "" if name == "built" else f": {before} then, {now.get(name)} now"
            raise ComparisonError(
                f"--resume: {what} is not what it was when the comparison began{changed}. The "
                "rounds would not be of one kind; leave --resume out"
            )


def _drop_what_has_no_partner(result: Result) -> None:
    """Drop what an interrupted round has measured: a pair must be measured at one time.

    And a check without its warm process, whose caches are gone.
    """

    def complete(step: Step) -> bool:
        if step.phase == CHECK:
            return result.done(Step(WARM, step.arm)) or step.arm in _bad(result)
        if step.phase == NOISE:
            return all(result.done(Step(NOISE, 0, step.round, half)) for half in (0, 1))
        if step.phase == ROUND:
            needed = [n for n in range(len(result.arms)) if not _needless(result, Step(ROUND, n))]
            return all(result.done(Step(ROUND, arm, step.round)) for arm in needed)
        return True

    result.runs = [run for run in result.runs if run.failed is None and complete(run.step)]


def _bad(result: Result) -> set[int]:
    """The arms that cannot be compiled, or are wrong."""
    return {
        run.step.arm
        for run in result.runs
        if (run.step.phase == CHECK and run.failed is not None) or any(map(is_wrong, run.cases))
    }


def _needless(result: Result, step: Step) -> bool:
    """Whether a process could tell nothing: its arm or the first is bad, or changes nothing."""
    if _bad(result) & {0, step.arm}:
        return step.phase != CHECK
    return step.phase == ROUND and not_in_force(result, step.arm) is not None


def _nothing_to_time(result: Result) -> str | None:
    """How the comparison ends if no second arm is left to be timed; None if one is."""
    others = range(1, len(result.arms))
    if all(not_in_force(result, arm) for arm in others):
        return NOTHING_IN_FORCE
    bad = _bad(result)
    if 0 in bad or all(arm in bad or not_in_force(result, arm) for arm in others):
        return DONE
    return None


def _expected(result: Result, step: Step) -> float:
    """How long the next process will take: as long as the last of its kind.

    The first that is timed takes as long as a check, and the time of its samples twice.
    """
    same = [run.seconds for run in result.runs if run.step.timed == step.timed]
    if not same and step.timed and result.runs:
        return result.runs[-1].seconds + 2 * result.question.seconds
    return same[-1] if same else 0.0


def _words(step: Step, result: Result) -> str:
    name = result.arms[step.arm].name
    if step.phase == NOISE:
        return f"noise: {name} against itself"
    if step.phase == ROUND:
        return f"round {step.round + 1} of {result.rounds}: {name}"
    return f"{step.phase}: {name}"
