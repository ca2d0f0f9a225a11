"""A thread that reads the whole config is not disturbed by scopes that come and go elsewhere."""

from __future__ import annotations

import contextlib
import contextvars
import pickle
import threading
from collections.abc import Callable, Iterator

import pytest
import torch._inductor.config as config
from conftest import RELEASE
from inductor_override._process import process

import inductor_override as io
from inductor_override.install.installation import installation

OPTION = "max_autotune_gemm_min_sms"
from_2_6 = pytest.mark.skipif(
    RELEASE < (2, 6), reason="until 2.5 options come and go in torch's own dict"
)
until_2_5 = pytest.mark.skipif(
    RELEASE >= (2, 6), reason="from torch 2.6 on a scope puts a new dict in place of torch's own"
)
from_2_13 = pytest.mark.skipif(
    RELEASE < (2, 13), reason="until torch 2.12 no thread keeps a copy of the config"
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


@pytest.mark.skipif(RELEASE < (2, 12), reason="until torch 2.11 no value is of one thread only")
def test_a_threads_own_copy_is_dropped_where_the_process_decides(in_thread, monkeypatch):
    """Its key to the FX graph cache is made from it."""

    def saved():  # one of torch's readers that are content with the thread's copy
        return in_thread(lambda: pickle.loads(config.save_config()))

    stock = saved()
    assert OPTION not in stock
    for value in (5, 9):
        monkeypatch.setattr(process, "min_sms", value)  # as the environment sets it
        with io.override(min_sms=7):
            assert saved()[OPTION] == value
            io.enable(min_sms=6)
            assert saved()[OPTION] == 6
            io.disable()
            assert saved()[OPTION] == -1
        assert saved() == stock


class Slow:
    """Something in the config at which torch's readers stay until they are let go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def _stay(self) -> bool:
        self.begun.set()
        return self.go_on.wait(60)

    def __deepcopy__(self, memo: object) -> Slow:  # get_config_copy
        assert self._stay()
        return self

    def __iter__(self) -> Iterator[str]:  # save_config_portable: prefixes of keys to leave out
        assert self._stay()
        return iter(())


def copy_of_the_thread():
    return config._get_dict(readonly_values=True)


@from_2_13
@pytest.mark.parametrize("reads", [False, True], ids=["", "reads too"])
def test_what_a_thread_assigns_during_a_scope_is_in_its_copy_after_it(in_thread, reads):
    def seen():
        return copy_of_the_thread(), config.get_hash()

    stock, stock_hash = in_thread(seen)
    with io.override(min_sms=7):
        if reads:
            in_thread(seen)
        in_thread(lambda: setattr(config, "size_asserts", not stock["size_asserts"]))
        if reads:
            in_thread(seen)
    after, after_hash = in_thread(seen)
    assert after == {**stock, "size_asserts": not stock["size_asserts"]}
    assert after_hash != stock_hash


@from_2_13
def test_a_hash_that_was_begun_before_a_change_is_not_kept(in_thread, monkeypatch):
    """From then on the thread would go by the old value."""

    changes = []

    class WhileHashed:
        def __deepcopy__(self, memo):
            return self

        def __repr__(self):  # torch hashes the text of what it has read
            if changes:
                change = threading.Thread(target=io.enable, args=(changes.pop(),))
                change.start()
                change.join(60)
            return "here"

    monkeypatch.setattr(config._config["debug"], "default", WhileHashed())
    hashes = {}
    for value in (5, 9):
        io.enable(min_sms=value)
        hashes[value] = in_thread(config.get_hash)
    changes.append(5)
    in_thread(lambda: setattr(config, "size_asserts", config.size_asserts))  # hashed anew
    assert in_thread(config.get_hash) == hashes[9]  # 5 rules when it is done
    assert in_thread(config.get_hash) == hashes[5] != hashes[9]


@from_2_13
def test_a_read_of_a_threads_own_copy_that_has_begun_before_a_scope(in_thread):
    """It puts what it reads where torch alone looks for it after the scope."""
    begun, go_on = threading.Event(), threading.Event()

    class SlowCache(dict):
        def get(self, key):
            begun.set()
            assert go_on.wait(60)
            return super().get(key)

    def prepare():
        config._get_dict_cache_var.set(SlowCache())
        config._get_dict_dirty_keys_var.set(set())

    in_thread(prepare)
    thread = threading.Thread(target=in_thread, args=(copy_of_the_thread,))
    thread.start()
    assert begun.wait(60)
    threading.Timer(0.2, go_on.set).start()
    with io.override(min_sms=7):
        thread.join(60)
    assert OPTION not in in_thread(copy_of_the_thread)


@from_2_13
def test_a_thread_that_reads_keeps_nothing_more_of_each_scope(in_thread):
    """A context never forgets a ContextVar that was set in it."""

    def scopes():
        for _ in range(3):
            with io.override(min_sms=7):
                in_thread(copy_of_the_thread)
            in_thread(copy_of_the_thread)
        return in_thread(lambda: len(contextvars.copy_context()))

    assert scopes() == scopes()


@contextlib.contextmanager
def reading(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], dict[str, object]]]:
    """Another thread reads the whole config; 0.2 s after this block began, it may go on.

    What is yielded waits for it and returns what it read.
    """
    slow = Slow()
    key = "_cache_config_ignore_prefix" if name == "save_config_portable" else "debug"
    outcome: list[object] = []

    def reader() -> None:
        try:
            outcome.append(getattr(config, name)())
        except Exception as error:
            outcome.append(error)

    monkeypatch.setitem(config._config, key, slow)
    thread = threading.Thread(target=reader)
    thread.start()
    assert slow.begun.wait(60)
    timer = threading.Timer(0.2, slow.go_on.set)
    timer.start()

    def result() -> dict[str, object]:
        thread.join(60)
        assert isinstance(outcome[0], dict), outcome
        return outcome[0]

    yield result
    timer.join()
    monkeypatch.undo()


needs_reader = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                not hasattr(type(config), "save_config_portable"),
                reason="before torch 2.4 no compile reads the whole config key by key",
            ),
        )
        for name in ("get_config_copy", "save_config_portable")
    ],
)


@until_2_5
@needs_reader
def test_a_read_that_has_begun_before_a_scope_ends_well(name, no_trace, monkeypatch):
    """Each compile of 2.4 and 2.5 copies the config: `dictionary changed size` would fail it."""
    with reading(name, monkeypatch) as result:
        with io.override(min_sms=7):
            assert OPTION not in result()
            assert config.max_autotune_gemm_min_sms == 7
    assert no_trace.differences() == []


@until_2_5
@needs_reader
def test_a_read_that_has_begun_in_a_scope_of_plain_dicts_ends_well(name, no_trace, monkeypatch):
    with contextlib.ExitStack() as stack:
        with io.override(min_sms=7):
            result = stack.enter_context(reading(name, monkeypatch))
        assert OPTION in result()
    assert no_trace.differences() == []


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
    monkeypatch.setattr("inductor_override._store_reads.LONGEST", 0.05)
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


def test_a_guard_that_was_left_there_is_not_taken_for_someone_elses(no_trace):
    """Two interrupts can leave it; a guard around itself would never end."""
    with io.override(min_sms=7):
        installation.store._reads.guard()
        config.save_config()
    assert no_trace.differences() == []
