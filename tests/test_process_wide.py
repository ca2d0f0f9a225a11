"""The value of `enable` and `disable` reaches every thread, whatever was compiled there before."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch._inductor.config as config
from conftest import InThread
from this_torch import CONFIG_HAS_ENTRIES, VALUES_PER_THREAD

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
pytestmark = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


def with_options(compiled: Callable[..., Any]) -> None:
    compiled(options=io.options(min_sms=5))


def in_torchs_patch(compiled: Callable[..., Any]) -> None:
    with config.patch({OPTION: 5}):
        compiled()


@pytest.mark.parametrize("what", [with_options, in_torchs_patch])
def test_a_thread_where_torch_has_put_back_what_it_found(
    what: Callable[[Callable[..., Any]], None],
    compiled: Callable[..., Any],
    lowered: list[int | None],
    ask: Callable[[], bool],
    in_thread: InThread,
) -> None:
    """At their end they assign it, in that thread: nobody's wish, so no reason to rule."""
    io.enable(min_sms=0)
    in_thread(lambda: what(compiled))
    io.enable(min_sms=40)
    in_thread(compiled)
    assert in_thread(ask) is False  # of 28 SMs
    assert in_thread(lambda: getattr(config, OPTION)) == 40
    with io.override(min_sms=1):  # keeps the option there
        io.disable()
        if VALUES_PER_THREAD:
            in_thread(compiled)
    assert lowered == ([5, 40, -1] if VALUES_PER_THREAD else [5, 40])


@pytest.mark.parametrize("what", [with_options, in_torchs_patch])
def test_torchs_config_shows_the_newest_value(
    what: Callable[[Callable[..., Any]], None], compiled: Callable[..., Any]
) -> None:
    io.enable(min_sms=24)
    what(compiled)
    io.enable(min_sms=46)
    assert getattr(config, OPTION) == 46


def test_enable_within_a_scope_after_options(
    compiled: Callable[..., Any], lowered: list[int | None]
) -> None:
    with_options(compiled)
    with io.override(min_sms=3):
        compiled()
        io.enable(min_sms=0)
        compiled()
    compiled()
    assert lowered == [5, 3, 3, 0]
    assert io.status().min_sms == 0


def test_an_assignment_rules_over_enable_in_its_thread(
    compiled: Callable[..., Any], lowered: list[int | None], in_thread: InThread
) -> None:
    io.enable(min_sms=0)

    def assign() -> None:
        setattr(config, OPTION, 9)
        compiled()
        io.status()

    in_thread(assign)
    if CONFIG_HAS_ENTRIES:  # before, enable() overwrites it
        io.enable(min_sms=40)
    in_thread(compiled)
    assert lowered == [9, 9]


@pytest.mark.skipif(not CONFIG_HAS_ENTRIES, reason="until 2.5 the config is a dict of plain values")
def test_what_leaves_the_config_is_a_plain_int() -> None:
    """A process that loads it may not have the package."""
    io.enable(min_sms=40)
    for value in (
        config.get_config_copy()[OPTION],
        pickle.loads(config.save_config())[OPTION],
        config._get_dict()[OPTION],
        io.status().min_sms,
        io.status().process_min_sms,
    ):
        assert (type(value), value) == (int, 40)
