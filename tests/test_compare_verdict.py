"""What `compare` concludes from figures, and how it goes on; the figures are made up."""

from __future__ import annotations

import types

import pytest
from test_recommend import result_of

from inductor_override.comparison import ComparisonError, compare
from inductor_override.comparison.process import ENV_COMPARING
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import Result
from inductor_override.comparison.rounds import _drop_what_has_no_partner, _nothing_to_time
from inductor_override.comparison.schedule import CHECK, ROUND, WARM
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
