"""The override, the caches and `compare` on real hardware, small or large.

On a GPU with 68 SMs or more torch's own gate is open, and `min_sms=100000` shuts it: the same
question from the other side.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

import inductor_override as io
from inductor_override.tuning import TRITON, Tuned, listening

SHUT = 100_000


def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.relu(a @ b)


def tuned_under(min_sms: int, **how: Any) -> tuple[list[Tuned], io.Scope]:
    """What the tuner timed, with the gate open from `min_sms` on; the outputs are checked."""
    torch._dynamo.reset()
    a, b = (torch.randn(512, 512, device="cuda", dtype=torch.float16) for _ in range(2))
    found: list[Tuned] = []
    with listening(found.append), io.override(min_sms=min_sms, **how) as scope:
        out = torch.compile(product, mode="max-autotune-no-cudagraphs")(a, b)
    right = torch.relu(a.double() @ b.double())
    error = (out.double() - right).norm() / right.norm()
    assert error < 1e-3
    return found, scope


def kinds(found: list[Tuned]) -> set[str]:
    return {timed.kind for each in found for timed in each.fastest}


def test_the_gate_is_open_or_shut_as_asked_and_torch_is_left_as_it_was() -> None:
    import torch._inductor.utils as utils

    before = utils.is_big_gpu
    shut, scope = tuned_under(SHUT)
    assert (scope.consulted > 0, scope.passed) == (True, 0)
    assert TRITON not in kinds(shut)
    opened, scope = tuned_under(0)
    assert scope.passed == scope.consulted > 0
    assert TRITON in kinds(opened)
    assert utils.is_big_gpu is before
    assert not io.status().installed


def test_the_number_of_sms_of_this_gpu_is_the_threshold() -> None:
    sms = torch.cuda.get_device_properties(0).multi_processor_count
    assert tuned_under(sms)[1].passed > 0
    assert tuned_under(sms + 1)[1].passed == 0


def test_artifacts_with_and_without_the_override_are_kept_apart() -> None:
    hits = []
    for min_sms in (SHUT, 0, SHUT, 0):
        counters.clear()
        tuned_under(min_sms)
        hits.append(counters["inductor"]["fxgraph_cache_hit"])
    assert hits == [0, 0, 1, 1]


def test_a_forced_template_computes_what_the_library_computes() -> None:
    found, _ = tuned_under(0, max_autotune_gemm_backends="TRITON")
    assert kinds(found) == {TRITON}


def test_a_training_step_is_tuned_forward_and_backward() -> None:
    torch._dynamo.reset()
    model = torch.nn.Linear(256, 256, device="cuda", dtype=torch.float16)
    found: list[Tuned] = []
    with listening(found.append), io.override(min_sms=0) as scope:
        compiled = torch.compile(model, mode="max-autotune-no-cudagraphs")
        compiled(torch.randn(64, 256, device="cuda", dtype=torch.float16)).sum().backward()
    assert scope.passed == scope.consulted >= 2
    assert len(found) >= 2


@pytest.mark.parametrize("arm", ["min_sms=0", f"min_sms={SHUT}"])
def test_compare_measures_on_the_device(tmp_path: Path, arm: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inductor_override", "compare", "--shape", "512x512x512", "--json"]
        + ["--arm", "stock", "--arm", arm, "--rounds", "2", "--seconds", "0.2"]
        + ["--output", str(tmp_path / "result.json")],
        capture_output=True,
        text=True,
    )
    big = torch.cuda.get_device_properties(0).multi_processor_count >= 68
    if (arm == "min_sms=0") == big:
        # The gate stands as torch has it: the same code, though the gate was asked.
        assert done.returncode in (0, 6), done.stderr
        return
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    timed = [run for run in facts["runs"] if run["step"]["phase"] == "round"]
    assert len(timed) == 4
    for run in timed:
        (case,) = run["cases"]
        assert len(case["device"]) >= 10
        assert all(0 < d <= w * 1.05 for d, w in zip(case["device"], case["wall"], strict=True))
        assert case["error"] <= case["limit"]
        assert case["observed"]["tuned"]
