"""What the benchmarks share: conditions, medians with their spread, one line for each result."""

from __future__ import annotations

import math
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def conditions() -> str:
    from importlib.metadata import version

    return (
        f"torch {version('torch')}, wrapt {version('wrapt')}, Python {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"
    )


def middle(values: Sequence[float]) -> str:
    """Median, the range of the middle half, and the range in which the true median lies.

    The last is the 95 % interval that two values of the sorted list give, whatever the
    distribution: how far off the middle they are follows from the binomial of n tosses of a coin.
    """
    low, median, high = statistics.quantiles(values, n=4)
    first = math.floor(len(values) / 2 - 0.98 * len(values) ** 0.5)
    sure = ""
    if first >= 0:
        values = sorted(values)
        sure = f"; 95 %: {values[first]:.4g} to {values[-1 - first]:.4g}"
    return f"{median:.4g} (middle half {low:.4g} to {high:.4g}{sure}; n={len(values)})"


def report(what: str, value: float, target: float | None, detail: str = "", unit: str = "") -> None:
    against = ""
    if target is not None:
        against = f"  target {target:g}{unit}: {'met' if value <= target else 'MISSED'}"
    print(f"{what}: {value:.4g}{unit}{against}{'  ' + detail if detail else ''}", flush=True)


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
