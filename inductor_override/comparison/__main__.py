"""One process of a comparison: builds the case, compiles it as one arm says, checks, and times it.

Reads one JSON object from standard input. Writes JSON objects to standard output, a line each.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import inductor_override
from inductor_override.comparison import correctness
from inductor_override.comparison.arms import Arm
from inductor_override.comparison.cases import Case, layers_of, make_cases, product_case
from inductor_override.comparison.clocks import Clocks
from inductor_override.comparison.environment import environment, vector_code_can_be_compiled
from inductor_override.comparison.observed import observing
from inductor_override.comparison.question import Question
from inductor_override.comparison.timing import sample
from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.model import users_frames
from inductor_override.workload.problem import Problem


def reference(question: Question, folder: Path) -> dict[str, Any]:
    """Compute what is right, without compiling; list the model's products if they are asked for."""
    cases = make_cases(question)
    built = _fingerprints(cases)
    layers = layers_of(cases[0]) if question.layers and question.module else []
    for number, case in enumerate([*cases, *(product_case(p, question.device) for p in layers)]):

        def step(module: Any, args: Any, kwargs: Any, case: Case = case) -> correctness.Groups:
            return Case(case.name, module, args, kwargs, case.train).outputs(module)

        correctness.make_reference(case.module, step, case.args, case.kwargs, _file(folder, number))
    return {
        "kind": "reference",
        "layers": [asdict(each) for each in layers],
        "environment": environment(question.device) | {"built": built},
        "vector_code": question.device == "cpu" and vector_code_can_be_compiled(),
    }


def measure(request: dict[str, Any], question: Question, arm: Arm) -> Iterator[dict[str, Any]]:
    """Compile each case as the arm says, check it, and time it if that is asked for."""
    import torch
    import torch._inductor.config

    if arm.precision is not None:
        torch.set_float32_matmul_precision(arm.precision)
    if request["vector_code"]:
        torch._inductor.config.cpp.vec_isa_ok = True
    cases = make_cases(question)
    if _fingerprints(cases) != request["built"]:
        raise WorkloadError(
            "the model or its inputs differ from process to process, so arms cannot be compared: "
            "seed whatever makes them (torch, numpy and random are seeded)"
        )
    cases += [product_case(Problem(**each), question.device) for each in request["layers"]]
    for number, case in enumerate(cases):
        yield {"kind": "case", "case": case.name, **_measured(case, number, request, question, arm)}


def _measured(
    case: Case, number: int, request: dict[str, Any], question: Question, arm: Arm
) -> dict[str, Any]:
    call, found = _compiled(case, question, arm)
    found |= _checked(case, call, _file(Path(request["folder"]), number))
    if request["timed"]:
        clocks = Clocks(question.device)
        found |= sample(
            lambda: case.step(call), question.device, question.seconds, clocks.after_sample
        ).to_dict()
        found["clocks"] = clocks.to_dict()
    return found


def _compiled(case: Case, question: Question, arm: Arm) -> tuple[Any, dict[str, Any]]:
    """The compiled module, and what was seen meanwhile."""
    import torch
    import torch._inductor

    torch._dynamo.reset()
    # Not mode=: torch would put the mode's options over the arm's own.
    options = {**torch._inductor.list_mode_options(arm.mode or question.base_mode), **arm.options}
    call = torch.compile(case.module, options=options)
    scope: Any = nullcontext()
    if arm.min_sms is not None:
        scope = inductor_override.override(min_sms=arm.min_sms)
    began = time.perf_counter()
    with observing() as seen, scope:
        case.step(call)
        if question.device == "cuda":
            torch.cuda.synchronize()
    asked = (
        {"asked": scope.consulted, "let_through": scope.passed} if arm.min_sms is not None else {}
    )
    return call, {
        "compile_seconds": round(time.perf_counter() - began, 3),
        "gate": asked,
        "observed": seen.to_dict(),
    }


def _checked(case: Case, call: Any, path: Path) -> dict[str, Any]:
    """How far the compiled outputs are from the reference, and how far they may be."""
    right = correctness.load_reference(path)
    unchecked = {"error": None, "limit": None, "reference": right["why_not"]}
    if right["groups"] is None:
        return unchecked
    own = correctness.errors(case.outputs(case.module), right["groups"])
    found = correctness.errors(case.outputs(call), right["groups"])
    parameter = next(iter((*case.module.parameters(), *case.args)), None)
    dtype = str(getattr(parameter, "dtype", "")).removeprefix("torch.")
    worst = correctness.worst(found, own, dtype)
    if worst is None:
        return {**unchecked, "reference": "the model overflows without compiling, too"}
    return {"error": worst[0], "limit": worst[1], "reference": right["dtype"]}


def _fingerprints(cases: list[Case]) -> list[list[float]]:
    return [correctness.fingerprint(each.module, each.args, each.kwargs) for each in cases]


def _file(folder: Path, number: int) -> Path:
    return folder / f"reference{number}.pt"


@contextmanager
def _answers() -> Iterator[Any]:
    """Standard output for answers alone: what the user's own code prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with answers:
        yield lambda answer: print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Answer the request on standard input."""
    request = json.load(sys.stdin)
    sys.path += request["path"]
    os.chdir(request["cwd"])
    question, folder = Question.from_dict(request["question"]), Path(request["folder"])
    with _answers() as answer:
        try:
            if request["phase"] == "reference":
                answer(reference(question, folder))
            else:
                for each in measure(request, question, Arm(**request["arm"])):
                    answer(each)
        except WorkloadError as error:
            failed = {"message": str(error), "detail": error.detail, "workload": True}
            answer({"kind": "failed", **failed})
        except Exception as error:
            first = str(error).strip().splitlines()
            message = f"{type(error).__name__}: {first[0] if first else ''}"
            answer({"kind": "failed", "message": message, "detail": users_frames(error)})


if __name__ == "__main__":
    main()
