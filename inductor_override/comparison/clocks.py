"""The GPU's clock, power and temperature while it is timed, where NVML tells them.

Read between two samples, at most twenty times a second. Clocks are read, and never set.
"""

from __future__ import annotations

import statistics
import time
from contextlib import suppress
from typing import Any

_EVERY = 0.05
_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal slowdown (software)",
    0x40: "thermal slowdown (hardware)",
    0x80: "power brake",
}
"""Bits of nvmlDeviceGetCurrentClocksThrottleReasons that slow a GPU down.

Those for an idle GPU and for settings of the user's are left out. Source: NVML's reference,
"NvmlClocksEventReasons".
"""


class Clocks:
    """What NVML says of the GPU that torch uses.

    Attributes:
        why_not: why NVML says nothing of the clock, as a sentence; empty if it answers.
        sm_mhz: of each sample.
        reasons: of each sample, the bits that NVML gave.
    """

    def __init__(self, device: str) -> None:
        self.sm_mhz: list[int] = []
        self.reasons: list[int] = []
        self._power: list[float] = []
        self._temperature: list[int] = []
        self._read_at = -_EVERY
        self.why_not = ""
        if device != "cuda":
            self.why_not = "there is no GPU in this comparison"
            return
        try:
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = str(torch.cuda.get_device_properties(0).uuid)
            name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
            self._nvml, self._handle = pynvml, pynvml.nvmlDeviceGetHandleByUUID(name.encode())
        except ImportError:
            self.why_not = "nvidia-ml-py is not installed: pip install nvidia-ml-py"
        except Exception as error:  # a driver without NVML, an older torch
            self.why_not = f"NVML does not answer: {error}"

    def after_sample(self) -> None:
        """Note the state of the GPU for the sample that has just ended."""
        if self.why_not:
            return
        try:
            if time.perf_counter() - self._read_at >= _EVERY:
                self._read()
        except Exception as error:  # a MIG slice does not tell its clock
            self.why_not = f"NVML does not answer: {error}"
            return
        self.sm_mhz.append(self._now[0])
        self.reasons.append(self._now[1])

    def to_dict(self) -> dict[str, Any]:
        """The readings, as JSON can hold them; `throttled` with each reason's share of samples."""
        if self.why_not:
            return {"why_not": self.why_not}
        slowed = {
            name: round(sum(bool(each & bit) for each in self.reasons) / len(self.reasons), 3)
            for bit, name in _REASONS.items()
            if any(each & bit for each in self.reasons)
        }
        return {
            "sm_mhz": self.sm_mhz,
            "power_watts": round(statistics.median(self._power), 1) if self._power else None,
            "temperature": max(self._temperature, default=None),
            "throttled": slowed,
            "throttled_samples": [
                number for number, each in enumerate(self.reasons) if each & sum(_REASONS)
            ],
        }

    def _read(self) -> None:
        nvml, handle = self._nvml, self._handle
        clock = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
        self._now = (clock, nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
        with suppress(Exception):  # a virtual GPU, some laptops
            self._power.append(nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        with suppress(Exception):
            kind = nvml.NVML_TEMPERATURE_GPU
            self._temperature.append(nvml.nvmlDeviceGetTemperature(handle, kind))
        self._read_at = time.perf_counter()
