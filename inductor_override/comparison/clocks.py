"""The GPU's clock, power and temperature while it is timed, where NVML tells them.

Read by a thread of its own, ten times a second: NVML answers in tens of microseconds, and the GPU
does not notice. Clocks are read, and never set.
"""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass, field
from typing import Any

_EVERY = 0.1
_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "thermal slowdown (software)",
    0x40: "thermal slowdown (hardware)",
    0x80: "power brake",
}
"""Bits of nvmlDeviceGetCurrentClocksEventReasons that slow a GPU down.

Those for an idle GPU and for settings of the user's are left out. Source: NVML's reference,
"NvmlClocksEventReasons".
"""


@dataclass
class Clocks:
    """What NVML said during a `with` block.

    Attributes:
        sm_mhz, power_watts, temperature: a reading each.
        throttled: why the GPU was slower than it could be, each reason with its share of readings.
        why_not: why there is nothing, as a sentence; empty if there is something.
    """

    device: str
    sm_mhz: list[int] = field(default_factory=list)
    power_watts: list[float] = field(default_factory=list)
    temperature: list[int] = field(default_factory=list)
    why_not: str = ""
    _reasons: list[int] = field(default_factory=list)

    def __enter__(self) -> Clocks:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if self.device != "cuda":
            self.why_not = "there is no GPU in this comparison"
            return self
        try:
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = str(torch.cuda.get_device_properties(0).uuid)
            name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
            handle = pynvml.nvmlDeviceGetHandleByUUID(name.encode())
            self._read(pynvml, handle)
        except ImportError:
            self.why_not = "nvidia-ml-py is not installed: pip install 'inductor-override[nvml]'"
        except Exception as error:  # a driver without NVML, a MIG slice, an older torch
            self.why_not = f"NVML does not answer: {error}"
        else:
            self._thread = threading.Thread(target=self._watch, args=(pynvml, handle), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def to_dict(self) -> dict[str, Any]:
        """The readings in short, as JSON can hold them."""
        if self.why_not:
            return {"why_not": self.why_not}
        count = len(self._reasons)
        throttled = {
            name: round(sum(bool(each & bit) for each in self._reasons) / count, 3)
            for bit, name in _REASONS.items()
            if any(each & bit for each in self._reasons)
        }
        return {
            "sm_mhz": {
                "median": statistics.median(self.sm_mhz),
                "min": min(self.sm_mhz),
                "max": max(self.sm_mhz),
            },
            "power_watts": round(statistics.median(self.power_watts), 1),
            "temperature": max(self.temperature),
            "throttled": throttled,
            "readings": count,
        }

    def _watch(self, nvml: Any, handle: Any) -> None:
        while not self._stop.wait(_EVERY):
            self._read(nvml, handle)

    def _read(self, nvml: Any, handle: Any) -> None:
        self.sm_mhz.append(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))
        self.power_watts.append(nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        self.temperature.append(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
        self._reasons.append(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))
