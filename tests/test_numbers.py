"""The forced kernels compute the right numbers: run by Triton's interpreter, against float64."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from this_torch import INTERPRETER_COUNTS

from inductor_override.simulation import SimulationError, toolchain

pytestmark = [
    pytest.mark.simulated,
    pytest.mark.slow,
    pytest.mark.skipif(
        not INTERPRETER_COUNTS, reason="Triton's interpreter before torch 2.9 fails with numpy 2"
    ),
]

LOWER = """
import json, sys
from inductor_override import catalogue
from inductor_override.explanation.assembly import _templates
from inductor_override.simulation import hardware, lower_graphs
from inductor_override.simulation.lowering import trace
from inductor_override.workload.problem import Problem
hardware.install_gpu(catalogue.find("RTX 3060"))
import inductor_override as io
from torch._inductor.select_algorithm import AlgorithmSelectorCache

select, first = AlgorithmSelectorCache.__call__, 0

def reordered(self, name, choices, *args, **kwargs):
    # The stand-in for timing takes the first Triton candidate: let it be another one.
    return select(self, name, choices[first:] + choices[:first], *args, **kwargs)

AlgorithmSelectorCache.__call__ = reordered
kernels, offered = {}, 0
with io.override(min_sms=0):
    for op in ("mm", "addmm"):
        problem = Problem(128, 96, 128, op=op)
        graph = trace(problem.compute, problem.sizes, problem.dtype)
        first, count = 0, 1
        while first < count:
            [lowering] = lower_graphs([graph])
            [selection] = lowering.selections
            count = len(selection.choices)
            kernels.setdefault(_templates(lowering.source), (op, selection.kernel))
            first += 1
        offered += sum(c.kind == "triton" for c in selection.choices)
print(json.dumps([len(kernels), offered]))
json.dump([[op, name, code] for code, (op, name) in kernels.items()], open(sys.argv[1], "w"))
"""

RUN = """
import json, re, sys
import torch
import triton.language as tl

errors = []
for op, name, code in json.load(open(sys.argv[1])):
    # Without torch's launcher, which wants a driver.
    code = re.sub(r"^@triton_heuristics\\\\.template\\\\(.*?^\\\\)$", "", code, flags=re.M | re.S)
    path = sys.argv[1] + ".py"
    open(path, "w").write(code)
    module = {"__name__": "kernel"}
    exec(compile(code, path, "exec"), module)
    import linecache
    linecache.checkcache(path)
    kernel = module[name]
    torch.manual_seed(0)
    a, b = (torch.randn(s, dtype=torch.float16) for s in ((128, 96), (96, 128)))
    out = torch.empty(128, 128, dtype=torch.float16)
    rows, columns = (
        int(re.search(rf"{each} : tl.constexpr = (\\\\d+)", code)[1])
        for each in ("BLOCK_M", "BLOCK_N")
    )
    grid = (-(-128 // rows) * -(-128 // columns), 1, 1)
    wide = a.double() @ b.double()
    given = {"arg_A": a, "arg_B": b, "in": torch.randn(128, dtype=torch.float16), "out": out}
    takes = re.search(rf"def {name}\\((.*?)\\)", code)[1].split(", ")
    kernel[grid](*(given[each if each in given else each.partition("_")[0]] for each in takes))
    expected = torch.relu(wide + given["in"].double() if op == "addmm" else wide)
    errors.append(float((out.double() - expected).norm() / expected.norm()))
print(json.dumps(errors))
"""


def test_every_tile_of_the_default_space_is_right(tmp_path: Path) -> None:
    """With relu: Triton's interpreter has no exp and no erf of libdevice's."""
    try:
        toolchain.check()
    except SimulationError as error:
        pytest.skip(str(error))
    kernels = str(tmp_path / "kernels.json")

    def python(code: str, *arguments: str, **environment: str) -> list[float]:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "TORCHINDUCTOR_CACHE_DIR": str(tmp_path),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said: list[float] = json.loads(done.stdout.splitlines()[-1])
        return said

    distinct, offered = python(LOWER, kernels)
    assert offered >= 30
    assert distinct >= offered, "each candidate gave a kernel of its own"
    errors = python(RUN.replace("\\\\", "\\"), kernels, TRITON_INTERPRET="1")
    assert len(errors) >= offered
    assert max(errors) < 1e-3
