"""The process with the simulated GPU: lowers without and with the override, then compiles.

Reads one JSON object from standard input. Writes JSON objects to standard output, a line each, as
soon as each is known.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import pickle
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NoReturn

import inductor_override
from inductor_override.catalogue import Gpu
from inductor_override.simulation import (
    NotCompiledError,
    SimulationError,
    UnknownTorchError,
    gate_is_open,
    gate_threshold,
    install_gpu,
    lower_graphs,
)
from inductor_override.simulation.for_cuda import CudaGraph, for_cuda
from inductor_override.simulation.lowering import trace
from inductor_override.simulation.machine_code import MachineCode, compile_kernel
from inductor_override.simulation.result import CandidateKernel
from inductor_override.workload.errors import WorkloadError
from inductor_override.workload.problem import Problem

ARMS = ("stock", "override")
_CONTEXT: Any = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
_request: dict[str, Any] = {}
"""For the processes that are forked from this one."""


def lower_arm(number: int, arm: str) -> dict[str, Any]:
    """Lower all graphs for one GPU, without or with the override."""
    gpu = install_gpu(_gpu(number))
    found: dict[str, Any] = {"kind": "lowered", "gpu": number, "arm": arm, "consulted": 0}
    options, min_sms = _request["options"], _request["min_sms"]
    try:
        groups = list(_groups(gpu))
        if arm == "stock":
            lowered = [each for group in groups for each in lower_graphs(group, options=options)]
            found |= {"open": gate_is_open(), "required_sms": gate_threshold()}
        else:
            with inductor_override.override(min_sms=min_sms) as scope:
                lowered = [e for group in groups for e in lower_graphs(group, options=options)]
                found["consulted"] = scope.consulted
                found |= {"open": gate_is_open(), "required_sms": min_sms}
    except NotCompiledError as error:
        return {**found, "kind": "not-compiled", "message": str(error)}
    except SimulationError as error:
        return {"kind": "failed", "error": type(error).__name__, "message": str(error)}
    except WorkloadError as error:
        return {"kind": "failed", "error": "NotCapturedError", "message": str(error)}
    found["graphs"] = [each.to_dict() for each in lowered]
    found["notes"] = _notes()
    return found


def compile_one(number: int, key: str, kernel: dict[str, Any]) -> dict[str, Any]:
    """Compile one candidate for one GPU."""
    install_gpu(_gpu(number))
    candidate = CandidateKernel(**{**kernel, "tile": tuple(kernel["tile"])})
    code = compile_kernel(key, candidate, Path(_request["cache_folder"]))
    return {"kind": "compiled", "gpu": number, "key": key, "code": code.to_dict()}


def _groups(gpu: Gpu) -> Iterator[list[CudaGraph]]:
    """The graphs that belong together: those of the model, or one product."""
    if _request["graph_file"]:
        captured = pickle.loads(Path(_request["graph_file"]).read_bytes())
        yield for_cuda(captured, gpu.compute_capability, train=_request["train"])
    for each in _request["problems"]:
        problem = Problem(**each)
        yield [trace(problem.compute, problem.sizes, problem.dtype)]


def _gpu(number: int) -> Gpu:
    facts = _request["gpus"][number]
    return Gpu(**{**facts, "compute_capability": tuple(facts["compute_capability"])})


def _notes() -> list[tuple[str, str]]:
    """What this torch does with candidates that do not fit or spill, read from torch itself."""
    from torch._inductor import config

    notes = [
        (
            "spilled",
            "A candidate with more than 8 spilled registers (32 bytes) can win, but its epilogue "
            "is then not fused.",
        )
    ]
    if getattr(config, "max_autotune_prune_choices_based_on_shared_mem", False):
        text = "This torch drops candidates that it takes for too large before it times any."
        notes.append(("large", text))
    heuristics = sys.modules.get("torch._inductor.runtime.triton_heuristics")
    if hasattr(getattr(heuristics, "CachingAutotuner", None), "compile_by_disabling_pipelining"):
        text = (
            "This torch compiles a candidate that does not fit once more, with one stage: that "
            "makes tuning longer."
        )
        notes.append(("large", text))
    return notes


def answers() -> Generator[dict[str, Any], None, None]:
    """Everything that becomes known, as soon as it is."""
    tasks = [(number, arm) for number in range(len(_request["gpus"])) for arm in ARMS]
    kernels: dict[tuple[Any, str], tuple[int, dict[str, Any]]] = {}
    for answer in _each_in_a_process(lower_arm, tasks, _ended_lowering):
        yield answer
        if answer["kind"] == "lowered" and answer["arm"] == "override":
            target = _gpu(answer["gpu"]).compute_capability
            for graph in answer["graphs"]:
                for key, kernel in graph["candidate_kernels"].items():
                    kernels.setdefault((target, key), (answer["gpu"], kernel))
    if not _request["compile"]:
        return
    yield {"kind": "to-compile", "count": len(kernels)}
    waiting = {(number, key): kernel for (_, key), (number, kernel) in kernels.items()}
    try:
        with ProcessPoolExecutor(_request["workers"], _CONTEXT) as pool:
            compiling = [pool.submit(compile_one, *task, waiting[task]) for task in waiting]
            for done in as_completed(compiling):
                answer = done.result()
                yield answer
                del waiting[answer["gpu"], answer["key"]]
    except BrokenProcessPool:  # Triton's compiler has ended a process: which candidate's?
        left = [(*task, kernel) for task, kernel in waiting.items()]
        yield from _each_in_a_process(compile_one, left, _ended_by_the_compiler)


def _ended_by_the_compiler(task: Any, exitcode: int) -> dict[str, Any]:
    number, key, _ = task
    code = MachineCode(error=f"Triton's compiler ended its process (exit {exitcode})")
    return {"kind": "compiled", "gpu": number, "key": key, "code": code.to_dict()}


def _ended_lowering(task: Any, exitcode: int) -> NoReturn:
    raise RuntimeError(f"lowering ended with exit {exitcode}")


def _each_in_a_process(
    function: Callable[..., dict[str, Any]],
    tasks: list[Any],
    ended: Callable[[Any, int], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Call `function` for each task in a process of its own, as many at a time as there are cores.

    Inductor keeps generated code under keys without the GPU: a process lowers for one GPU only.

    Args:
        ended: answers for a task whose process has ended without an answer.
    """
    waiting = list(tasks)
    running: dict[Any, Any] = {}
    while waiting or running:
        while waiting and len(running) < _request["workers"]:
            here, there = _CONTEXT.Pipe(duplex=False)
            task = waiting.pop(0)
            process = _CONTEXT.Process(target=_send, args=(there, function, task))
            process.start()
            there.close()
            running[here] = process, task
        ready: Any
        for ready in multiprocessing.connection.wait(list(running)):
            process, task = running.pop(ready)
            try:
                answer = ready.recv()
            except EOFError:
                process.join()
                answer = ended(task, process.exitcode)
            process.join()
            yield answer


def _send(connection: Any, function: Callable[..., dict[str, Any]], task: Any) -> None:
    connection.send(function(*task))


def _check_torch() -> None:
    """Raises UnknownTorchError. Before torch alone is asked: it would fail on its own terms."""
    try:
        inductor_override.enable()
    except inductor_override.UnsupportedTorchError as error:
        raise UnknownTorchError(str(error)) from None
    inductor_override.disable()


def main() -> None:
    # Whatever prints from here on does not end up in the answers.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    _request.update(json.load(sys.stdin))
    # Last, and not by PYTHONPATH: the model's folder may have a types.py.
    sys.path += _request["path"]
    with output, contextlib.ExitStack() as stack:
        try:
            install_gpu(_gpu(0))
            _check_torch()
            if _request["float32_precision"]:
                import torch

                torch.set_float32_matmul_precision(_request["float32_precision"])
            found = stack.enter_context(contextlib.closing(answers()))
            for answer in found:
                print(json.dumps(answer), file=output, flush=True)
        except SimulationError as error:
            failed = {"kind": "failed", "error": type(error).__name__, "message": str(error)}
            print(json.dumps(failed), file=output, flush=True)


if __name__ == "__main__":
    main()
