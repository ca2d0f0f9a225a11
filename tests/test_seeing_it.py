"""How a user sees the override: status on the command line, and in torch's structured trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch._inductor.config as config
from this_torch import HAS_TRACE, READS_VARIABLES, RELEASE

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_status_follows_what_happens() -> None:
    assert (io.status().installed, io.status().live, io.status().min_sms) == (False, False, None)
    assert "No scope is open here" in io.status().verdict
    io.enable(min_sms=30)
    with pytest.warns(io.NoEffectWarning), io.override(min_sms=3):
        now = io.status()
        assert (now.installed, now.live, now.min_sms, now.process_min_sms) == (True, True, 3, 30)
        assert (now.scopes_open, now.held_by) == (1, ("enable", "scope"))
    assert io.status().min_sms == 30
    io.disable()
    assert io.status().held_by == ()
    io.options("max-autotune", min_sms=0)
    assert "brings its own value" in io.status().verdict


@pytest.mark.same_everywhere
def test_status_on_the_command_line() -> None:
    done = run("-m", "inductor_override", "status")
    assert done.returncode == 0, done.stderr
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines()[1:])
    assert rows["torch"].strip().startswith(f"{RELEASE[0]}.{RELEASE[1]}.")
    assert rows["override"].strip() == "off: torch decides"


@pytest.mark.slow
def test_status_as_json_with_the_variable_set() -> None:
    done = run(
        *("-m", "inductor_override", "status", "--json"),
        TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS="28",
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["min_sms"] == 28
    assert facts["live"] is True
    assert facts["unsupported"] is None
    assert facts["known"].startswith("2.0 to 2.")
    assert facts["patch_module"] == io.status().patch_module
    assert (facts["installed"], facts["scopes_open"], facts["foreign"]) == (True, 0, [])
    assert facts["held_by"] == ["enable", "environment"] if READS_VARIABLES else ["enable"]
    assert facts["verdict"] == "on: GPUs with 28 SMs or more pass"


@pytest.mark.same_everywhere
@pytest.mark.slow
def test_status_exits_with_3_on_a_torch_of_another_shape() -> None:
    code = (
        "import torch._inductor.utils as utils; del utils.is_big_gpu\n"
        "from inductor_override.cli import main; main(['status', *__import__('sys').argv[1:]])"
    )
    done = run("-c", code)
    assert done.returncode == 3
    assert "torch._inductor.utils has no is_big_gpu" in done.stderr
    assert "Traceback" not in done.stderr
    rows = dict(line.split("  ", 1) for line in done.stdout.splitlines()[1:])
    assert rows["override"].strip() == "off: nothing was changed, see the problem"
    assert "torch._inductor.utils has no is_big_gpu" in rows["problem"]


def test_status_tells_why_a_torch_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.delattr("torch._inductor.utils.is_big_gpu")
        with pytest.raises(io.UnsupportedTorchError):
            io.enable()
        assert "nothing was changed" in io.status().verdict
        assert "has no is_big_gpu" in (io.status().problem or "")
    io.enable()
    assert (io.status().live, io.status().problem) == (True, None)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TRACE, reason="torch has a structured trace from 2.3 on")
def test_the_override_is_in_torchs_trace(tmp_path: Path) -> None:
    code = """
import torch, inductor_override as io
f = torch.compile(lambda x: x @ x)
with io.override(min_sms=28):
    f(torch.ones(4, 4))
torch._dynamo.reset()
f(torch.ones(4, 4))
torch.compile(lambda x: x @ x, options=io.options(min_sms=8))(torch.ones(4, 4))
"""
    done = run("-c", code, TORCH_TRACE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (trace,) = tmp_path.glob("*.log")
    lines = trace.read_text().splitlines()
    ours = [i for i, line in enumerate(lines) if '"name": "inductor_override"' in line]
    assert len(ours) == 2, "one artifact for each graph under an override, none for the other"
    assert f'"{OPTION}": 28' in lines[ours[0] + 1]
    assert f'"{OPTION}": 8' in lines[ours[1] + 1]


def test_the_variable_has_an_effect_after_enable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "0")
    io.enable()
    assert io.status().problem is None
    assert io.status().verdict == "on: every GPU passes"


def test_the_verdict_of_a_value_that_was_assigned() -> None:
    io.enable()
    with config.patch(max_autotune_gemm_min_sms=-2):
        assert io.status().verdict.startswith("off: torch decides")
    with config.patch(max_autotune_gemm_min_sms="zero"):
        assert io.status().verdict.startswith("broken")


def test_status_tells_why_the_variable_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process had imported Inductor before it was set."""
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "0")
    problem = io.status().problem
    assert problem is not None
    if READS_VARIABLES:
        assert "was set after torch had imported Inductor" in problem
    else:
        assert "alone has no effect in this process" in problem
        assert "inductor-override run" in problem


def test_status_tells_that_the_switch_came_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(io.NoEffectWarning), io.override(min_sms=7):
        monkeypatch.setenv("INDUCTOR_OVERRIDE_DISABLE", "1")
        assert (io.status().live, io.status().min_sms) == (True, 7)
        assert "came too late" in io.status().verdict
    assert io.status().verdict == "off: INDUCTOR_OVERRIDE_DISABLE=1"


@pytest.mark.parametrize("value", ["zero", None, 2.5, True])
def test_status_tells_which_assigned_value_the_gate_cannot_use(
    value: bool | float | str | None, ask: Callable[[], bool]
) -> None:
    io.enable()
    setattr(config, OPTION, value)
    problem = io.status().problem
    assert problem is not None
    assert f"it is {value!r}" in problem
    with pytest.raises(TypeError) as raised:
        ask()
    assert str(raised.value) == problem


def test_status_says_what_its_values_mean() -> None:
    io.enable()
    rows = dict(line.split("  ", 1) for line in str(io.status()).splitlines())
    assert rows[OPTION].strip() == "-1 (torch decides)"


def test_a_bad_value_of_the_switch_or_the_variable_is_said_by_the_api_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where torch reads no variables: until 2.4, and where backends are not loaded."""
    monkeypatch.setenv("INDUCTOR_OVERRIDE_DISABLE", "true")
    monkeypatch.setenv("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "many")
    for _ in range(2):
        io.enable()
    assert caplog.text.count("INDUCTOR_OVERRIDE_DISABLE='true' switches nothing off") == 1
    assert caplog.text.count("MIN_SMS='many' is ignored") == 1


def test_status_imports_nothing_under_the_lock() -> None:
    """An import waits for other threads that import, and they may wait for the lock."""
    code = """
import sys
import inductor_override
from inductor_override.install.installation import installation

class Recording:
    def find_spec(self, name, path=None, target=None):
        if installation.lock._is_owned():
            print(name)

sys.meta_path.insert(0, Recording())
inductor_override.status()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
