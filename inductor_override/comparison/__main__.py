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
from inductor_override.comparison.cases import (
    WHOLE,
    Case,
    layers_of,
    make_cases,
    product_case,
)
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
    layers = layers_of(cases[0]) if question.layers and question.module else []
    for number, case in enumerate([*cases, *(product_case(p, question.device) for p in layers)]):

        def step(module: Any, args: Any, kwargs: Any, case: Case = case) -> list[Any]:
            raised = Case(case.name, module, args, kwargs, case.train)
            return raised.outputs(module)

        correctness.make_reference(case.module, step, case.args, case.kwargs, _file(folder, number))
    return {
        "kind": "reference",
        "layers": [asdict(each) for each in layers],
        "environment": environment(question.device),
        "vector_code": question.device == "cpu" and vector_code_can_be_compiled(),
    }


def measure(request: dict[str, Any], question: Question, arm: Arm) -> Iterator[dict[str, Any]]:
    """Compile each case as the arm says, check it, and time it if that is asked for."""
    import torch

    if arm.precision is not None:
        torch.set_float32_matmul_precision(arm.precision)
    layers = [Problem(**each) for each in request["layers"]]
    cases = make_cases(question)
    cases += [product_case(each, question.device) for each in layers]
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
    import torch._inductor.config as config

    torch._dynamo.reset()
    mode = arm.mode or question.base_mode
    call = torch.compile(case.module, mode=None if mode == "default" else mode)
    scope: Any = config.patch(arm.options) if arm.options else nullcontext()
    if arm.min_sms is not None:
        scope = inductor_override.override(min_sms=arm.min_sms, **arm.options)
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
    own = correctness.fingerprint(case.module, case.args, case.kwargs)
    if case.name == WHOLE and own != right["fingerprint"]:
        raise WorkloadError(
            "the model or its inputs differ from process to process, so arms cannot be compared: "
            "seed whatever makes them (torch, numpy and random are seeded)"
        )
    if not right["repeatable"]:
        return {"error": None, "limit": None, "reference": "random"}
    eager = correctness.error(case.outputs(case.module), right["outputs"])
    compiled = correctness.error(case.outputs(call), right["outputs"])
    parameter = next(iter((*case.module.parameters(), *case.args)), None)
    dtype = str(getattr(parameter, "dtype", "")).removeprefix("torch.")
    return {
        "error": compiled,
        "limit": correctness.limit(eager, dtype),
        "reference": right["dtype"],
    }


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
