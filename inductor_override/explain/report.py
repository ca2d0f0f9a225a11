"""The facts of one explanation, for a person's screen and for a program alike."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from inductor_override.catalogue import Gpu
from inductor_override.simulation.result import TRITON, VENDOR, Choice, Lowering

# Said wherever the kernels are shown.
SELECTION_NOTE = (
    "Nothing is timed here: of several candidates, the first Triton one stands in for the fastest "
    "(the first of all, if none is Triton's). On the real GPU Inductor times them all, and may "
    "well keep the vendor library's. This says what it can choose from, not what is faster."
)


class Outcome(enum.Enum):
    """What the override does to the gate for one GPU."""

    OPENED = "the override opens a gate that torch keeps closed"
    OPEN_ANYWAY = "the gate is open with and without the override"
    HELD_BACK = "the override closes a gate that torch keeps open"
    CLOSED_ANYWAY = "the gate is closed with and without the override"


@dataclass(frozen=True)
class Side:
    """One of the two lowerings.

    Attributes:
        open: whether the GPU passed the gate.
        required_sms: the SMs that the gate asked for: torch's threshold, or min_sms; None if torch
            lets no number of SMs through.
        consulted: how often Inductor asked the gate; None without the override, which counts it.
        lowering: what Inductor then did.
    """

    open: bool
    required_sms: int | None
    consulted: int | None
    lowering: Lowering

    @property
    def candidates(self) -> list[Choice]:
        """What Inductor would time, over all products."""
        return [choice for s in self.lowering.selections for choice in s.choices]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Side:
        """From what the process with the simulated GPU sends."""
        return cls(**{**data, "lowering": Lowering.from_dict(data["lowering"])})


@dataclass(frozen=True)
class Report:
    """Both lowerings of `relu(a @ b)`, with a: m x k and b: k x n, for one GPU."""

    torch: str
    triton: str
    gpu: Gpu
    m: int
    k: int
    n: int
    dtype: str
    stock: Side
    override: Side

    @property
    def outcome(self) -> Outcome:
        """What the override does to the gate."""
        if self.stock.open:
            return Outcome.OPEN_ANYWAY if self.override.open else Outcome.HELD_BACK
        return Outcome.OPENED if self.override.open else Outcome.CLOSED_ANYWAY

    @property
    def changes_code(self) -> bool:
        """Whether the candidates or the kernels differ, and not the gate alone."""
        stock, override = self.stock.lowering, self.override.lowering
        return stock.candidates != override.candidates or stock.kernels != override.kernels

    def to_dict(self) -> dict[str, Any]:
        """The facts for machines.  Keys are only ever added."""
        return {
            "torch": self.torch,
            "triton": self.triton,
            "gpu": {
                "name": self.gpu.name,
                "sms": self.gpu.sms,
                "compute_capability": self.gpu.capability,
                "shared_memory_optin": self.gpu.shared_memory_optin,
                "simulated": True,
            },
            "operation": "relu(a @ b)",
            "shape": {"m": self.m, "k": self.k, "n": self.n},
            "dtype": self.dtype,
            "outcome": self.outcome.name.lower(),
            "changes_code": self.changes_code,
            "stock": _side(self.stock),
            "override": _side(self.override),
            "note": SELECTION_NOTE,
        }


def _side(side: Side) -> dict[str, Any]:
    kinds = [choice.kind for choice in side.candidates]
    return {
        "gate_open": side.open,
        "required_sms": side.required_sms,
        "gate_consulted": side.consulted,
        "candidates": {
            "count": len(kinds),
            "vendor": kinds.count(VENDOR),
            "triton": kinds.count(TRITON),
            "other": len(kinds) - kinds.count(VENDOR) - kinds.count(TRITON),
        },
        "selections": [
            {"op": s.op, "choices": [{"name": c.name, "kind": c.kind} for c in s.choices]}
            for s in side.lowering.selections
        ],
        "kernels": list(side.lowering.kernels),
        "triton_template": side.lowering.template,
    }
