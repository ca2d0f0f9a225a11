"""A GPU that is not there: the real Inductor and the real Triton, lowering for a GPU by name.

    from inductor_override import catalogue
    from inductor_override.simulation import install_gpu, lower

    install_gpu(catalogue.find("RTX 3060"))
    lower(1024, 1024, 1024, "float16").candidates     # [("mm", ["mm"])]

Everything up to the choice of a kernel is real; the choice is a stand-in, because nothing can be
timed without the hardware, and nothing is launched.  The stand-ins are for the whole process and
can't be taken back, so give them a process of their own, and install before torch._dynamo or
torch._inductor is imported.
"""

from __future__ import annotations

from inductor_override.simulation.errors import (
    NotCompiledError,
    SimulationError,
    ToolchainError,
    UnknownTorchError,
)
from inductor_override.simulation.hardware import (
    gate_is_open,
    gate_threshold,
    install_gpu,
    installed_gpu,
)
from inductor_override.simulation.lowering import lower, lower_graphs
from inductor_override.simulation.result import Choice, Lowering, Selection
from inductor_override.simulation.toolchain import Toolchain

__all__ = [
    "Choice",
    "Lowering",
    "NotCompiledError",
    "Selection",
    "SimulationError",
    "Toolchain",
    "ToolchainError",
    "UnknownTorchError",
    "gate_is_open",
    "gate_threshold",
    "install_gpu",
    "installed_gpu",
    "lower",
    "lower_graphs",
]
