"""Does `compare` lie, and what does it cost?

    python benchmarks/compare.py [harness] [time] [same] [slower]

`harness`: what the timing adds to a call. `time`: 2 arms x 5 rounds of a small model on the CPU.
`same`: a real comparison of an arm with itself. `slower`: one with a real slowdown. The last three
start processes for minutes, on a machine that should do nothing else. What the statistics make of
figures with a known truth is in tests/test_comparison_statistics.py.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import common

from inductor_override.comparison import compare
from inductor_override.comparison.timing import sample

MODELS = Path(__file__).parent / "compare_models.py"


def harness() -> None:
    """A call's time as the harness has it, over the time that the call itself takes inside."""
    ratios = []
    for _ in range(60):
        inside: list[float] = []

        def call(inside: list[float] = inside) -> None:
            began = time.perf_counter()
            sum(range(40_000))  # about a millisecond
            inside.append(time.perf_counter() - began)

        seen = sample(call, "cpu", 0.05)
        own = inside[seen.warm_up :]
        ratios.append(statistics.median(a / b for a, b in zip(seen.wall, own, strict=True)))
    worst = max(ratios)
    print(
        f"harness: a call of a millisecond / the call itself, n=60, {statistics.median(ratios):.5f}"
    )
    print(f"    at most {worst:.5f}", flush=True)


def measured(name: str, arms: list[str], rounds: int, seconds: float) -> None:
    started = time.perf_counter()
    found = compare(
        f"{MODELS}:{name}",
        arms=arms,
        rounds=rounds,
        seconds=seconds,
        device="cpu",
        progress=lambda what, done, count: print(f"  [{done}/{count}] {what}", file=sys.stderr),
    )
    print(found)
    print(f"{name}, {len(arms)} arms x {rounds} rounds: {time.perf_counter() - started:.0f} s\n")


def main() -> None:
    print(common.conditions())
    wanted = sys.argv[1:] or ["harness", "time", "same", "slower"]
    if "harness" in wanted:
        harness()
    if "time" in wanted:
        measured("mlp", ["stock", "mode=default"], 5, 1.0)
    if "same" in wanted:
        measured("mlp", ["stock", "stock"], 10, 0.5)
    if "slower" in wanted:
        measured("elementwise", ["stock", "cpp.simdlen=1"], 6, 0.3)


if __name__ == "__main__":
    main()
