"""Whatever stops it half-way, Ctrl-C or an error: torch is as it was, and the next scope works."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable

import pytest
from conftest import Snapshot
from internals import Hook

import inductor_override as inductor_override_package
import inductor_override as io

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
        ("open_scopes.OpenScopes", "__init__"),
        ("open_scopes.OpenScopes", "open"),
        ("open_scopes.OpenScopes", "close"),
        ("open_scopes.OpenScopes", "drop_closed"),
        ("hooks.hook.Hook", "attach"),
        ("hooks.hook.Hook", "detach"),
        ("hooks.gate.Gate", "__init__"),
        ("hooks.gate.Gate", "close"),
        ("install.installation.Installation", "release"),
        ("config_store.stand_ins.StandIns", "put_on"),
        ("config_store.stand_ins.StandIns", "take_off"),
    ],
    ids=lambda where: ".".join(where),
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@afterwards
def test_an_interrupt_within_a_step(
    where: tuple[str, ...],
    after: bool,
    disabled: bool,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[], bool],
    no_trace: Snapshot,
) -> None:
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


def test_a_failure_half_way_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, no_trace: Snapshot
) -> None:
    """The second row cannot be wrapped: the first comes off again, and so does the option."""
    attach = Hook.attach

    def fails_for_compile_fx(self: Hook) -> object:
        if self.name == "compile_fx":
            raise RuntimeError("no")
        return attach(self)

    monkeypatch.setattr(Hook, "attach", fails_for_compile_fx)
    with pytest.raises(RuntimeError, match=r"^no$"):
        io.enable(min_sms=0)
    assert not io.status().installed
    assert no_trace.differences() == []
