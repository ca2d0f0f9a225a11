"""The facts of one explanation, for a person's screen and for a program alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inductor_override.catalogue import Gpu
from inductor_override.explanation.occupancy import blocks_per_sm, waves
from inductor_override.simulation.machine_code import MachineCode
from inductor_override.simulation.result import CandidateKernel

SCHEMA = 1
NOTHING_TIMED = (
    "Nothing was timed and nothing ran on a GPU: this says what Inductor can choose from, not what "
    "is faster. On the GPU it times every candidate and keeps the fastest, which may be the "
    "library's."
)


@dataclass(frozen=True)
class Problem:
    """A GEMM or a convolution of the model; equal ones are one problem.

    Attributes:
        count: how often the model computes it.
        flops: floating-point operations of all of them.
        flops_share: of the model's.
    """

    op: str
    m: int
    n: int
    k: int
    batch: int
    dtype: str
    layout: str
    epilogue: tuple[str, ...]
    count: int
    flops: int
    flops_share: float

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "epilogue": list(self.epilogue)}


@dataclass(frozen=True)
class Candidate:
    """A Triton kernel that Inductor would time for a problem under the override.

    Attributes:
        key: which one of the report's distinct kernels.
        code: None if it was not compiled.
    """

    key: str
    kernel: CandidateKernel
    code: MachineCode | None

    def fits(self, gpu: Gpu) -> bool:
        """Whether it can be launched on this GPU."""
        code = self.code
        return (
            code is not None
            and code.error is None
            and code.shared_memory <= gpu.shared_memory_optin
        )

    def to_dict(self, gpu: Gpu) -> dict[str, Any]:
        kernel, code = self.kernel, self.code
        facts: dict[str, Any] = {
            "tile": "x".join(map(str, kernel.tile)),
            "stages": kernel.stages,
            "warps": kernel.warps,
            "blocks": kernel.blocks,
        }
        if code is None:
            return facts
        per_sm = blocks_per_sm(
            gpu.compute_capability,
            threads=code.threads,
            registers=code.registers,
            shared_memory=code.shared_memory,
        )
        facts |= {**code.to_dict(), "fits": self.fits(gpu), "blocks_per_sm": per_sm}
        facts["waves"] = waves(kernel.blocks, per_sm, gpu.sms)
        return facts


@dataclass(frozen=True)
class Side:
    """What Inductor has for one problem, without or with the override.

    Attributes:
        candidates: all of them; `triton`: the Triton kernels among them.
        kernel: what the generated code calls: if a Triton candidate wins, where there is one.
    """

    candidates: int
    kernel: str
    triton: tuple[Candidate, ...] = ()

    def to_dict(self, gpu: Gpu) -> dict[str, Any]:
        codes = [candidate.code for candidate in self.triton]
        known = [code for code in codes if code is not None]
        complete = len(known) == len(codes)
        return {
            "candidates": self.candidates,
            "triton": len(self.triton),
            "fit": sum(c.fits(gpu) for c in self.triton) if complete else None,
            "spill": sum(code.spilled > 0 for code in known) if complete else None,
            "tensor_cores": sum(code.tensor_core > 0 for code in known) if complete else None,
            "kernel": self.kernel,
        }


@dataclass(frozen=True)
class Totals:
    """Of the whole model, on one GPU.

    Attributes:
        gemms: matrix products and convolutions for which Inductor selects a kernel.
        behind_gate: those that have Triton candidates only where the gate is open.
        flops_share_behind_gate: their share of the model's floating-point operations.
        kernels, bytes_moved: kernels launched, and bytes read and written by them in Inductor's own
            count; without and with the override.
        candidate_kernels: distinct Triton kernels that tuning compiles.
        compiled: of these, how many this report has compiled.
        compile_seconds: what compiling these took on one core of this machine.
    """

    gemms: int = 0
    behind_gate: int = 0
    flops_share_behind_gate: float = 0.0
    kernels: tuple[int, int] = (0, 0)
    bytes_moved: tuple[int, int] = (0, 0)
    candidate_kernels: int = 0
    compiled: int = 0
    compile_seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "kernels": dict(zip(("stock", "override"), self.kernels, strict=True)),
            "bytes_moved": dict(zip(("stock", "override"), self.bytes_moved, strict=True)),
        }


@dataclass(frozen=True)
class Verdict:
    """Whether there is anything in it for this model on this GPU.

    Attributes:
        code: `worth-trying`, or the reason why not.
        text: one or two sentences for a person.
    """

    code: str
    text: str


@dataclass(frozen=True)
class OnGpu:
    """The report's column of one GPU.

    Attributes:
        gate_open: whether the gate lets the GPU through, without and with the override.
        required_sms: the SMs that the gate asks for: torch's threshold, and min_sms.
        consulted: how often Inductor asked the gate under the override.
        problems: by position in `Report.problems`: without and with the override.
        forced_code: the generated Triton template kernels.
        notes: what this torch does with candidates that do not fit or spill.
    """

    gpu: Gpu
    gate_open: tuple[bool, bool] = (False, False)
    required_sms: tuple[int | None, int] = (None, 0)
    consulted: int = 0
    problems: dict[int, tuple[Side, Side]] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    verdict: Verdict = field(default_factory=lambda: Verdict("", ""))
    forced_code: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()

    def to_dict(self, count: int) -> dict[str, Any]:
        columns: list[Any] = []
        for number in range(count):
            sides = self.problems.get(number)
            if sides is None:
                columns.append(None)
                continue
            stock, override = sides
            columns.append(
                {
                    "stock": stock.to_dict(self.gpu),
                    "override": override.to_dict(self.gpu),
                    "candidates": [each.to_dict(self.gpu) for each in override.triton],
                }
            )
        return {
            "name": self.gpu.name,
            "sms": self.gpu.sms,
            "capability": self.gpu.capability,
            "shared_memory_optin": self.gpu.shared_memory_optin,
            "simulated": True,
            "gate": None
            if self.verdict.code == "not-compiled"
            else {
                "stock": {"open": self.gate_open[0], "required_sms": self.required_sms[0]},
                "override": {"open": self.gate_open[1], "required_sms": self.required_sms[1]},
                "consulted": self.consulted,
            },
            "problems": columns,
            "totals": self.totals.to_dict(),
            "verdict": vars(self.verdict).copy(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Report:
    """What the gate holds back, what the override opens, and what of it can work.

    Attributes:
        what: the model's name, or the problem as Python would write it.
        train: whether the backward pass is part of it.
        dynamic: whether the batch is symbolic.
        complete: False if it was interrupted before every candidate was compiled.
    """

    torch: str
    triton: str
    what: str
    train: bool
    dynamic: bool
    min_sms: int
    options: dict[str, Any]
    flops: int
    problems: tuple[Problem, ...]
    gpus: tuple[OnGpu, ...]
    complete: bool = True

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict's code by the name of the GPU."""
        return {each.gpu.name: each.verdict.code for each in self.gpus}

    def to_dict(self) -> dict[str, Any]:
        """The facts for machines. Within one `schema` keys are only ever added."""
        return {
            "schema": SCHEMA,
            "torch": self.torch,
            "triton": self.triton,
            "what": self.what,
            "train": self.train,
            "dynamic": self.dynamic,
            "min_sms": self.min_sms,
            "options": self.options,
            "flops": self.flops,
            "problems": [problem.to_dict() for problem in self.problems],
            "gpus": [each.to_dict(len(self.problems)) for each in self.gpus],
            "complete": self.complete,
            "note": NOTHING_TIMED,
        }

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}: {code}" for name, code in self.verdicts.items())
        return f"<explanation of {self.what}: {listed}>"

    def _repr_html_(self) -> str:
        from inductor_override.pages import in_a_notebook

        verdicts = ((e.gpu.name, e.verdict.code, e.verdict.text) for e in self.gpus)
        return in_a_notebook(self.what, verdicts)
