"""A thread that reads the whole config is not disturbed by scopes that come and go elsewhere."""

from __future__ import annotations

import contextvars
import pickle
import threading
import time
from typing import Any

import pytest
import torch._inductor.config as config
import torch._inductor.utils as utils
from conftest import InThread, Snapshot
from this_torch import CONFIG_HAS_ENTRIES, THREADS_KEEP_COPIES, VALUES_PER_THREAD

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
from_2_6 = pytest.mark.skipif(
    not CONFIG_HAS_ENTRIES, reason="until 2.5 options come and go in torch's own dict"
)
from_2_12 = pytest.mark.skipif(
    not VALUES_PER_THREAD, reason="until torch 2.11 no value is of one thread only"
)
from_2_13 = pytest.mark.skipif(
    not THREADS_KEEP_COPIES, reason="until torch 2.12 no thread keeps a copy of the config"
)
pytestmark = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


@from_2_6
def test_a_walk_through_the_options_outlasts_scopes() -> None:
    """`dictionary changed size` would fail a stock compile."""
    before = list(config._config)
    begun_without = iter(config._config.items())
    next(begun_without)
    with io.override(min_sms=7):
        begun_with = iter(config._config.items())
        next(begun_with)
        next(begun_without)
    assert [key for key, _ in begun_without] == before[2:]
    assert {key for key, _ in begun_with} == {*before[1:], OPTION}


def test_values_assigned_in_a_scope_stay() -> None:
    was = config.size_asserts
    try:
        with io.override(min_sms=7):
            config.size_asserts = not was
        assert config.size_asserts is not was
    finally:
        config.size_asserts = was


def keys_of_the_config() -> dict[str, object]:
    """What keys of caches are made of, as each torch makes them."""
    portable = hasattr(config, "save_config_portable")
    keys: dict[str, object] = (
        config.save_config_portable() if portable else pickle.loads(config.save_config())
    )
    return keys


def test_where_torch_decides_the_option_is_in_no_key() -> None:
    """Another key would have torch compile again what it has, and keep it twice."""
    stock = keys_of_the_config()
    assert OPTION not in stock
    with io.override(min_sms=7):
        assert keys_of_the_config() == {**stock, OPTION: 7}
        with config.patch({OPTION: -1}):
            assert keys_of_the_config() == stock
    io.enable()
    assert keys_of_the_config() == stock
    io.options(min_sms=3)
    assert keys_of_the_config() == stock
    io.disable()
    assert keys_of_the_config() == stock


@from_2_12
def test_a_thread_without_a_scope_has_torchs_own_keys(in_thread: InThread) -> None:
    stock = in_thread(keys_of_the_config)
    with io.override(min_sms=7):
        assert in_thread(keys_of_the_config) == stock
        io.enable(min_sms=6)
        assert in_thread(keys_of_the_config) == {**stock, OPTION: 6}
        io.disable()
        assert in_thread(keys_of_the_config) == stock
    assert in_thread(keys_of_the_config) == stock


@pytest.mark.skipif(not hasattr(config, "codegen_config"), reason="torch 2.0 has no codegen_config")
def test_a_repro_script_sets_the_option_only_under_the_override() -> None:
    assert OPTION not in config.codegen_config()
    with io.override(min_sms=7):
        assert f"torch._inductor.config.{OPTION} = 7" in config.codegen_config()
    io.enable()
    assert OPTION not in config.codegen_config()


def copy_of_the_thread() -> Any:
    return config._get_dict(readonly_values=True)


@from_2_13
@pytest.mark.parametrize("reads", [False, True], ids=["", "reads too"])
def test_what_a_thread_assigns_during_a_scope_is_in_its_copy_after_it(
    in_thread: InThread, reads: bool
) -> None:
    stock = in_thread(copy_of_the_thread)
    with io.override(min_sms=7):
        if reads:
            in_thread(copy_of_the_thread)
        in_thread(lambda: setattr(config, "size_asserts", not stock["size_asserts"]))
        if reads:
            in_thread(copy_of_the_thread)
    after = in_thread(copy_of_the_thread)
    assert after == {**stock, "size_asserts": not stock["size_asserts"]}


@from_2_13
def test_a_scopes_other_option_is_in_the_copy_of_its_thread_as_long_as_it_is_open() -> None:
    """torch makes the keys of its caches from that copy."""
    stock = copy_of_the_thread()["size_asserts"]
    with io.override(min_sms=7, size_asserts=not stock):
        assert copy_of_the_thread()["size_asserts"] is not stock
    assert copy_of_the_thread()["size_asserts"] is stock


@from_2_13
def test_what_a_thread_has_patched_is_not_looked_for_after_the_scope(in_thread: InThread) -> None:
    """It would fail a stock compile there with `KeyError`."""

    def patch_and_read() -> None:
        copy_of_the_thread()
        with config.patch({OPTION: 3}):
            assert copy_of_the_thread()[OPTION] == 3

    with io.override(min_sms=7):
        in_thread(patch_and_read)
    assert OPTION not in in_thread(copy_of_the_thread)


@from_2_13
def test_a_thread_that_reads_keeps_nothing_more_of_each_scope(in_thread: InThread) -> None:
    """A context never forgets a ContextVar that was set in it."""

    def scopes() -> Any:
        for _ in range(3):
            with io.override(min_sms=7):
                in_thread(copy_of_the_thread)
            in_thread(copy_of_the_thread)
        return in_thread(lambda: len(contextvars.copy_context()))

    assert scopes() == scopes()


def test_threads_read_and_ask_while_scopes_come_and_go(device: object, no_trace: Snapshot) -> None:
    """torch looks each key up again while it walks: `KeyError` would fail a stock compile."""
    end, reads = time.monotonic() + 1.0, 0
    failures: list[object] = []

    def reader() -> None:
        nonlocal reads
        while time.monotonic() < end and not failures:
            try:
                getattr(config, "get_config_copy", dict)()
                found = keys_of_the_config()
                utils.is_big_gpu(device)
            except Exception as error:
                failures.append(error)
                return
            reads += 1
            if VALUES_PER_THREAD and OPTION in found:
                failures.append(found[OPTION])

    threads = [threading.Thread(target=reader) for _ in range(2)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with io.override(min_sms=7):
            keys_of_the_config()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert reads > 2
    assert no_trace.differences() == []


@from_2_12
def test_enable_and_disable_leave_nothing_in_a_context() -> None:
    def cycle() -> int:
        io.enable(min_sms=3)
        io.disable()
        return len(contextvars.copy_context())

    assert len({cycle() for _ in range(3)}) == 1
