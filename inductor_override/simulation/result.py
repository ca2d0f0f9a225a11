"""What one simulated lowering did."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

VENDOR = "vendor"
TRITON = "triton"
OTHER = "other"


@dataclass(frozen=True)
class Choice:
    """One candidate that Inductor would time.

    Attributes:
        name: Inductor's, such as `mm` or `triton_mm_3`.
        kind: "vendor" (a library call), "triton" (a Triton template), or "other" (a decomposition
            into other operations, for one).
        kernel: which of the lowering's candidate kernels it is; None where it is no Triton kernel.
    """

    name: str
    kind: str
    kernel: str | None = None


@dataclass(frozen=True)
class CandidateKernel:
    """A Triton kernel that Inductor would time, before it is compiled.

    Attributes:
        name: of the function.
        path: the file with its source, in the process that lowered.
        module_key: the name under which torch keeps that file.
        tile: rows, columns and depth of the tile that a thread block computes in one step.
        stages, warps: Triton's options.
        blocks: thread blocks of a launch.
    """

    name: str
    path: str
    module_key: str
    tile: tuple[int, int, int]
    stages: int
    warps: int
    blocks: int


@dataclass(frozen=True)
class Selection:
    """One operation for which Inductor had to choose a kernel, with the candidates in its order.

    Attributes:
        op: torch's name: `mm`, `addmm`, `bmm`, `convolution`.
        node: the node of the graph.
        m, n, k, batch: the sizes; of a convolution those of the product that it amounts to.
        dtype: of the first input.
        layout: how the two matrices lie in memory: `row` or `column` each; the kernel's sizes for a
            convolution.
        flops: floating-point operations; 0 where torch has no formula.
        epilogue: the operations that were fused into the chosen kernel.
        kernel: what the generated code calls for it.
    """

    op: str
    choices: tuple[Choice, ...]
    node: str = ""
    m: int = 0
    n: int = 0
    k: int = 0
    batch: int = 1
    dtype: str = ""
    layout: str = ""
    flops: int = 0
    epilogue: tuple[str, ...] = ()
    kernel: str = ""


@dataclass(frozen=True)
class Lowering:
    """What Inductor made of one graph, for the simulated GPU.

    Attributes:
        selections: the operations Inductor would have autotuned; empty when it was served a cached
            graph, and when it found another way to compute the product (a sum, for K = 1).
        kernels: what the generated code calls, in order: "extern_kernels.mm", or a Triton kernel.
        source: the generated wrapper code.
        cache: Inductor's own FX graph cache counters for this lowering alone, such as
            {"fxgraph_cache_miss": 1}; empty when the cache is off.
        candidate_kernels: the distinct Triton candidates, by a digest of source and tile.
        flops: floating-point operations of the whole graph, by torch.utils.flop_counter.
        bytes_moved: Inductor's own count of the bytes that the kernels read and write.
    """

    selections: tuple[Selection, ...]
    kernels: tuple[str, ...]
    source: str = field(repr=False)
    cache: dict[str, int]
    candidate_kernels: dict[str, CandidateKernel] = field(default_factory=dict, repr=False)
    flops: int = 0
    bytes_moved: int = 0

    @property
    def candidates(self) -> list[tuple[str, list[str]]]:
        """For each operation: its name, and the names of the candidates."""
        return [(s.op, [choice.name for choice in s.choices]) for s in self.selections]

    @property
    def template(self) -> bool:
        """Whether a Triton GEMM template is in the generated code."""
        return re.search(r"^@(\w+\.)?template\(", self.source, re.MULTILINE) is not None

    def names(self, kind: str) -> list[str]:
        """The names of the candidates of one kind, over all operations."""
        return [c.name for s in self.selections for c in s.choices if c.kind == kind]

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Lowering:
        """The opposite of `to_dict`."""
        selections = (
            Selection(
                **{
                    **each,
                    "choices": tuple(Choice(**choice) for choice in each["choices"]),
                    "epilogue": tuple(each["epilogue"]),
                }
            )
            for each in data["selections"]
        )
        kernels = {
            key: CandidateKernel(**{**each, "tile": tuple(each["tile"])})
            for key, each in data["candidate_kernels"].items()
        }
        return cls(
            **{
                **data,
                "selections": tuple(selections),
                "kernels": tuple(data["kernels"]),
                "candidate_kernels": kernels,
            }
        )
