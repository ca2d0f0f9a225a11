"""Why a simulated lowering can't be had."""

from __future__ import annotations


class SimulationError(RuntimeError):
    """The simulated GPU can't be used here; the message says why, and what to do about it."""


class ToolchainError(SimulationError):
    """torch or Triton is missing, too old, or not the one that the other wants."""


class UnknownTorchError(SimulationError):
    """This torch is older, or has another shape, than any that the package knows."""


class NotCompiledError(SimulationError):
    """Inductor itself does not compile this for this GPU, whatever its gate says."""


class NotCapturedError(SimulationError):
    """torch cannot make a graph of the model."""
