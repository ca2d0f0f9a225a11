"""What is asked for wrongly changes nothing, and is answered with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch._inductor.config as config
from conftest import Snapshot
from this_torch import FORCES_OPTIONS, KNOWS_TYPES_OF_OPTIONS

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
quiet = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


@pytest.mark.parametrize("entry", [io.override, io.enable, lambda v: io.options(min_sms=v)])
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (-1, ValueError),
        (True, TypeError),
        (False, TypeError),
        ("28", TypeError),
        (28.0, TypeError),
        ([], TypeError),
    ],
)
def test_min_sms_says_what_was_given_and_what_is_allowed(
    entry: Callable[..., Any], bad: object, error: type[Exception], no_trace: Snapshot
) -> None:
    with pytest.raises(error, match="int >= 0") as caught:
        entry(bad)
    assert repr(bad) in str(caught.value)
    assert no_trace.differences() == []


def test_min_sms_none_is_only_for_enable() -> None:
    with pytest.raises(TypeError, match="int >= 0"):
        io.override(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="int >= 0"):
        io.options(min_sms=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("entry", [io.override, io.options])
def test_an_unknown_option_names_the_nearest(entry: Callable[..., Any], no_trace: Snapshot) -> None:
    with pytest.raises(ValueError, match=r"no option 'max_autotun'.*'max_autotune'"):
        entry(max_autotun=True)
    with pytest.raises(ValueError, match=r"no option 'min_sm'; did you mean 'min_sms'"):
        entry(min_sm=0)
    with pytest.raises(TypeError, match="min_sms"):
        entry(**{OPTION: 3})
    assert no_trace.differences() == []


@pytest.mark.parametrize("installed", [True, False])
def test_the_option_s_own_name_is_no_suggestion(installed: bool) -> None:
    """`override` refuses it: the threshold is `min_sms` there."""
    if installed:
        io.enable(min_sms=0)
    with pytest.raises(ValueError, match="no option") as caught:
        io.override(max_autotune_gemm_minsms=28)
    assert repr(OPTION) not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mode": "max-autotune"}, "give the mode to torch.compile"),
        ({"triton": {"cudagraphs": False}}, r"it is a group of options, such as \*\*{'triton\."),
        ({"epilogue_fussion": True}, "did you mean 'epilogue_fusion'"),
    ],
)
def test_an_unknown_option_says_what_to_write(
    given: dict[str, Any], said: str, no_trace: Snapshot
) -> None:
    with pytest.raises(ValueError, match=said):
        io.override(**given)
    assert no_trace.differences() == []


def test_override_without_parentheses_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"write @override\(\)"):

        @io.override  # type: ignore[arg-type]
        def function() -> None:
            pass


@quiet
@pytest.mark.parametrize("entry", [io.override, io.options])
def test_a_value_of_another_kind_is_refused(entry: Callable[..., Any], no_trace: Snapshot) -> None:
    """A text is true, so torch would take "no" for yes."""
    with pytest.raises(TypeError, match=r"epilogue_fusion is bool, True or False; got 'no'"):
        entry(epilogue_fusion="no")
    for bad in ("4", True):  # torch.compile(options=) does not take True for a number either
        with pytest.raises(TypeError, match="compile_threads is int"):
            entry(compile_threads=bad)
    with pytest.raises(TypeError, match="epilogue_fusion is bool"):
        entry(epilogue_fusion=2)
    assert no_trace.differences() == []
    entry(epilogue_fusion=0)
    if entry is io.override or KNOWS_TYPES_OF_OPTIONS:  # before, only None
        entry(**{"cpp.simdlen": 8})  # None at first: says nothing about its kind


def test_an_unknown_mode_names_the_nearest(no_trace: Snapshot) -> None:
    with pytest.raises(ValueError, match="no mode 'max-autotone'; did you mean 'max-autotune'"):
        io.options(mode="max-autotone")
    assert no_trace.differences() == []


def test_an_int_subclass_becomes_a_plain_int() -> None:
    class Count(int):
        pass

    assert type(io.options(min_sms=Count(3))[OPTION]) is int


@pytest.mark.skipif(not FORCES_OPTIONS, reason="options forced by the environment came with 2.6")
def test_an_option_that_cannot_take_effect_is_refused(no_trace: Snapshot) -> None:
    entry = config._config["epilogue_fusion"]
    entry.env_value_force = True
    try:
        with pytest.raises(ValueError, match="epilogue_fusion=False cannot take effect"):
            io.override(min_sms=0, max_autotune=True, epilogue_fusion=False).__enter__()
        del entry.env_value_force
        assert no_trace.differences() == []
    finally:
        vars(entry).pop("env_value_force", None)
        if "env_value_force" not in vars(type(entry)):
            entry.env_value_force = entry.env_value_default


def test_isolate_is_true_or_false() -> None:
    with pytest.raises(TypeError, match="isolate must be True or False; got 'no'"):
        io.override(isolate="no")  # type: ignore[arg-type]


def test_a_number_for_a_bool_option_becomes_a_bool() -> None:
    """torch.compile(options=) takes nothing else."""
    assert io.options(min_sms=0, max_autotune=1)["max_autotune"] is True


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "many", "'many' is ignored"),
        ("TORCHINDUCTOR_MAX_AUTOTUNE_GEMM_MIN_SMS", "-2", "'-2' is ignored"),
        ("INDUCTOR_OVERRIDE_DISABLE", "2", "'2' switches nothing off"),
        ("INDUCTOR_OVERRIDE_DISABLE", "", None),
        ("INDUCTOR_OVERRIDE_DISABLE", " 0 ", None),
        ("INDUCTOR_OVERRIDE_SETTINGS", "[1]", "must be a JSON object"),
        ("INDUCTOR_OVERRIDE_SETTINGS", "{1}", "must be a JSON object"),
        ("INDUCTOR_OVERRIDE_SETTINGS", '{"max_autotune": true}', None),
    ],
)
def test_a_variable_that_cannot_be_used_is_the_problem_that_status_names(
    name: str, text: str, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    found = io.status()
    assert found.disabled is False
    assert (said in (found.problem or "")) if said else found.problem is None


@quiet
def test_a_function_is_a_value_of_an_option_that_takes_one() -> None:
    """`estimate_op_runtime` takes "default" or a function, as the config itself says."""
    if not hasattr(config, "estimate_op_runtime"):
        pytest.skip("this torch has no option estimate_op_runtime")

    def estimate(node: object) -> float:
        return 1.0

    with io.override(min_sms=0, estimate_op_runtime=estimate):
        assert config.estimate_op_runtime is estimate
    with pytest.raises(TypeError, match="estimate_op_runtime is str"):
        io.override(min_sms=0, estimate_op_runtime=3)
