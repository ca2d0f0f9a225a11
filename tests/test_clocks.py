"""What is noted of a GPU's clock; NVML itself is stood in for, as there is no GPU."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch

from inductor_override.comparison.clocks import Clocks

Install = Callable[..., dict[str, Any]]


class Nvml(types.SimpleNamespace):
    NVML_CLOCK_SM = NVML_TEMPERATURE_GPU = 0

    def __init__(self, reasons: int = 0, broken: tuple[str, ...] = ()) -> None:
        self.reasons, self.broken = reasons, broken

    def answer(self, name: str, value: Any) -> Any:
        if name in self.broken:
            raise RuntimeError(f"Not Supported: {name}")
        return value

    def nvmlInit(self) -> None:
        self.answer("init", None)

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> bytes:
        assert uuid == b"GPU-1234"
        return uuid

    def nvmlDeviceGetClockInfo(self, handle: object, kind: int) -> Any:
        return self.answer("clock", 1500)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: object) -> int:
        return self.reasons

    def nvmlDeviceGetPowerUsage(self, handle: object) -> Any:
        return self.answer("power", 70_500)

    def nvmlDeviceGetTemperature(self, handle: object, kind: int) -> int:
        return 61


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install(**how: Any) -> dict[str, Any]:
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(**how))
        clocks = Clocks("cuda")
        for _ in range(3):
            clocks.after_sample()
        return clocks.to_dict()

    properties = types.SimpleNamespace(uuid="1234")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return install


def test_every_sample_has_its_clock(nvml: Install) -> None:
    found = nvml(reasons=0x1)  # idle: no slowdown
    assert found["sm_mhz"] == [1500] * 3
    assert (found["power_watts"], found["temperature"]) == (70.5, 61)
    assert (found["throttled"], found["throttled_samples"]) == ({}, [])


def test_throttled_samples_are_marked(nvml: Install) -> None:
    found = nvml(reasons=0x4 | 0x20)
    assert found["throttled"] == {"power cap": 1.0, "thermal slowdown (software)": 1.0}
    assert found["throttled_samples"] == [0, 1, 2]


def test_a_gpu_that_does_not_tell_its_power_still_has_a_clock(nvml: Install) -> None:
    found = nvml(broken=("power",))
    assert (found["sm_mhz"], found["power_watts"]) == ([1500] * 3, None)


@pytest.mark.parametrize("broken", ["init", "clock"])
def test_without_a_clock_the_reason_is_kept(nvml: Install, broken: str) -> None:
    assert nvml(broken=(broken,)) == {"why_not": f"NVML does not answer: Not Supported: {broken}"}


def test_without_the_extra_the_install_line_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install nvidia-ml-py" in Clocks("cuda").to_dict()["why_not"]
