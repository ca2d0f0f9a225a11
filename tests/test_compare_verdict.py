"""What `compare` concludes from figures, prints, and how it goes on; the figures are made up."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from test_recommend import result_of

from inductor_override.cli import main
from inductor_override.comparison import Comparison, ComparisonError, compare
from inductor_override.comparison.process import ENV_COMPARING
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import Result, Run
from inductor_override.comparison.rounds import _drop_what_has_no_partner, _nothing_to_time
from inductor_override.comparison.schedule import CHECK, NOISE, ROUND, WARM, Step
from inductor_override.comparison.sentences import calls
from inductor_override.comparison.text import as_text
from inductor_override.comparison.verdict import judge
from inductor_override.workload.problem import Problem

ARMS = ["stock", "min_sms=0"]


def test_a_wrong_first_arm_is_said_and_nothing_is_claimed() -> None:
    result = result_of([0.9], ARMS)
    result.runs[0].cases[0]["error"] = 2.0
    (judged,) = judge(result)
    assert (judged.verdict, judged.reasons, judged.ratio) == ("WRONG", ("first-arm-wrong",), None)
    assert judged.text.startswith("The outputs of stock are wrong")
    assert _nothing_to_time(result) == "done"


def test_an_arm_that_is_wrong_in_one_round_only_has_no_times() -> None:
    result = result_of([0.9], ARMS)
    result.runs_of(ROUND, 1)[3].cases[0]["error"] = 2.0
    (judged,) = judge(result)
    assert (judged.verdict, judged.cases, judged.ratio) == ("WRONG", {}, None)

    assert "900" not in as_text(types.SimpleNamespace(result=result))


def with_clocks(result: Result, *clocks: float) -> Result:
    for run in result.runs:
        for case in run.cases:
            if "device" in case:
                case["clocks"] = {"sm_mhz": [clocks[run.step.arm]] * len(case["device"])}
    return result


def test_a_difference_that_is_the_clocks_is_not_the_arms() -> None:
    (judged,) = judge(with_clocks(result_of([0.9], ARMS), 900, 1000))
    assert (judged.verdict, judged.reasons[0]) == ("UNDECIDED", "not-confirmed-in-cycles")
    (judged,) = judge(with_clocks(result_of([0.9], ARMS), 1000, 1000))
    assert judged.verdict == "FASTER"
    (judged,) = judge(with_clocks(result_of([0.8], ARMS), 900, 1000))
    assert judged.verdict == "FASTER", "at another clock, and fewer cycles"


def test_several_products_are_judged_together_and_paid_for_together() -> None:
    problems = (Problem(8, 8, 8), Problem(16, 16, 16))
    result = result_of([0.9], ARMS, Question(problems=problems, device="cpu"))
    for run in result.runs:
        (case,) = run.cases
        slow = {**case, "case": "other"}
        if "device" in case:
            slow["device"] = [100 * (0.5 if run.step.arm else 1)] * 10
        run.cases.append(slow)
    (judged,) = judge(result)
    assert judged.verdict == "FASTER"
    assert judged.ratio is not None
    assert judged.ratio.value == pytest.approx((0.9 * 0.5) ** 0.5, rel=1e-3)
    assert set(judged.cases) == {"model", "other"}
    # 2 s more to compile both, 50.1 s saved with each call of both.
    assert judged.break_even == 1
    text = str(Comparison(result))
    assert text.startswith("2 products: time of a call")
    assert re.search(r"^ +other +0\.5000 ", text, re.MULTILINE), "a row of its own"
    assert "\n  other: the same kernels by name" in text, "and its own differences"


def test_a_difference_that_may_be_too_small_to_matter_is_remarked() -> None:
    result = result_of([0.985], ARMS)
    for number, run in enumerate(result.runs_of(ROUND, 1)):
        run.cases[0]["device"] = [0.975 + 0.0045 * number] * 10
    (judged,) = judge(result)
    assert (judged.verdict, judged.reasons[1]) == ("FASTER", "perhaps-below-min-effect")


def test_what_an_interrupt_left_without_its_partner_is_measured_anew() -> None:
    result = result_of([0.9], ARMS)
    for arm in (0, 1):  # as the schedule has it: a check is followed by its warm process
        check = result.runs_of(CHECK, arm)[0]
        result.runs.append(type(check)(type(check.step)(WARM, arm), check.cases))
    gone = result.runs_of(ROUND, 1)[2]
    result.runs.remove(gone)
    _drop_what_has_no_partner(result)
    assert [run.step.round for run in result.runs_of(ROUND, 0)] == [0, 1, 3, 4, 5]
    assert len(result.runs_of(CHECK, 0)) == 1


def test_a_script_that_a_process_imports_starts_no_other_comparison(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENV_COMPARING, "1")
    with pytest.raises(ComparisonError, match="if __name__ == '__main__'"):
        compare("model.py:build", device="cpu")


def test_going_on_after_a_look_is_remarked() -> None:
    result = result_of([0.9], ARMS)
    result.looks = 1
    assert "looked-at-before" in judge(result)[0].reasons


def printed(result: Result) -> str:
    """What the command line prints, without its line breaks."""
    return " ".join(str(Comparison(result)).split())


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question(module="m:n", train=True, device="cpu"), "m:n, a training step: time of a call"),
        (
            Question(problems=(Problem(8, 16, 32, "linear", "bias+gelu"),)),
            "gelu(linear(a, w) + bias) 8x16x32 float16: device time of a call",
        ),
        (Question(command="python x.py"), "python x.py: seconds of the command"),
        (
            Question(command="python x.py", metric="tokens: (.*)"),
            "python x.py: figure of tokens: (.*)",
        ),
    ],
)
def test_the_first_line_says_what_was_compared(question: Question, words: str) -> None:
    result = result_of([0.9], ARMS, question)
    assert printed(result).startswith(f"{words}, torch 2.13.0+cpu, x, 6 of 6 rounds")
    said = repr(Comparison(result))
    assert said == f"<inductor_override comparison of {question.text}: min_sms=0: FASTER>"


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        ({}, "the same kernels by name, with other code or settings"),
        ({"code": ""}, "no generated code was seen"),
        (
            {"kernels": {"triton_mm_relu": 1}},
            "kernels: triton_mm_relu instead of extern_kernels.mm x2, triton_relu",
        ),
        ({"kernels": {"extern_kernels.mm": 2}}, "kernels: nothing instead of triton_relu"),
        (
            {"kernels": {"extern_kernels.mm": 2, "triton_relu": 1, **dict.fromkeys("abcdef", 1)}},
            "kernels: a, b, c, d and 2 more instead of nothing",
        ),
        ({"counters": {"pad_mm_bench": 3}}, "matrix products padded: 3 instead of 0"),
        ({"graph_breaks": 2}, "graph breaks: 2 instead of 0"),
    ],
)
def test_what_else_an_arm_changed_is_printed(seen: dict[str, Any], line: str) -> None:
    result = result_of([0.9], ARMS)
    for run in result.runs:
        observed = run.cases[0]["observed"]
        observed["kernels"] = {"extern_kernels.mm": 2, "triton_relu": 1}
        if run.step.arm == 1:
            observed.update(seen)
    assert printed(result).endswith(line)


LIBRARY = {"name": "addmm", "kind": "library", "milliseconds": 3.0}
TRITON = {"name": "triton_mm_3", "kind": "triton", "milliseconds": 1.5}


def tuning(*fastest: dict[str, Any], failed: int, op: str = "addmm") -> dict[str, Any]:
    """One operation of which the tuner timed twenty candidates."""
    sizes, library = ["8", "8x16", "16x8"], LIBRARY if fastest else None
    found = {"op": op, "sizes": sizes, "dtype": "float16", "fastest": fastest, "library": library}
    return {**found, "candidates": 20, "failed": failed}


@pytest.mark.parametrize(
    ("tunings", "line"),
    [
        (
            [tuning(TRITON, LIBRARY, failed=0)] * 7,
            "triton_mm_3 won 7 of 7 tunings; 2.00 times as fast as the library, alone",
        ),
        (
            [tuning(TRITON, LIBRARY, failed=1)] * 5 + [tuning(LIBRARY, TRITON, failed=3)] * 2,
            "triton_mm_3 won 5, addmm won 2 of 7 tunings; 1.00 to 2.00 times as fast as the "
            "library, alone; 3 of 20 candidates could not run",
        ),
        (
            [tuning(failed=20)] * 7,
            "none won 7 of 7 tunings; 20 of 20 candidates could not run",
        ),
    ],
)
def test_who_won_each_tuned_operation_is_printed(tunings: list[dict[str, Any]], line: str) -> None:
    """Of all processes of the arm: the tuner's lottery."""
    result = result_of([0.9], ARMS)
    runs = [run for run in result.runs if run.step.arm == 1]
    for run, tuned in zip(runs, tunings, strict=True):
        run.cases[0]["observed"] = {**run.cases[0]["observed"], "tuned": [tuned]}
    text = printed(result)
    assert f" addmm 8, 8x16, 16x8 float16: {line}" in text
    assert text.endswith(line)


