"""The option is a real entry of Inductor's config, for as long as it is there."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable

import pytest
import torch
import torch._inductor.config as config
from conftest import InThread
from this_torch import CONFIG_HAS_ENTRIES, COPIES_CONFIG

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
pytestmark = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


def copy_of_config() -> dict[str, object]:
    return config.get_config_copy() if COPIES_CONFIG else dict(config._config)


def test_it_is_absent_before_and_after() -> None:
    assert not hasattr(config, OPTION)
    io.enable()
    assert isinstance(getattr(config, OPTION), int)
    assert copy_of_config()[OPTION] == -1
    io.disable()
    assert not hasattr(config, OPTION)
    assert OPTION not in copy_of_config()


def test_assigning_and_patching_work_as_for_any_option() -> None:
    io.enable(min_sms=40)
    assert getattr(config, OPTION) == 40
    with config.patch({OPTION: 3}):
        assert getattr(config, OPTION) == 3

    @config.patch({OPTION: 5})
    def decorated() -> object:
        return getattr(config, OPTION)

    assert decorated() == 5
    setattr(config, OPTION, 7)
    assert getattr(config, OPTION) == 7


def test_save_and_load_round_trip() -> None:
    io.enable(min_sms=9)
    saved = pickle.loads(config.save_config())
    with config.patch({OPTION: 1}):
        config.load_config(pickle.dumps({OPTION: saved[OPTION]}))
        assert getattr(config, OPTION) == 9


def test_torch_compile_takes_it_as_an_option() -> None:
    chosen = io.options(min_sms=7)
    assert chosen == {OPTION: 7}
    torch.compile(lambda x: x, options=chosen)


def test_options_merge_mode_threshold_and_further_options() -> None:
    chosen = io.options(mode="max-autotune", min_sms=0, epilogue_fusion=False)
    assert chosen["epilogue_fusion"] is False
    assert chosen["max_autotune"] is True
    assert chosen[OPTION] == 0
    torch.compile(lambda x: x, options=chosen)


def test_options_that_do_not_autotune_are_told(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        io.options(min_sms=0)
        io.options("max-autotune", min_sms=0)
        io.options(min_sms=0, max_autotune=True)
    [said] = [r.getMessage() for r in caplog.records if r.name == "inductor_override"]
    assert "does not switch max-autotune on" in said
    caplog.clear()
    with config.patch({"max_autotune": True}):
        io.options(min_sms=1)
    assert caplog.records == []


def test_a_mode_that_is_no_name_says_which_there_are() -> None:
    with pytest.raises(TypeError, match=r"mode must be one of .*'max-autotune'.*got 3 \(int\)"):
        io.options(3)  # type: ignore[arg-type]


def test_enable_reaches_every_thread(ask: Callable[[], bool], in_thread: InThread) -> None:
    in_thread(config.save_config)  # keeps the whole config as a dict in that thread, from 2.13 on
    io.enable(min_sms=12)
    assert in_thread(lambda: getattr(config, OPTION)) == 12
    io.enable(min_sms=0)
    assert in_thread(ask) is True
    io.disable()
    assert in_thread(ask) is False
    in_thread(config.save_config)


def test_enable_again_changes_the_value_and_disable_is_idempotent(ask: Callable[[], bool]) -> None:
    io.enable(min_sms=0)
    assert ask() is True
    io.enable(min_sms=29)
    assert ask() is False
    io.disable()
    io.disable()
    assert not hasattr(config, OPTION)


def test_enable_under_an_open_scope_waits_for_its_end(ask: Callable[[], bool]) -> None:
    with io.override(min_sms=0):
        io.enable(min_sms=29)
        assert ask() is True
    assert ask() is False
    assert getattr(config, OPTION) == 29


def test_disable_leaves_an_open_scope_in_force(ask: Callable[[], bool]) -> None:
    io.enable(min_sms=29)
    with io.override(min_sms=0):
        io.disable()
        assert ask() is True
    assert not hasattr(config, OPTION)


def test_enable_says_that_an_assignment_rules_over_it(caplog: pytest.LogCaptureFixture) -> None:
    if not CONFIG_HAS_ENTRIES:
        pytest.skip("until 2.5 default and value are one: enable() overwrites the assignment")
    io.enable(min_sms=0)
    setattr(config, OPTION, 3)
    io.enable(min_sms=9)
    assert getattr(config, OPTION) == 3
    assert "was assigned 3 here" in caplog.text


def test_options_refuse_what_torch_compile_would_refuse() -> None:
    """An alias of an option in another config module, for one."""
    alias = [k for k, e in config._config.items() if getattr(e, "alias", None) is not None]
    if not alias:
        pytest.skip("no option of this torch is an alias")
    name = "force_disable_caches" if "force_disable_caches" in alias else alias[0]
    with contextlib.suppress(RuntimeError):
        torch._TorchCompileInductorWrapper(None, {name: getattr(config, name)}, None)
        pytest.skip("torch.compile takes aliases")
    with pytest.raises(ValueError, match=f"torch.compile refuses these options.*{name}"):
        io.options("max-autotune-no-cudagraphs", **{name: getattr(config, name)})
