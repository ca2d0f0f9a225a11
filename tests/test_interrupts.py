"""Whatever stops it half-way, Ctrl-C or an error: torch is as it was, and the next scope works."""

from __future__ import annotations

import contextlib
import gc
import itertools
import operator
import os
import sys
from types import FrameType

import pytest
import torch._inductor.config as config
from conftest import Snapshot
from inductor_override._store_reads import WholeReads

import inductor_override as inductor_override_package
import inductor_override as io
from inductor_override.install.installation import installation

EXTRA = "epilogue_fusion"  # a plain bool in every release
pytestmark = [
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
    pytest.mark.filterwarnings("ignore:.*nothing refers to it:RuntimeWarning"),
]


afterwards = pytest.mark.parametrize("disabled", [True, False], ids=["disable", "no disable"])
"""Both `disable` and the next scope have to finish what was interrupted."""


class Interrupted(BaseException):
    """As a KeyboardInterrupt."""


@pytest.mark.parametrize(
    "where",
    [
        ("_open_scopes.OpenScopes", "__init__"),
        ("_hooks.Hook", "attach"),
        ("_gate.Gate", "__init__"),
        ("_gate.Gate", "close"),
        ("_hooks.Hook", "detach"),
        ("_open_scopes.OpenScopes", "open"),
        ("_open_scopes.OpenScopes", "_set"),
        ("_open_scopes.OpenScopes", "settle"),
        ("_open_scopes.OpenScopes", "close"),
        ("_store_reads.WholeReads", "guard"),
        ("_store_reads.WholeReads", "unguard"),
    ],
    ids=lambda where: ".".join(where),
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@afterwards
def test_an_interrupt_within_a_step(where, after, disabled, monkeypatch, ask, no_trace):
    """Whatever step Ctrl-C comes in: the next scope works, and leaves no trace."""
    owner = operator.attrgetter(where[0])(inductor_override_package)
    step, calls = getattr(owner, where[1]), []

    def interrupted(*args: object, **kwargs: object) -> object:
        calls.append(where)
        if len(calls) > 1:
            return step(*args, **kwargs)
        if after:
            step(*args, **kwargs)
        raise Interrupted

    monkeypatch.setattr(owner, where[1], interrupted)
    with contextlib.suppress(Interrupted), io.override(min_sms=0):
        pass
    monkeypatch.undo()
    assert calls
    if disabled:
        io.disable()
        assert no_trace.differences() == []
    with io.override(min_sms=0):
        assert ask() is True
    assert ask() is False
    assert no_trace.differences() == []


PACKAGE = os.path.dirname(inductor_override_package.__file__)


def at_each_line(function):
    """Raise in each line of the package that runs, once each; say where. As a Ctrl-C would come."""

    def interrupted_at(number: int) -> str:
        """Empty when there were fewer lines."""
        lines, where = 0, ""

        def trace(frame: FrameType, event: str, _: object) -> object:
            nonlocal lines, where
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            if event == "line":
                lines += 1
                if lines == number:
                    sys.settrace(None)
                    where = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
                    raise Interrupted
            return trace

        sys.settrace(trace)
        try:
            function()
        except Interrupted:
            pass
        finally:
            sys.settrace(None)
        return where

    for number in itertools.count(1):
        where = interrupted_at(number)
        if not where:
            assert number > 100
            return
        # A trace function can raise where no real interrupt comes: when a `with` block is left, and
        # its lock not yet.
        for lock in (installation.lock, WholeReads._lock):
            while lock._is_owned():
                lock.release()
        yield where


def differences(snapshot: Snapshot) -> list[str]:
    if snapshot.differences():
        gc.collect()  # the trace function, a frame and the scope are a cycle
    return snapshot.differences()


@afterwards
def test_an_interrupt_at_any_line_of_entering_and_leaving(disabled, ask, no_trace):
    before = getattr(config, EXTRA)

    def a_scope():
        with io.override(min_sms=0, **{EXTRA: not before}):
            pass

    for where in at_each_line(a_scope):
        if disabled:
            io.disable()
            assert differences(no_trace) == [], where
        with io.override(min_sms=0):
            assert ask() is True, where
        assert differences(no_trace) == [], where


@afterwards
def test_an_interrupt_at_any_line_of_enabling_and_disabling(disabled, ask, no_trace):
    def switch():
        io.enable(min_sms=0)
        io.disable()

    for where in at_each_line(switch):
        if disabled:
            io.disable()
            assert differences(no_trace) == [], where
        with io.override(min_sms=7):
            assert ask() is True, where
        io.disable()
        assert differences(no_trace) == [], where


def test_a_failure_half_way_installs_nothing(monkeypatch, no_trace):
    """The second row cannot be wrapped: the first comes off again, and so does the option."""
    from inductor_override.hooks.hook import Hook

    attach = Hook.attach

    def fails_for_consumer(self):
        if self.name.startswith(("use_triton", "_use_template")):
            raise RuntimeError("no")
        return attach(self)

    monkeypatch.setattr(Hook, "attach", fails_for_consumer)
    with pytest.raises(RuntimeError, match=r"^no$"):
        io.enable(min_sms=0)
    assert not installation.installed
    assert no_trace.differences() == []