def test_of_many_tuned_operations_the_screen_shows_twelve_lines() -> None:
    result = result_of([0.9], ARMS)
    for run in result.runs:
        tuned = [tuning(TRITON, LIBRARY, failed=0, op=f"op{n}") for n in range(20)]
        run.cases[0]["observed"]["tuned"] = tuned
    lines = str(Comparison(result)).splitlines()
    below = lines[next(n for n, line in enumerate(lines) if line.startswith("  why: ")) :]
    assert len(below) == 13
    assert below[-1] == "  and 10 more lines: see --json"


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ({"clocks": {"throttled": {"sw_power_cap": 3}}}, "throttled"),
        ({"error": None, "limit": None}, "outputs-not-checked"),
        ({"steady": False}, "not-steady"),
        ({"gate": {}}, "changed-without-the-gate"),
        ({"observed": {"code": "0", "tuned": []}}, "same-code-as-the-first-arm"),
    ],
)
def test_what_a_reader_must_know_beside_the_interval(found: dict[str, Any], reason: str) -> None:
    result = result_of([0.9], ARMS)
    for run in result.runs:
        if run.step.arm == 1:
            run.cases[0].update(found)
    assert f"why: interval-below-1, {reason}" in printed(result)
    assert judge(result_of([0.9], ARMS))[0].reasons == ("interval-below-1",)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ([], "Noise of this machine: not measured."),
        ([3.0, 0.3, 2.0], "That is too much to compare anything: something else keeps it busy."),
        (
            [1.03, 0.97, 1.03],
            "two processes of stock differ by 4.4% (one standard deviation, 3 pairs); 6 rounds "
            "show a difference of 4.9% about half of the time, 81 rounds one of 1.0%.",
        ),
    ],
)
def test_what_can_be_seen_on_this_machine(second: list[float], said: str) -> None:
    result = result_of([0.9], ARMS)
    for number, seconds in enumerate(second):
        for half, took in enumerate((1.0, seconds)):
            case = {**result.runs[0].cases[0], "device": [took] * 10}
            result.runs.append(Run(Step(NOISE, 0, number, half), [case]))
    assert said in printed(result)


