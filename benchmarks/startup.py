"""What `import torch` costs with the package installed: `python benchmarks/startup.py [ROUNDS]`.

Needs the package installed (its entry point) and torch 2.5 or later. Each variant runs on a copy
of this environment's site-packages, made of links; "not installed" lacks the package's metadata and
nothing else. In each round every variant gets one fresh process, in another order each time. CPU
time of the process is compared: other work on the machine changes wall time more than the package
does.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from common import conditions, middle, report

VARIABLE = "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS"
PASTED = (
    "import torch, torch._inductor.utils; torch._inductor.utils.is_big_gpu = lambda *a, **k: True"
)
VARIANTS = {
    "not installed": ("import torch", {}, False),
    "installed, idle": ("import torch", {}, True),
    "installed, variable set": ("import torch", {VARIABLE: "0"}, True),
    "pasted snippet": (PASTED, {}, False),
}
COMPARED = (
    ("installed, idle", "not installed", 1.01),
    ("installed, variable set", "not installed", 1.02),
    ("installed, variable set", "pasted snippet", 0.6),
)
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


def sites(folder: Path) -> dict[bool, Path]:
    """Two directories of links to all that is installed: with our metadata, and without."""
    here = Path(sysconfig.get_path("purelib"))
    made = {}
    for ours in (True, False):
        made[ours] = folder / ("with" if ours else "without")
        made[ours].mkdir()
        for entry in here.iterdir():
            if entry.suffix == ".pth" or entry.name == "__pycache__":
                continue
            if ours or not entry.name.startswith("inductor_override"):
                (made[ours] / entry.name).symlink_to(entry)
    package = Path(__file__).resolve().parent.parent / "inductor_override"
    for site in made.values():
        if not (site / package.name).exists():
            (site / package.name).symlink_to(package)
    return made


class Process(NamedTuple):
    cpu: float
    """Seconds."""
    wall: float
    """Seconds."""
    printed: str
    said: str
    """On standard error."""


def process(code: str, more: dict[str, str], site: Path, before: tuple[str, ...] = ()) -> Process:
    """Run code in a fresh interpreter, under the command `before` if one is given."""
    environment = {k: v for k, v in os.environ.items() if k != VARIABLE} | more
    environment["PYTHONPATH"] = str(site)
    cpu, wall = _children(), time.perf_counter()
    done = subprocess.run(
        [*before, sys.executable, "-S", "-c", code],  # -S: no other site-packages
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return Process(_children() - cpu, time.perf_counter() - wall, done.stdout, done.stderr)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    print(conditions())
    with tempfile.TemporaryDirectory() as folder:
        measure(rounds, sites(Path(folder)))


def measure(rounds: int, site: dict[bool, Path]) -> None:
    for code, more, ours in VARIANTS.values():  # files into the page cache
        process(code, more, site[ours])
    cpu: dict[str, list[float]] = {name: [] for name in VARIANTS}
    wall: dict[str, list[float]] = {name: [] for name in VARIANTS}
    names = list(VARIANTS)
    for turn in range(rounds):
        for name in names[turn % 4 :] + names[: turn % 4]:
            code, more, ours = VARIANTS[name]
            took = process(code, more, site[ours])
            cpu[name].append(took.cpu)
            wall[name].append(took.wall)
    for name in VARIANTS:
        print(f"  {name}: CPU s {middle(cpu[name])}; wall s {middle(wall[name])}")

    def ratio(one: str, other: str) -> tuple[float, str]:
        pairs = [a / b for a, b in zip(cpu[one], cpu[other], strict=True)]
        return statistics.median(pairs), middle(pairs)

    for one, other, target in COMPARED:
        value, spread = ratio(one, other)
        report(f"{one} / {other}", value, target, spread)

    for name, more in (("idle", {}), ("variable set", {VARIABLE: "0"})):
        without_entry_point = {"TORCH_DEVICE_BACKEND_AUTOLOAD": "0", **more}
        told = [
            process(OWN_COST, without_entry_point, site[True]).printed.split() for _ in range(9)
        ]
        shares, added = [float(t[0]) for t in told], [int(t[1]) / 2**20 for t in told]
        idle = name == "idle"
        what = f"our own part, {name}, as a share of `import torch`"
        report(what, statistics.median(shares), 0.01 if idle else 0.02, middle(shares))
        memory = statistics.median(added)
        report(f"memory added, {name}", memory, 1 if idle else None, middle(added), " MiB")
        assert all(t[2] == "False" for t in told), "Inductor was imported"


if __name__ == "__main__":
    main()
