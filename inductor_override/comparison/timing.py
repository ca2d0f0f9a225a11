"""Samples of one call: warm until steady, then timed one by one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FEWEST, MOST = 10, 1000
"""Samples of one process."""
_STEADY_WITHIN = 0.02
_WINDOW = 5
_L2_BYTES = 256 << 20
"""Written between two calls on a GPU: more than the L2 cache of any GPU has."""


@dataclass
class Samples:
    """What one process measured of one case; all times in seconds, in the order of the calls.

    Attributes:
        device: on the device: by CUDA events, with the L2 cache cleared before each call. On the
            CPU the same as `wall`.
        wall: of another call, from before it until the device had finished.
        warm_up: how many calls came first, and are in neither.
        steady: whether the warm-up ended because the times had settled.
    """

    device: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    warm_up: int = 0
    steady: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it, to the nanosecond."""
        rounded = {name: [round(t, 9) for t in getattr(self, name)] for name in ("device", "wall")}
        return {**rounded, "warm_up": self.warm_up, "steady": self.steady}


def sample(
    call: Callable[[], Any],
    device: str,
    seconds: float,
    after_each: Callable[[], None] = lambda: None,
) -> Samples:
    """Call until the times have settled, then time at least `FEWEST` calls, for `seconds`."""
    timed = _on_cuda() if device == "cuda" else _on_cpu
    samples = Samples()
    settled: list[float] = []
    ends = time.perf_counter() + max(seconds, 0.2)
    while not samples.steady and (len(settled) < 2 * _WINDOW or time.perf_counter() < ends):
        settled.append(timed(call)[0])
        samples.steady = _steady(settled)
    samples.warm_up = len(settled)
    ends = time.perf_counter() + seconds
    while len(samples.wall) < FEWEST or (time.perf_counter() < ends and len(samples.wall) < MOST):
        on_device, wall = timed(call)
        samples.device.append(on_device)
        samples.wall.append(wall)
        after_each()
    return samples


def _steady(times: list[float]) -> bool:
    """Whether the last calls took as long as those before them."""
    if len(times) < 2 * _WINDOW:
        return False
    earlier = statistics.median(times[-2 * _WINDOW : -_WINDOW])
    return abs(statistics.median(times[-_WINDOW:]) / earlier - 1) < _STEADY_WITHIN


def _on_cpu(call: Callable[[], Any]) -> tuple[float, float]:
    start = time.perf_counter()
    call()
    wall = time.perf_counter() - start
    return wall, wall


def _on_cuda() -> Callable[[Callable[[], Any]], tuple[float, float]]:
    import torch

    buffer = torch.empty(_L2_BYTES, dtype=torch.int8, device="cuda")

    def timed(call: Callable[[], Any]) -> tuple[float, float]:
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        wall = time.perf_counter() - start
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        # While the GPU still writes, the host launches what follows: its time is not in between.
        buffer.zero_()
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) / 1000, wall

    return timed
