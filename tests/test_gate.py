"""What the gate decides, with torch's own function behind it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch
import torch._inductor.config as config
import torch._inductor.utils as utils
from this_torch import GATE_TAKES_DEVICE, STOCK_MIN_SMS

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
STOCK = STOCK_MIN_SMS
pytestmark = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


def test_torch_alone_refuses_28_sms(ask: Callable[[], bool]) -> None:
    assert ask() is False


def test_zero_lets_every_gpu_through(ask: Callable[[], bool]) -> None:
    with io.override(min_sms=0):
        assert ask() is True
    assert ask() is False


@pytest.mark.parametrize(("min_sms", "passes"), [(27, True), (28, True), (29, False)])
def test_threshold_is_inclusive(ask: Callable[[], bool], min_sms: int, passes: bool) -> None:
    with io.override(min_sms=min_sms):
        assert ask() is passes


def test_threshold_works_upward_too(
    ask: Callable[[], bool], set_sms: Callable[[int], None]
) -> None:
    set_sms(82)
    assert ask() is True
    with io.override(min_sms=100):
        assert ask() is False
    assert ask() is True


def test_minus_one_is_torchs_own_decision(
    ask: Callable[[], bool], set_sms: Callable[[int], None]
) -> None:
    io.enable()
    assert getattr(config, OPTION) == -1
    assert ask() is False
    set_sms(STOCK - 1)
    assert ask() is False
    set_sms(STOCK)
    assert ask() is True
    with config.patch({OPTION: 0}):
        set_sms(1)
        assert ask() is True
        for torch_decides in (-1, -2):
            with config.patch({OPTION: torch_decides}):
                assert ask() is False


def test_the_device_may_be_left_out_where_torch_allows_it(
    set_sms: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    if not GATE_TAKES_DEVICE:
        pytest.skip("the argument is required before torch 2.6")
    with io.override(min_sms=28), pytest.MonkeyPatch.context() as patch:
        if hasattr(utils, "get_gpu_type"):  # from 2.7 on; it asks for a GPU, and there is none
            patch.setattr(utils, "get_gpu_type", lambda: "cuda")
        assert utils.is_big_gpu() is True
        assert utils.is_big_gpu(0) is True
        assert utils.is_big_gpu(index_or_device=0) is True
        with io.override(min_sms=29):
            assert utils.is_big_gpu() is False
    assert "GPU 0 has 28 SMs" in caplog.text


def test_on_rocm_only_zero_changes_something(
    ask: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.0")
    assert ask() is False  # until 2.5 by SMs as on CUDA, from 2.6 on by architecture (major 8)
    with io.override(min_sms=1):
        assert ask() is False
    with io.override(min_sms=0):
        assert ask() is True


def test_a_gpu_that_is_held_back_is_named_once(
    ask: Callable[[], bool], caplog: pytest.LogCaptureFixture
) -> None:
    with io.override(min_sms=29), caplog.at_level(logging.WARNING, "inductor_override"):
        ask()
        ask()
    (record,) = caplog.records
    assert "28 SMs" in record.getMessage()
    assert f"{OPTION} is 29" in record.getMessage()


@pytest.mark.parametrize("bad", ["many", True, 1.5, None])
def test_a_value_that_is_no_int_is_an_error_at_the_gate(
    ask: Callable[[], bool], bad: bool | float | str | None
) -> None:
    io.enable()
    with config.patch({OPTION: bad}), pytest.raises(TypeError, match=f"{OPTION} must be an int"):
        ask()


def test_scope_counts_questions_and_answers(ask: Callable[[], bool]) -> None:
    with io.override(min_sms=28) as outer:
        ask()
        with io.override(min_sms=29) as inner:
            ask()
            ask()
        ask()
    assert (outer.consulted, outer.passed) == (4, 2)
    assert (inner.consulted, inner.passed) == (2, 0)


def test_torchs_cache_methods_are_still_there(ask: Callable[[], bool]) -> None:
    with io.override(min_sms=0):
        utils.is_big_gpu.cache_clear()
        assert utils.is_big_gpu.cache_info().hits == 0
