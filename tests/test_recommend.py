"""`recommend`: what it writes for a script works, and it leaves alone what was not shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from conftest import Snapshot

from inductor_override.cli import main
from inductor_override.comparison import Comparison
from inductor_override.comparison.arms import Arm
from inductor_override.comparison.question import Question
from inductor_override.comparison.recommend import recommend
from inductor_override.comparison.result import Result, Run
from inductor_override.comparison.schedule import CHECK, ROUND, Step

QUESTION = Question(module="m:n", device="cpu")


def result_of(ratios: list[float], arms: list[str], question: Question = QUESTION) -> Result:
    """A result in which every arm takes so many times as long as the first."""
    parsed = [Arm.parse(each) for each in arms]
    result = Result(question, parsed, 6, 0.01, environment={"torch": "2.13.0+cpu", "device": "x"})
    for number, ratio in enumerate([1.0, *ratios]):
        seen = {"code": f"{number}", "tuned": [], "kernels": {}, "counters": {}, "graph_breaks": 0}
        case = {"case": "model", "compile_seconds": 10.0 + number, "observed": seen, "error": 0.0}
        case |= {"limit": 1.0, "gate": {"asked": 1}}
        result.runs.append(Run(Step(CHECK, number), [case]))
        for place in range(6):
            timed = {**case, "device": [ratio * (1 + 0.001 * place)] * 10, "steady": True}
            result.runs.append(Run(Step(ROUND, number, place), [timed]))
    return result


def test_the_fastest_arm_with_its_figure_and_what_it_costs() -> None:
    found = recommend(
        result_of([0.9, 0.8], ["stock", "min_sms=0", "min_sms=20,epilogue_fusion=False"])
    )
    assert found.arm == "min_sms=20,epilogue_fusion=False"
    assert "0.800" in found.text
    assert "paid for after 10 calls" in found.text
    assert "--min-sms 20 --set=epilogue_fusion=False" in found.environment


@pytest.mark.parametrize(
    "arm",
    ["min_sms=0", "epilogue_fusion=False", "mode=default", "min_sms=0,triton.cudagraphs=False"],
)
def test_what_it_writes_is_python_that_compiles_a_model(arm: str, no_trace: Snapshot) -> None:
    found = recommend(result_of([0.5], ["stock", arm]))
    names = {"torch": torch, "model": torch.nn.Linear(2, 2)}
    exec(found.python, names)
    assert names["model"] is not None
    assert type(names["model"]).__name__ == "OptimizedModule"


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ([1.2], "min_sms=0 is SLOWER"),
        ([1.0001], "min_sms=0 is SAME"),
    ],
)
def test_it_leaves_alone_what_is_not_faster(ratios: list[float], said: str) -> None:
    found = recommend(result_of(ratios, ["stock", "min_sms=0"]))
    assert (found.arm, found.python, found.environment) == (None, "", "")
    assert found.text.startswith("Leave it alone")
    assert said in found.text


def test_arms_that_differ_in_precision_are_remarked() -> None:
    found = recommend(result_of([0.5], ["stock", "precision=high"]))
    assert "set_float32_matmul_precision('high')" in found.python
    assert any("TF32" in remark for remark in found.remarks)


def test_on_the_command_line(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    Comparison(result_of([0.9], ["stock", "min_sms=0"])).write(file)
    done = CliRunner().invoke(main, ["recommend", str(file)])
    assert done.exit_code == 0, done.output
    assert "torch.compile(model, options=options)" in done.output
    assert "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS=0" in done.output
    facts = json.loads(CliRunner().invoke(main, ["recommend", str(file), "--json"]).stdout)
    assert (facts["schema"], facts["arm"]) == (1, "min_sms=0")
    assert CliRunner().invoke(main, ["recommend", str(tmp_path / "none")]).exit_code == 2


def test_convolutions_have_a_list_of_backends_of_their_own() -> None:
    arms = ["stock", "min_sms=0,max_autotune_gemm_backends=TRITON"]
    result = result_of([0.9], arms)
    assert not recommend(result).remarks
    tuned = {"op": "convolution", "failed": 0}
    for run in result.runs:
        for case in run.cases:
            case["observed"]["tuned"] = [tuned]
    (remark,) = recommend(result).remarks
    assert "max_autotune_conv_backends" in remark


@pytest.mark.parametrize(
    ("release", "line"),
    [
        ("2.4.1", "inductor-override run --min-sms 0 -- COMMAND"),
        ("2.5.1+cu124", "TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS=0"),
    ],
)
def test_a_torch_that_does_not_read_the_variable_gets_the_command(release: str, line: str) -> None:
    result = result_of([0.9], ["stock", "min_sms=0"])
    result.environment["torch"] = release
    assert recommend(result).environment.endswith(line)


@pytest.mark.parametrize(("release", "told"), [("2.9.1", False), ("2.15.0+cu132", True)])
def test_candidates_that_torch_does_not_wait_for(release: str, told: bool) -> None:
    result = result_of([0.9], ["stock", "min_sms=0"])
    result.environment["torch"] = release
    for run in result.runs:
        for case in run.cases:
            case["compile_seconds"] = 400.0
    assert any("precompilation_timeout" in remark for remark in recommend(result).remarks) is told


def test_a_comparison_is_a_table_in_a_notebook() -> None:
    shown = Comparison(result_of([0.8], ["stock", "min_sms=0"]))._repr_html_()
    assert "<td>min_sms=0</td><td>FASTER</td>" in shown


@pytest.mark.parametrize(("release", "told"), [("2.10.0", False), ("2.13.0", True)])
def test_candidates_that_could_not_be_run_are_remarked_from_torch_2_11_on(
    release: str, told: bool
) -> None:
    result = result_of([0.9], ["stock", "min_sms=0"])
    result.environment["torch"] = release
    for run in result.runs:
        for case in run.cases:
            case["observed"]["tuned"] = [{"op": "mm", "failed": 3}]
    said = any(remark.startswith("3 candidates could not") for remark in recommend(result).remarks)
    assert said is told


def test_a_remark_is_a_note_on_the_command_line(tmp_path: Path) -> None:
    result = result_of([1.2], ["stock", "min_sms=0"], Question(module="m:n"))
    result.runs[-1].cases[0]["clocks"] = {"why_not": "there is no NVML"}
    file = tmp_path / "result.json"
    Comparison(result).write(file)
    done = CliRunner().invoke(main, ["recommend", str(file)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("Leave it alone")
    assert done.output.endswith("\nNote: clocks were not watched: there is no NVML.\n")
