"""A thread that reads the whole config is not disturbed by scopes that come and go elsewhere."""

from __future__ import annotations

import contextlib
import threading

import pytest
import torch._inductor.config as config
from conftest import RELEASE

import inductor_override as io

OPTION = "max_autotune_gemm_min_sms"
from_2_6 = pytest.mark.skipif(
    RELEASE < (2, 6), reason="until 2.5 options come and go in torch's own dict"
)
pytestmark = pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning")


@from_2_6
def test_a_walk_through_the_options_outlasts_scopes():
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


def test_values_assigned_in_a_scope_stay():
    was = config.size_asserts
    try:
        with io.override(min_sms=7):
            config.size_asserts = not was
        assert config.size_asserts is not was
    finally:
        config.size_asserts = was


@from_2_6
def test_a_read_that_has_begun_in_a_scope_ends_after_it(no_trace):
    """torch looks each key up again while it walks: `KeyError` would fail a stock compile."""
    begun, go_on = threading.Event(), threading.Event()
    read: dict[str, object] = {}

    class Slow(list):
        def __contains__(self, key: object) -> bool:
            begun.set()
            assert go_on.wait(60)
            return False

    def reader() -> None:
        read.update(config._get_dict(ignored_keys=Slow(["none"])))

    thread = threading.Thread(target=reader)
    with io.override(min_sms=7):
        thread.start()
        assert begun.wait(60)
        threading.Timer(0.2, go_on.set).start()
    thread.join(60)
    assert OPTION in read
    assert no_trace.differences() == []


@from_2_6
def test_a_read_that_does_not_end_holds_up_nobody_for_long(no_trace, monkeypatch):
    """It may wait for us: a finalizer in the middle of it can leave a scope."""
    monkeypatch.setattr("inductor_override._store_entries._LONGEST_READ", 0.05)
    begun, go_on, gave_up = threading.Event(), threading.Event(), threading.Event()

    class Endless(list):
        def __contains__(self, key: object) -> bool:
            begun.set()
            if not go_on.wait(10):
                gave_up.set()
            return True

    def reader() -> None:
        with contextlib.suppress(KeyError):  # what cannot be had without waiting
            config._get_dict(ignored_keys=Endless(["none"]))

    thread = threading.Thread(target=reader)
    with io.override(min_sms=7):
        thread.start()
        assert begun.wait(60)
    assert not gave_up.is_set(), "the scope waited for the read to end"
    assert no_trace.differences() == []
    go_on.set()
    thread.join(60)