def kept(result: Result, file: Path) -> str:
    result.ended = "done"
    Comparison(result).write(file)
    return str(file)


def run(*arguments: str) -> tuple[int, str]:
    """The exit status, and what was printed, without its line breaks."""
    done = CliRunner().invoke(main, ["compare", *arguments])
    return done.exit_code, " ".join(done.output.split())


def test_two_files_are_a_table_with_what_changed_between_them(tmp_path: Path) -> None:
    older, newer = result_of([0.9], ARMS), result_of([0.45], ARMS)
    newer.environment["torch"] = "2.14.0"
    status, said = run(
        *("--from", kept(newer, tmp_path / "new.json")),
        *("--against", kept(older, tmp_path / "old.json")),
    )
    assert status == 0, said
    assert said.startswith("torch: 2.13.0+cpu in the older file, 2.14.0 in the newer")
    assert re.search(r"stock model SAME 1\.000\d? \(0\.99\d+ to 1\.00\d+\) min_sms=0", said)
    assert re.search(r"min_sms=0 model FASTER 0\.500\d? \(", said)


@pytest.mark.parametrize(
    ("arms", "device", "said"),
    [
        (ARMS, "y", "one is from x, the other from y"),
        (["mode=default", "min_sms=20"], "x", "they have no arm in common"),
    ],
)
def test_files_that_cannot_be_compared(
    tmp_path: Path, arms: list[str], device: str, said: str
) -> None:
    older, newer = result_of([0.9], ARMS), result_of([0.9], arms)
    newer.environment["device"] = device
    files = kept(newer, tmp_path / "new.json"), "--against", kept(older, tmp_path / "old.json")
    assert run("--from", *files) == (2, f"error: the files cannot be compared: {said}")


def test_a_file_can_be_judged_by_another_smallest_effect(tmp_path: Path) -> None:
    file = kept(result_of([0.97], ARMS), tmp_path / "result.json")
    assert "FASTER: min_sms=0 takes 0.97" in run("--from", file)[1]
    assert "SAME: min_sms=0 takes 0.97" in run("--from", file, "--min-effect", "5%")[1]


def in_a_script(x: Any) -> Any:
    """Stands for what a user's own script defines."""
    return x


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ("m.py:Net", "--module m.py:Net"),
        (torch.nn.Identity, "--module torch.nn.modules.linear:Identity"),
        (in_a_script, "--module script.py:in_a_script"),
        (Problem(8, 16, 32), "--shape 8x16x32 --op mm --dtype float16 --epilogue relu"),
        (
            [Problem(8, 16, 32, "bmm", "none", "float32", 4), Problem(1, 2, 3)]
            + [Problem(1, 2, 3, "bmm", "none", "float32", 4)],
            "--shape 8x16x32 --shape 1x2x3 --op bmm --batch 4 --dtype float32 --epilogue none",
        ),
    ],
)
def test_without_a_gpu_it_says_how_explain_is_asked_the_same(
    monkeypatch: pytest.MonkeyPatch, build: Any, words: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(in_a_script, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    monkeypatch.setattr("__main__.__file__", "script.py", raising=False)
    with pytest.raises(ComparisonError) as caught:
        compare(build)
    assert f": inductor-override explain {words} --gpu NAME. " in str(caught.value)


def test_one_call_is_no_plural() -> None:
    assert [calls(number) for number in (1, 2, 1200)] == ["1 call", "2 calls", "1,200 calls"]


def test_products_take_no_inputs() -> None:
    with pytest.raises(ComparisonError, match="inputs belong to a model"):
        compare(Problem(8, 16, 32), ["float32[8]"])


def test_what_a_notebook_defines_must_be_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_a_script, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    with pytest.raises(
        ComparisonError, match=r"%%writefile model\.py\) and give 'model\.py:in_a_s"
    ):
        compare(in_a_script)
