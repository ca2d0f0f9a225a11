"""What `import torch` costs with the package installed: `python benchmarks/startup.py [ROUNDS]`.

Needs the package installed (its entry point) and torch 2.5 or later. "Not installed" is
TORCH_DEVICE_BACKEND_AUTOLOAD=0: then torch does not look for entry points either, so its own search
counts against the package. In each round every variant gets one fresh process, in another order
each time. CPU time of the process is compared: other work on the machine changes wall time more
than the package does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time

from common import conditions, middle, report

VARIABLE = "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS"
PASTED = (
    "import torch, torch._inductor.utils; torch._inductor.utils.is_big_gpu = lambda *a, **k: True"
)
VARIANTS = {
    "not installed": ("import torch", {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}),
    "installed, idle": ("import torch", {}),
    "installed, variable set": ("import torch", {VARIABLE: "0"}),
    "pasted snippet": (PASTED, {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0"}),
}
OWN_COST = """
import time, sys
start = time.process_time()
import torch
torch_took = time.process_time() - start
sys.path.insert(0, "benchmarks")
from common import resident
import gc
gc.collect(); before = resident(); start = time.process_time()
from inductor_override.autoload import activate
activate()
took = time.process_time() - start
gc.collect()
print(took / torch_took, resident() - before, "torch._inductor.utils" in sys.modules)
"""


def process(code: str, more: dict[str, str]) -> tuple[float, float, str]:
    """CPU seconds, wall seconds, what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | more
    cpu, wall = _children(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return _children() - cpu, time.perf_counter() - wall, done.stdout


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print(conditions())
    for code, more in VARIANTS.values():  # files into the page cache
        process(code, more)
    cpu: dict[str, list[float]] = {name: [] for name in VARIANTS}
    wall: dict[str, list[float]] = {name: [] for name in VARIANTS}
    names = list(VARIANTS)
    for turn in range(rounds):
        for name in names[turn % 4 :] + names[: turn % 4]:
            cpu_took, wall_took, _ = process(*VARIANTS[name])
            cpu[name].append(cpu_took)
            wall[name].append(wall_took)
    for name in VARIANTS:
        print(f"  {name}: CPU s {middle(cpu[name])}; wall s {middle(wall[name])}")

    def ratio(one: str, other: str) -> float:
        return statistics.median(cpu[one]) / statistics.median(cpu[other])

    report("idle / not installed", ratio("installed, idle", "not installed"), 1.01)
    report("variable set / not installed", ratio("installed, variable set", "not installed"), 1.02)
    report("variable set / pasted", ratio("installed, variable set", "pasted snippet"), 0.6)

    for name, more in (("idle", {}), ("variable set", {VARIABLE: "0"})):
        told = [
            process(OWN_COST, {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", **more})[2].split()
            for _ in range(5)
        ]
        shares, added = [float(t[0]) for t in told], [int(t[1]) / 2**20 for t in told]
        target = 0.01 if name == "idle" else 0.02
        what = f"our own part, {name}, as a share of `import torch`"
        report(what, statistics.median(shares), target, middle(shares))
        report(f"memory added, {name}", statistics.median(added), 1, middle(added), " MiB")
        assert all(t[2] == "False" for t in told), "Inductor was imported"


if __name__ == "__main__":
    main()
