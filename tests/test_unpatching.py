"""Afterwards torch is as it was: object by object, option by option."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch._inductor.config as config
from conftest import Snapshot
from internals import patched
from this_torch import CONFIG_HAS_ENTRIES, OPTIONS_IMPLY_OTHERS, VALUES_PER_THREAD

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
EXTRA = "epilogue_fusion"  # a plain bool in every release
pytestmark = [
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
    pytest.mark.filterwarnings("ignore:.*nothing refers to it:RuntimeWarning"),
]


def depth(function: object) -> int:
    """How many of wrapt's layers lie on a function; torch's own functools layers do not count."""
    import wrapt

    count = 0
    while isinstance(function, (wrapt.FunctionWrapper, wrapt.ObjectProxy)):
        count, function = count + 1, function.__wrapped__
    return count


def test_one_layer_while_it_is_open_none_before_and_after(no_trace: Snapshot) -> None:
    assert {depth(f) for f in patched()} == {0}
    with io.override(min_sms=0):
        assert {depth(f) for f in patched()} == {1}
        with io.override(min_sms=1):
            assert {depth(f) for f in patched()} == {1}
        assert {depth(f) for f in patched()} == {1}
    assert {depth(f) for f in patched()} == {0}
    assert no_trace.differences() == []


def test_an_exception_restores_all(no_trace: Snapshot) -> None:
    with pytest.raises(ZeroDivisionError), io.override(min_sms=0, **{EXTRA: False}):
        with io.override(min_sms=1):
            raise ZeroDivisionError
    assert no_trace.differences() == []


def test_an_option_that_nobody_had_set_is_unset_again() -> None:
    if not CONFIG_HAS_ENTRIES:
        pytest.skip("before torch 2.6 there is no difference between unset and set to the default")
    from torch.utils import _config_module

    entry = config._config["max_autotune_gemm_backends"]
    unset = _config_module._UNSET_SENTINEL
    if VALUES_PER_THREAD:
        read = entry.user_override.get
        entry.user_override.set(unset)  # whatever an earlier test has left, see `config.patch`
    else:
        entry.user_override = unset

        def read() -> object:
            return entry.user_override

    with io.override(min_sms=0, max_autotune_gemm_backends="TRITON"):
        assert read() == "TRITON"
    assert read() is unset


@pytest.mark.skipif(not OPTIONS_IMPLY_OTHERS, reason="options imply others from 2.15 on")
def test_an_option_that_implies_others_is_unset_again(no_trace: Snapshot) -> None:
    with io.override(min_sms=0, numerics="strict"):
        assert config.emulate_precision_casts is True
    assert config.emulate_precision_casts is False
    assert "numerics" not in config.codegen_config()
    assert no_trace.differences() == []


@pytest.mark.skipif(
    getattr(config._config.get("force_disable_caches"), "alias", None) is None,
    reason="in this release the option is Inductor's own",
)
def test_an_option_that_is_kept_in_another_module(no_trace: Snapshot) -> None:
    import torch.compiler.config as other

    with io.override(min_sms=0, force_disable_caches=True):
        assert config.force_disable_caches is True
        assert other.force_disable_caches is True
        with io.override(min_sms=0, force_disable_caches=False):
            assert other.force_disable_caches is False
        assert other.force_disable_caches is True
    assert other.force_disable_caches is False
    assert no_trace.differences() == []


def test_a_value_that_the_user_had_set_comes_back() -> None:
    before = getattr(config, EXTRA)
    with config.patch({EXTRA: False}):
        with io.override(min_sms=0, **{EXTRA: True}):
            assert getattr(config, EXTRA) is True
        assert getattr(config, EXTRA) is False
    assert getattr(config, EXTRA) is before


def test_exits_in_any_order(no_trace: Snapshot) -> None:
    one, two, three = (io.override(min_sms=n) for n in (1, 2, 3))
    one.__enter__()
    two.__enter__()
    three.__enter__()
    assert getattr(config, OPTION) == 3
    two.__exit__(None, None, None)
    assert getattr(config, OPTION) == 3
    three.__exit__(None, None, None)
    assert getattr(config, OPTION) == 1
    one.__exit__(None, None, None)
    assert no_trace.differences() == []


def test_extra_options_in_any_order(no_trace: Snapshot) -> None:
    before = getattr(config, EXTRA)
    one = io.override(min_sms=1, **{EXTRA: not before})
    two = io.override(min_sms=2)
    three = io.override(min_sms=3, **{EXTRA: before})
    for scope in (one, two, three):
        scope.__enter__()
    one.__exit__(None, None, None)
    assert getattr(config, EXTRA) is before
    assert getattr(config, OPTION) == 3
    three.__exit__(None, None, None)
    assert getattr(config, EXTRA) is before
    assert getattr(config, OPTION) == 2
    two.__exit__(None, None, None)
    assert no_trace.differences() == []


def test_the_end_of_an_older_scope_leaves_what_rules_alone() -> None:
    older, younger = io.override(min_sms=1), io.override(min_sms=2)
    older.__enter__()
    younger.__enter__()
    with config.patch({OPTION: 9}):
        older.__exit__(None, None, None)
        assert getattr(config, OPTION) == 9
    assert getattr(config, OPTION) == 2
    younger.__exit__(None, None, None)


def test_one_scope_object_can_be_nested_and_used_again(
    ask: Callable[[], bool], no_trace: Snapshot
) -> None:
    scope = io.override(min_sms=0)
    for _ in range(2):
        with scope:
            with scope:
                assert ask() is True
            assert ask() is True
        assert ask() is False
    assert scope.consulted == 4
    assert no_trace.differences() == []


def test_leaving_a_scope_that_is_not_open_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="is not open"):
        io.override(min_sms=0).__exit__(None, None, None)


def test_a_key_that_someone_else_adds_meanwhile_stays() -> None:
    """torch_npu adds options of its own; they are not ours to remove."""
    name = "someone_elses_option"
    with io.override(min_sms=0):
        held = vars(config)
        held["_config"][name] = held["_config"][EXTRA]
    assert name in config._config
    assert OPTION not in config._config
    del config._config[name]


def test_snapshot_sees_a_trace() -> None:
    """The oracle of this file is no rubber stamp."""
    before = Snapshot()
    io.enable(min_sms=0)
    assert len(before.differences()) >= 2
    io.disable()
    assert before.differences() == []
