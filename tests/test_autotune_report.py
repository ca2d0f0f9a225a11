"""torch's own selection of a kernel, and what it reports, for the simulated GPU.

Here the simulation's stand-in for the selection is taken out again. Only what needs the hardware
is stood in for: compiling a candidate down to the GPU, and timing it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from this_torch import HAS_AOT_CACHE

from inductor_override.simulation import SimulationError, toolchain

SCRIPT = """
import json, logging
import inductor_override as io
from inductor_override import catalogue
from inductor_override.simulation import install_gpu, lower

install_gpu(catalogue.find("RTX 3060"))
import torch._inductor.config as config
from inductor_override.tuning import Listener
from torch._inductor import select_algorithm
from torch._inductor.select_algorithm import AlgorithmSelectorCache, TritonTemplateCaller

AlgorithmSelectorCache.__call__ = AlgorithmSelectorCache.__call__.__wrapped__

def time_them(*args, **kwargs):
    return lambda choices: {
        choice: 1.0 + i if isinstance(choice, TritonTemplateCaller) else 5.5
        for i, choice in enumerate(choices)
    }

AlgorithmSelectorCache.make_benchmark_fn = staticmethod(time_them)
TritonTemplateCaller.precompile = lambda self: None

reports = []
select_algorithm.add_feedback_saver(
    lambda timings, name, inputs, choices, *more: reports.append(
        (name, [choice.name for choice in choices], {c.name: t for c, t in timings.items()})
    )
)
heard = []
Listener(heard.append).attach()
seen = {}
for step, min_sms in (("stock", None), ("override", 0), ("after", None)):
    reports.clear()
    # Fusing an epilogue is not timed: that would need the hardware too.
    with config.patch({"benchmark_epilogue_fusion": False}):
        if min_sms is None:
            result = lower(256, 128, 512)
        else:
            with io.override(min_sms=min_sms):
                result = lower(256, 128, 512)
    seen[step] = {"kernels": result.kernels, "reports": list(reports)}
seen["heard"] = [each.to_dict() for each in heard]
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    if not HAS_AOT_CACHE:
        pytest.skip("torch tells what was tuned from 2.6 on")
    try:
        toolchain.check()
    except SimulationError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path_factory.mktemp("inductor"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.mark.slow
@pytest.mark.simulated
class TestReport:
    def test_it_lists_the_candidates_of_the_override(
        self, seen: tuple[dict[str, Any], str]
    ) -> None:
        [(name, candidates, timings)] = seen[0]["override"]["reports"]
        assert name == "mm"
        assert candidates[0] == "mm"
        assert len(candidates) > 10
        assert timings.keys() == set(candidates)

    def test_torch_takes_the_fastest(self, seen: tuple[dict[str, Any], str]) -> None:
        assert seen[0]["override"]["kernels"] == ["triton_tem_fused_mm_relu_0"]

    def test_without_the_override_there_is_nothing_to_report(
        self, seen: tuple[dict[str, Any], str]
    ) -> None:
        for step in ("stock", "after"):
            assert seen[0][step]["reports"] == []
            assert seen[0][step]["kernels"][0] == "extern_kernels.mm"

    def test_the_package_reads_who_won_and_by_how_much(
        self, seen: tuple[dict[str, Any], str]
    ) -> None:
        [tuned] = seen[0]["heard"]
        assert (tuned["op"], tuned["sizes"]) == ("mm", ["256x128", "128x512"])
        assert tuned["fastest"][0]["kind"] == "triton"
        assert tuned["library"] == {"name": "mm", "kind": "library", "milliseconds": 5.5}
        assert tuned["over_library"] == 5.5 / tuned["fastest"][0]["milliseconds"]

    def test_torchs_table_is_printed(self, seen: tuple[dict[str, Any], str]) -> None:
        assert "AUTOTUNE mm(256x128, 128x512)" in seen[1]
        assert "triton_mm_0" in seen[1]
