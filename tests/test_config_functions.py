"""torch's own config functions, used while the option is there and after it has gone.

    save_config, load_config, get_config_copy, codegen_config, patch

None of them is ours: what is shown is that a compile without us works after each of them, and
that a later override is in force and leaves torch as it was.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._inductor.config as config
from conftest import Snapshot
from this_torch import CONFIG_HAS_ENTRIES, LOADS_DICTS, VALUES_PER_THREAD

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
PLAIN = not CONFIG_HAS_ENTRIES  # plain dicts; load_config takes every key
HAS_COPY = hasattr(type(config), "get_config_copy")  # from torch 2.1 on

# torch marks some of its own options as deprecated, and says so when a copy is loaded.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
]


def copy_of_config() -> dict[str, object]:
    return config.get_config_copy() if HAS_COPY else dict(config._config)


@pytest.fixture
def whole_config(no_trace: Snapshot) -> Iterator[None]:
    """Put back what `load_config` writes: every option of torch's, which is not ours to undo."""
    if PLAIN:
        held = dict(config._config)
        yield
        config._config.clear()
        config._config.update(held)
        return
    before = {name: read_override(entry) for name, entry in config._config.items()}
    yield
    for name, value in before.items():
        entry = config._config[name]
        if VALUES_PER_THREAD:
            entry.user_override.set(value)
        else:
            entry.user_override = value
    io.enable()  # what torch keeps of the config goes with the option
    io.disable()


def read_override(entry: Any) -> Any:
    return entry.user_override.get() if VALUES_PER_THREAD else entry.user_override


def stock_compile_works(compiled: Callable[..., Any]) -> None:
    assert not io.status().installed
    torch._dynamo.reset()
    compiled()


def an_override_is_in_force_and_leaves_no_trace(compiled: Callable[..., Any]) -> None:
    torch._dynamo.reset()
    with io.override(min_sms=3) as scope:
        assert getattr(config, OPTION) == 3
        assert io.status().live
        compiled()
    assert scope.graphs_compiled == 1
    assert OPTION not in config._config
    assert not hasattr(config, OPTION)


@pytest.mark.parametrize("kind", ["save_config", "get_config_copy"])
def test_saved_with_us_loaded_without(
    kind: str,
    compiled: Callable[..., Any],
    whole_config: None,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if kind == "get_config_copy" and not HAS_COPY:
        pytest.skip("get_config_copy came with torch 2.1")
    with io.override(min_sms=7):
        saved = getattr(config, kind)()
    if kind == "get_config_copy" and not LOADS_DICTS:
        saved = pickle.dumps(saved)  # load_config takes no dict yet
    if PLAIN:
        config.load_config(saved)
        # torch 2.0 to 2.5 take any key: it stays, unused, until the package is next taken off.
        assert config._config[OPTION] == 7
    else:
        said: list[str] = []
        monkeypatch.setattr("warnings.warn", lambda message, *a, **k: said.append(str(message)))
        torch_warns_once = getattr(torch._dynamo.utils.warn_once, "cache_clear", None)
        if torch_warns_once:
            torch_warns_once()
        config.load_config(saved)
        monkeypatch.undo()
        assert any(OPTION in message and "not understood" in message for message in said)
        assert OPTION not in config._config
    stock_compile_works(compiled)
    an_override_is_in_force_and_leaves_no_trace(compiled)
    io.enable(min_sms=5)
    assert getattr(config, OPTION) == 5
    io.disable()
    assert OPTION not in config._config


def test_saved_without_us_loaded_in_a_scope(
    compiled: Callable[..., Any], whole_config: None
) -> None:
    saved = config.save_config()
    with io.override(min_sms=7):
        config.load_config(saved)
        assert getattr(config, OPTION) == 7
    stock_compile_works(compiled)
    an_override_is_in_force_and_leaves_no_trace(compiled)


def test_saved_in_a_scope_loaded_under_enable_is_an_assignment(
    compiled: Callable[..., Any], whole_config: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It rules like any value that a user assigns, over `enable`, and goes with the option."""
    with io.override(min_sms=7):
        saved = config.save_config()
    io.enable(min_sms=2)
    config.load_config(saved)
    assert getattr(config, OPTION) == 7
    io.disable()
    stock_compile_works(compiled)
    an_override_is_in_force_and_leaves_no_trace(compiled)


def test_a_patch_made_with_us_entered_without_us_is_refused_by_torch(
    compiled: Callable[..., Any],
) -> None:
    io.enable()
    patch = config.patch({OPTION: 7})
    io.disable()
    with pytest.raises((AttributeError, KeyError), match=OPTION):
        patch.__enter__()
    stock_compile_works(compiled)
    an_override_is_in_force_and_leaves_no_trace(compiled)


def test_a_patch_of_ours_left_without_us_harms_nothing(compiled: Callable[..., Any]) -> None:
    """A `disable` inside `with config.patch(...)` of the package's own option."""
    io.enable()
    patch = config.patch({"shape_padding": not config.shape_padding, OPTION: 7})
    before = config.shape_padding
    patch.__enter__()
    assert config.shape_padding is not before
    io.disable()
    if PLAIN:
        patch.__exit__(None, None, None)  # torch puts the key back, as load_config does
    else:
        with contextlib.suppress(AttributeError, KeyError):  # 2.15 does not raise any more
            patch.__exit__(None, None, None)
        assert OPTION not in config._config
    assert config.shape_padding is before
    stock_compile_works(compiled)
    an_override_is_in_force_and_leaves_no_trace(compiled)


def test_a_patch_of_torchs_options_across_the_end_of_a_scope(compiled: Callable[..., Any]) -> None:
    before = config.shape_padding
    scope = io.override(min_sms=7)
    scope.__enter__()
    with config.patch({"shape_padding": not before}):
        scope.__exit__(None, None, None)
        assert config.shape_padding is not before
        stock_compile_works(compiled)
    assert config.shape_padding is before


def test_codegen_config_names_the_value_and_only_while_it_is_in_force() -> None:
    if not hasattr(type(config), "codegen_config"):
        pytest.skip("codegen_config came with torch 2.1")
    line = f"torch._inductor.config.{OPTION} = 7"
    assert OPTION not in config.codegen_config()
    io.enable()
    assert OPTION not in config.codegen_config()
    with config.patch({OPTION: 7}):
        assert line in config.codegen_config()
    with io.override(min_sms=7):
        assert line in config.codegen_config()
    io.disable()
    assert OPTION not in config.codegen_config()


def test_codegen_config_as_a_script_needs_us(compiled: Callable[..., Any]) -> None:
    """What a repro script holds: without the option, torch names what is gone."""
    io.enable()
    line = f"torch._inductor.config.{OPTION} = 7"
    exec(line, {"torch": torch})
    assert getattr(config, OPTION) == 7
    io.disable()
    with pytest.raises(AttributeError, match=OPTION):
        exec(line, {"torch": torch})
    stock_compile_works(compiled)


@pytest.mark.skipif(not HAS_COPY, reason="get_config_copy came with torch 2.1")
def test_get_config_copy_has_the_value_of_the_caller() -> None:
    assert OPTION not in copy_of_config()
    with io.override(min_sms=7):
        assert copy_of_config()[OPTION] == 7
        with io.override(min_sms=8):
            assert copy_of_config()[OPTION] == 8
    assert OPTION not in copy_of_config()
