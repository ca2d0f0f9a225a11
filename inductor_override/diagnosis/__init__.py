"""What matters on a machine: its GPUs, its torch, and advice where advice applies."""

from __future__ import annotations

from inductor_override.diagnosis.advice import Advice, Asked, advise
from inductor_override.diagnosis.examined import Examined, examine
from inductor_override.diagnosis.machine import Device, Machine, look

__all__ = ["Advice", "Asked", "Device", "Examined", "Machine", "advise", "examine", "look"]
