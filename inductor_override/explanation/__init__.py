"""Whether there is anything in it for a model on a GPU, without that GPU.

from inductor_override.explanation import explain

report = explain(MyModel, (torch.randn(8, 1024),), gpu="RTX 3060")
report.verdicts          # {"NVIDIA GeForce RTX 3060": "worth-trying"}
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inductor_override import catalogue
from inductor_override.catalogue import Gpu
from inductor_override.explanation import process
from inductor_override.explanation.assembly import Assembly
from inductor_override.explanation.report import Report
from inductor_override.request.min_sms import check_min_sms
from inductor_override.simulation import toolchain
from inductor_override.workload.capture import capture
from inductor_override.workload.model import added_to_path, build
from inductor_override.workload.problem import Problem

__all__ = ["Explanation", "Problem", "Report", "explain"]


class Explanation(Report):
    """A report that prints, and writes its page."""

    def __str__(self) -> str:
        """What the command line prints."""
        from inductor_override.explanation.text import as_text

        return as_text(self)

    def write_page(self, path: str | Path) -> None:
        """Write the page that `--html` writes.

        Raises:
            OSError: the file cannot be written.
        """
        from inductor_override.explanation.page import write_page

        write_page(self, Path(path))


Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def explain(
    model_or_problem: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    gpu: str | Gpu | Sequence[str | Gpu] = "RTX 3060",
    train: bool = False,
    dynamic: bool = False,
    dtype: str | None = None,
    min_sms: int = 0,
    options: Mapping[str, Any] | None = None,
    compile_candidates: bool = True,
    progress: Progress | None = None,
) -> Explanation:
    """Say what the gate holds back, what the override opens, and what of it can work on a GPU.

    A model is captured in this process, on the `meta` device, so its weights take no memory; it
    is lowered, and its candidate kernels are compiled, in processes of their own.

    Args:
        model_or_problem: a module, a class of modules, a function that returns a module or
            `(module, args[, kwargs])`, a Problem, or a list of Problems.
        args: what the model is called with. The values of tensors do not matter.
        kwargs: the same, by name.
        gpu: one or more, by the names of the catalogue, or as Gpu.
        train: the forward and the backward graph of a training step.
        dynamic: a symbolic batch, the first size of each input.
        dtype: what the model's floating-point parameters and inputs are cast to; None leaves them.
        min_sms: the override's threshold.
        options: further options of `torch._inductor.config`, on both sides.
        compile_candidates: compile every candidate; without it nothing is known of shared memory,
            spills and Tensor Cores.
        progress: told how far it is.

    Raises:
        WorkloadError: the model or its inputs cannot be used.
        UnknownGpuError: no GPU, or several, have that name.
        ToolchainError: torch or Triton is missing, or not the one that the other wants.
        SimulationError: torch cannot lower it; ChildFailed if the process ended before its time.
    """
    wanted = [gpu] if isinstance(gpu, (str, Gpu)) else list(gpu)
    gpus = [each if isinstance(each, Gpu) else catalogue.find(each) for each in wanted]
    found = toolchain.check()
    if not _is_problem(model_or_problem):
        toolchain.check_models(found.torch)
    say = progress or (lambda *step: None)
    with tempfile.TemporaryDirectory(prefix="inductor-override-graph-") as folder:
        graph_file, problems, what = None, [], ""
        notes: tuple[str, ...] = ()
        if _is_problem(model_or_problem):
            problems = (
                [model_or_problem]
                if isinstance(model_or_problem, Problem)
                else list(model_or_problem)
            )
            what = problems[0].text if len(problems) == 1 else f"{len(problems)} problems"
        else:
            say("capturing the model", 0, 1)
            model = build(model_or_problem, args, kwargs, dtype=dtype, train=train)
            what, notes = model.name, _of_fast_paths(model.module, train=train)
            graph_file = os.path.join(folder, "graph")
            Path(graph_file).write_bytes(pickle.dumps(capture(model, dynamic=dynamic)))
            del model
        assembly = Assembly(
            Explanation(
                torch=found.torch,
                triton=found.triton,
                what=what,
                train=train,
                dynamic=dynamic,
                min_sms=check_min_sms(min_sms),
                options=dict(options or {}),
                flops=0,
                problems=(),
                gpus=(),
            ),
            gpus,
        )
        request = {
            "gpus": [dataclasses.asdict(each) for each in gpus],
            "graph_file": graph_file,
            "problems": [dataclasses.asdict(each) for each in problems],
            "train": train,
            "min_sms": min_sms,
            "options": dict(options or {}),
            "float32_precision": _float32_precision(),
            "path": list(added_to_path),
            "compile": compile_candidates and toolchain.captures_models(found.torch),
            "cache_folder": str(_cache_folder()),
            "workers": os.cpu_count() or 1,
        }
        say(*assembly.progress)
        try:
            for answer in process.run(request):
                assembly.add(answer)
                say(*assembly.progress)
        except KeyboardInterrupt:
            if not assembly.lowered:
                raise
    report = assembly.report()
    assert isinstance(report, Explanation)
    columns = (dataclasses.replace(each, notes=(*notes, *each.notes)) for each in report.gpus)
    return dataclasses.replace(report, gpus=tuple(columns))


def _of_fast_paths(module: Any, *, train: bool) -> tuple[str, ...]:
    """A note where Dynamo would capture what `torch.export` does not."""
    import torch

    layer = torch.nn.TransformerEncoderLayer
    if train or not any(isinstance(each, layer) for each in module.modules()):
        return ()
    return (
        "The model contains nn.TransformerEncoderLayer. In eval and under torch.no_grad() torch "
        "may run each layer as one operation, and then nothing of that layer is behind the gate.",
    )


def _is_problem(given: Any) -> bool:
    return isinstance(given, Problem) or (
        isinstance(given, (list, tuple)) and all(isinstance(each, Problem) for each in given)
    )


def _float32_precision() -> str | None:
    """What the caller has set: TF32 makes Tensor Cores of float32."""
    torch = sys.modules.get("torch")
    return None if torch is None else str(torch.get_float32_matmul_precision())


def _cache_folder() -> Path:
    """Where results of compiling are kept between runs, as the XDG base directories say."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(Path.home(), ".cache")
    return Path(base, "inductor-override", "candidates")
