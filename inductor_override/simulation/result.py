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

    `kind` is "vendor" (a library call), "triton" (a Triton template), or "other" (a decomposition
    into other operations, for one).
    """

    name: str
    kind: str


@dataclass(frozen=True)
class Selection:
    """One operation for which Inductor had to choose a kernel, with the candidates in its order."""

    op: str
    choices: tuple[Choice, ...]


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
    """

    selections: tuple[Selection, ...]
    kernels: tuple[str, ...]
    source: str = field(repr=False)
    cache: dict[str, int]

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
        return cls(
            selections=tuple(
                Selection(s["op"], tuple(Choice(**choice) for choice in s["choices"]))
                for s in data["selections"]
            ),
            kernels=tuple(data["kernels"]),
            source=data["source"],
            cache=data["cache"],
        )
