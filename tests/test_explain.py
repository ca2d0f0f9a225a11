"""An explanation is true, whatever the user's environment holds, and says what it does not know."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from rich.console import Console

from inductor_override import catalogue
from inductor_override.cli import explain_text
from inductor_override.explain import Outcome, Report, Side, explain, process
from inductor_override.simulation import SimulationError, toolchain

# (gpu, min_sms, m, k, n): one process explains them all.
ASKED = {
    "small": ("RTX 3060", 0, 256, 128, 512),
    "big": ("RTX 3090", 0, 256, 128, 512),
    "held back": ("RTX 3090", 100, 256, 128, 512),
    "still small": ("RTX 3060", 29, 256, 128, 512),
    "no gemm": ("RTX 3060", 0, 256, 1, 512),
}

SCRIPT = """
import dataclasses, json, sys
from inductor_override import catalogue
from inductor_override.explain.__main__ import reply_to

replies = {}
for name, (gpu, min_sms, m, k, n) in json.loads(sys.argv[1]).items():
    replies[name] = reply_to({
        "gpu": dataclasses.asdict(catalogue.find(gpu)),
        "lower": {"m": m, "k": k, "n": n, "dtype": "float16"},
        "min_sms": min_sms,
    })
print(json.dumps(replies))
"""


@pytest.fixture(scope="module")
def found():
    """The torch and Triton of this environment."""
    try:
        return toolchain.check()
    except SimulationError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def reports(found):
    """Reports by their names in ASKED, from the real lowering."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    child = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(ASKED)],
        env=environment,
        capture_output=True,
        text=True,
    )
    if "ToolchainError" in child.stderr:
        pytest.skip(child.stderr.splitlines()[-1])
    assert child.returncode == 0, child.stderr
    made = {}
    for name, reply in json.loads(child.stdout).items():
        gpu, _, m, k, n = ASKED[name]
        made[name] = Report(
            torch=found.torch,
            triton=found.triton,
            gpu=catalogue.find(gpu),
            m=m,
            k=k,
            n=n,
            dtype="float16",
            stock=Side.from_dict(reply["stock"]),
            override=Side.from_dict(reply["override"]),
        )
    return made


@pytest.fixture
def text(reports):
    """What a person reads, in one line."""

    def read(name):
        console = Console(width=300, highlight=False)
        with console.capture() as capture:
            explain_text.show(reports[name], console)
        return " ".join(capture.get().split())

    return read


@pytest.mark.simulated
class TestOutcomes:
    def test_a_small_gpu_is_opened(self, reports, text):
        report = reports["small"]
        assert report.outcome is Outcome.OPENED
        assert report.changes_code
        threshold = report.stock.required_sms
        count = len(report.override.candidates)
        assert len(report.stock.candidates) == 1
        assert count > 10
        assert report.override.consulted >= 1
        said = text("small")
        assert f"closed: 28 SMs < {threshold}" in said
        assert "open: 28 SMs >= 0" in said
        assert f"it has 28 SMs, and torch's gate asks for {threshold}." in said
        assert f"Inductor has {count} candidates instead of 1 to time." in said
        assert f"{count - 1}: triton_mm_0 to triton_mm_{count - 2}" in said
        assert "extern_kernels.mm" in said

    def test_for_a_big_gpu_nothing_changes(self, reports, text):
        report = reports["big"]
        assert report.outcome is Outcome.OPEN_ANYWAY
        assert not report.changes_code
        assert len(report.stock.candidates) == len(report.override.candidates) > 10
        said = text("big")
        assert "The override changes nothing here: NVIDIA GeForce RTX 3090 has 82 SMs" in said
        assert f"open: 82 SMs >= {report.stock.required_sms}" in said

    def test_a_big_gpu_is_held_back(self, reports, text):
        report = reports["held back"]
        assert report.outcome is Outcome.HELD_BACK
        assert len(report.stock.candidates) > 10
        assert len(report.override.candidates) == 1
        said = text("held back")
        assert "override(min_sms=100) holds it back (82 SMs < 100)" in said
        assert "Inductor has 1 candidate instead of" in said

    def test_a_min_sms_above_the_gpu_opens_nothing(self, reports, text):
        report = reports["still small"]
        assert report.outcome is Outcome.CLOSED_ANYWAY
        assert not report.changes_code
        assert "28 SMs are fewer than min_sms=29" in text("still small")
        assert "min_sms=28 or less opens the gate" in text("still small")

    def test_a_product_without_a_gemm_is_not_called_tuned(self, reports, text):
        report = reports["no gemm"]
        if report.override.candidates:
            pytest.skip(f"torch {report.torch} computes it with a GEMM")
        assert not report.changes_code
        assert "there is nothing to tune" in text("no gemm")

    def test_every_text_says_that_nothing_was_timed(self, reports, text):
        for name in reports:
            assert "Nothing is timed here" in text(name)
            assert "what it can choose from, not what is faster" in text(name)


@pytest.mark.simulated
def test_the_json_has_the_same_facts(reports):
    report = reports["small"]
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["gpu"]["name"] == "NVIDIA GeForce RTX 3060"
    assert facts["gpu"]["simulated"] is True
    assert facts["shape"] == {"m": 256, "k": 128, "n": 512}
    assert facts["outcome"] == "opened"
    stock, override = facts["stock"], facts["override"]
    assert stock["candidates"] == {"count": 1, "vendor": 1, "triton": 0, "other": 0}
    assert stock["gate_open"] is False
    assert stock["kernels"] == list(report.stock.lowering.kernels)
    assert override["candidates"]["vendor"] == 1
    assert override["candidates"]["triton"] == override["candidates"]["count"] - 1
    assert [s["op"] for s in override["selections"]] == ["mm"]
    assert override["triton_template"] is True
    assert "Nothing is timed" in facts["note"]


@pytest.mark.simulated
def test_no_setting_and_no_file_of_the_user_changes_the_answer(
    reports, tmp_path, monkeypatch, capfd
):
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "0")
    monkeypatch.setenv("INDUCTOR_OVERRIDE_DISABLE", "1")
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_BACKENDS", "ATEN")
    monkeypatch.setenv("TORCH_LOGS", "+inductor")
    (tmp_path / "types.py").write_text("raise SystemExit('imported from the working folder')")
    monkeypatch.chdir(tmp_path)
    report = explain(catalogue.find("RTX 3060"), m=256, k=128, n=512)
    assert report.to_dict() == reports["small"].to_dict()
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path) == ["types.py"]
    assert torch.cuda.get_device_properties(0).name == "stand-in"  # conftest's, untouched


@pytest.mark.simulated
def test_a_process_that_dies_shows_what_it_printed(found, tmp_path, monkeypatch):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'out of memory' >&2\nexit 137\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(process.ChildFailed, match="exit 137") as caught:
        explain(catalogue.find("RTX 3060"))
    assert caught.value.output == "out of memory\n"
