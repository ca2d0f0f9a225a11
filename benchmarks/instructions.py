"""What `import torch` costs, in instructions: `python benchmarks/instructions.py [ROUNDS]`.

`startup.py` measures time, where a hundredth drowns in what else the machine does. valgrind
counts the instructions that each variant executes: nearly the same number in each run, whatever
runs beside it. An instruction is not a time, so this stands beside `startup.py` and does not
replace it. Needs valgrind, and about a minute for each process.
"""

from __future__ import annotations

import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import startup
from common import conditions, report

FIXED = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}


def count(code: str, more: dict[str, str], site: Path) -> int:
    """Instructions of one process."""
    # No branch and no cache simulation; the profile itself is not wanted.
    command = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    said = startup.process(code, {**FIXED, **more}, site, before=command).said
    (counted,) = re.findall(r"Collected : (\d+)", said)
    return int(counted)


def main() -> None:
    if shutil.which("valgrind") is None:
        sys.exit("instructions.py needs valgrind")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    print(conditions())
    with tempfile.TemporaryDirectory() as folder:
        site = startup.sites(Path(folder))
        counted: dict[str, list[int]] = {name: [] for name in startup.VARIANTS}
        for code, more, ours in startup.VARIANTS.values():  # byte code and page cache
            startup.process(code, more, site[ours])
        for _ in range(rounds):
            for name, (code, more, ours) in startup.VARIANTS.items():
                counted[name].append(count(code, more, site[ours]))
                print(f"  {name}: {counted[name][-1] / 1e9:.4f} thousand million", flush=True)
    for one, other, target in startup.COMPARED:
        ratios = [a / b for a in counted[one] for b in counted[other]]
        spread = f"({min(ratios):.4f} to {max(ratios):.4f} over {rounds} x {rounds} runs)"
        report(f"instructions, {one} / {other}", statistics.median(ratios), target, spread)


if __name__ == "__main__":
    main()
