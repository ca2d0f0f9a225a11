"""What is noted of a GPU's clock; NVML itself is stood in for, as there is no GPU."""

from __future__ import annotations

import sys
import types

import pytest
import torch

from inductor_override.comparison.clocks import Clocks


class Nvml(types.SimpleNamespace):
    NVML_CLOCK_SM = NVML_TEMPERATURE_GPU = 0

    def __init__(self, reasons=0, broken=()):
        self.reasons, self.broken = reasons, broken

    def answer(self, name, value):
        if name in self.broken:
            raise RuntimeError(f"Not Supported: {name}")
        return value

    def nvmlInit(self):
        self.answer("init", None)

    def nvmlDeviceGetHandleByUUID(self, uuid):
        assert uuid == b"GPU-1234"
        return uuid

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return self.answer("clock", 1500)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self.reasons

    def nvmlDeviceGetPowerUsage(self, handle):
        return self.answer("power", 70_500)

    def nvmlDeviceGetTemperature(self, handle, kind):
        return 61


@pytest.fixture
def nvml(monkeypatch):
    def install(**how):
        monkeypatch.setitem(sys.modules, "pynvml", Nvml(**how))
        clocks = Clocks("cuda")
        for _ in range(3):
            clocks.after_sample()
        return clocks.to_dict()

    properties = types.SimpleNamespace(uuid="1234")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return install


def test_every_sample_has_its_clock(nvml):
    found = nvml(reasons=0x1)  # idle: no slowdown
    assert found["sm_mhz"] == [1500] * 3
    assert (found["power_watts"], found["temperature"]) == (70.5, 61)
    assert (found["throttled"], found["throttled_samples"]) == ({}, [])


def test_throttled_samples_are_marked(nvml):
    found = nvml(reasons=0x4 | 0x20)
    assert found["throttled"] == {"power cap": 1.0, "thermal slowdown (software)": 1.0}
    assert found["throttled_samples"] == [0, 1, 2]


def test_a_gpu_that_does_not_tell_its_power_still_has_a_clock(nvml):
    found = nvml(broken=("power",))
    assert (found["sm_mhz"], found["power_watts"]) == ([1500] * 3, None)


@pytest.mark.parametrize("broken", ["init", "clock"])
def test_without_a_clock_the_reason_is_kept(nvml, broken):
    assert nvml(broken=(broken,)) == {"why_not": f"NVML does not answer: Not Supported: {broken}"}


def test_without_the_extra_the_install_line_is_kept(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "pip install 'inductor-override[nvml]'" in Clocks("cuda").to_dict()["why_not"]
