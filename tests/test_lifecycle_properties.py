"""Random sequences of all that a user, torch and other packages may do, against a tiny model.

Seven runners: the main thread, two more threads, two asyncio tasks, two contexts that are neither.
After each step every one of them has to see what the model says.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch._inductor.config as config
import torch._inductor.utils as utils
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from lifecycle_model import EXTRA, MIN_SMS, TORCH_DECIDES, Frame, Model
from lifecycle_world import (
    NAMES,
    PER_CONTEXT,
    PLAIN,
    RUNNERS,
    STOCK,
    WRAPPERS,
    World,
)
from this_torch import CONFIG_HAS_ENTRIES, STOCK_MIN_SMS

pytestmark = [
    pytest.mark.filterwarnings("ignore::inductor_override.NoEffectWarning"),
]

# The same sequences each time, as far as the same modules are imported (hypothesis draws constants
# of theirs too), unless someone looks for new ones: EXPLORE=1 pytest FILE. Making a failing one
# shorter takes minutes, so that too only where a person waits for it.
EXPLORE = bool(os.environ.get("EXPLORE"))
PHASES = [Phase.generate, Phase.shrink] if EXPLORE else [Phase.generate]
runners = st.sampled_from(RUNNERS)
picks = st.integers(0, 20)
thresholds = st.one_of(st.sampled_from([0, 1, 28, 29, 68, 80]), st.integers(0, 200))


class Lifecycle(RuleBasedStateMachine):
    """The generator. Without a world it only draws steps: so it can be checked by itself."""

    make_world: Callable[[], World | None] = World
    histories: list[list[tuple[Any, ...]]]

    def __init__(self) -> None:
        super().__init__()
        self.world = self.make_world()
        self.model = Model(
            per_context=PER_CONTEXT,
            keeps_assignments=CONFIG_HAS_ENTRIES,
            stock_min_sms=STOCK_MIN_SMS,
            extra=getattr(config, NAMES[EXTRA]),
        )
        self.defined: list[dict[str, Any]] = []
        self.patches = 0
        self.failed = False
        self.history: list[tuple[Any, ...]] = []
        self.histories.append(self.history)
        self._does("set_sms", 28)

    def _does(self, kind: str, *args: Any, by: str = "main", **kwargs: Any) -> None:
        """Do it, then let everyone look."""
        self.history.append((kind, by, *args, *kwargs.values()))
        if self.world is not None:
            self.failed = True
            self._compare(kind, by, *args, **kwargs)
            self.failed = False

    def _compare(self, kind: str, by: str, *args: Any, **kwargs: Any) -> None:
        world, model = self.world, self.model
        assert world is not None
        getattr(world, kind)(*args, **kwargs)
        assert world.ask(by) is model.answer(by), f"the gate, asked by {by}"
        for runner in RUNNERS:
            assert world.look(runner) == self._expected(runner), runner
        expected = self._expected(by)  # slow, so only for one
        # Where torch decides the option is in no key: torch's own artifacts are shared.
        in_key = None if expected[MIN_SMS] == TORCH_DECIDES else expected[MIN_SMS]
        assert world.in_the_cache_key(by) == [in_key, expected[EXTRA]]
        assert world.at_the_gate() == (model.gate, int(model.present()))
        if not model.present():
            assert (vars(utils)["is_big_gpu"] is STOCK) == (model.gate == ["stock"])
        for name, count in model.counts.items():
            assert world.counted(name) == (count.consulted, count.passed)

    def _expected(self, runner: str) -> dict[str, object]:
        present, extra = self.model.present(), self.model.value(runner, EXTRA)
        min_sms = self.model.value(runner, MIN_SMS) if present else None
        return {"present": present, MIN_SMS: min_sms, EXTRA: extra}

    def _leavable(self, kind: str) -> list[Frame]:
        return [f for f in self.model.frames if f.kind == kind and self.model.can_leave(f)]

    @rule(runner=runners, min_sms=thresholds, extra=st.sampled_from([None, True, False]))
    def enter_a_new_scope(self, runner: str, min_sms: int, extra: bool | None) -> None:
        self.defined.append({MIN_SMS: min_sms} | ({} if extra is None else {EXTRA: extra}))
        self._enter(len(self.defined) - 1, runner)

    @rule(which=st.tuples(runners, runners), min_sms=st.tuples(thresholds, thresholds))
    def enter_two_new_scopes(self, which: tuple[str, str], min_sms: tuple[int, int]) -> None:
        for runner, value in zip(which, min_sms, strict=True):
            self.enter_a_new_scope(runner, value, extra=value % 2 == 0)

    @precondition(lambda self: self.defined)
    @rule(runner=runners, pick=picks)
    def enter_a_known_scope(self, runner: str, pick: int) -> None:
        self._enter(pick % len(self.defined), runner)

    def _enter(self, name: int, runner: str) -> None:
        self.model.enter(name, runner, self.defined[name])
        self._does("enter", name, runner, self.defined[name], by=runner)

    @precondition(lambda self: len(self._leavable("scope")) > 1)
    @rule(error=st.booleans())
    def leave_the_oldest_scope(self, error: bool) -> None:
        self.leave_a_scope(0, error, None)

    @precondition(lambda self: not PER_CONTEXT and self._leavable("scope"))
    @rule(pick=picks, error=st.booleans(), elsewhere=runners)
    def leave_a_scope_elsewhere(self, pick: int, error: bool, elsewhere: str | None) -> None:
        self.leave_a_scope(pick, error, elsewhere)

    @precondition(lambda self: self._leavable("scope"))
    @rule(pick=picks, error=st.booleans(), elsewhere=st.one_of(st.none(), runners))
    def leave_a_scope(self, pick: int, error: bool, elsewhere: str | None) -> None:
        frames = self._leavable("scope")
        frame = frames[pick % len(frames)]
        same = [f for f in self.model.frames if f.kind == "scope" and f.name == frame.name]
        runner = frame.runner
        # From 2.12 on a scope has to be left where it was entered.
        if elsewhere and not PER_CONTEXT and not any(f.runner == elsewhere for f in same):
            frame, runner = same[-1], elsewhere
        else:  # of its entries in one runner, a scope leaves the youngest
            frame = [f for f in same if f.runner == runner][-1]
        if not self.model.can_leave(frame):
            return
        self.model.leave(frame)
        self._does("leave", frame.name, runner, by=runner, error=error)

    @rule(runner=runners, min_sms=st.one_of(st.none(), thresholds))
    def enable(self, runner: str, min_sms: int | None) -> None:
        if self.model.can_enable():
            self.model.enable(min_sms)
            self._does("enable", runner, min_sms, by=runner)

    @precondition(lambda self: self.model.enabled or self.model.offered)
    @rule(runner=runners)
    def disable(self, runner: str) -> None:
        if self.model.can_disable():
            self.model.disable()
            self._does("disable", runner, by=runner)

    @rule(runner=runners, min_sms=thresholds)
    def options(self, runner: str, min_sms: int) -> None:
        self.model.offered = True
        self._does("options", runner, min_sms, by=runner)

    @rule(who=st.sampled_from([*PLAIN, *WRAPPERS, "stock"]), runner=runners)
    def assign_to_the_gate(self, who: str, runner: str) -> None:
        below = self.model.gate if who in WRAPPERS else []
        self.model.gate = [*below, who]
        self._does("assign", who, by=runner)

    @rule(
        runner=runners,
        threshold=st.booleans(),
        extra=st.booleans(),
        min_sms=st.one_of(st.none(), thresholds),
    )
    def enter_torchs_own_patch(
        self, runner: str, threshold: bool, extra: bool, min_sms: int | None
    ) -> None:
        threshold = threshold and self.model.present()
        if min_sms is None:
            min_sms = self.model.value(runner, MIN_SMS)
        values = {MIN_SMS: min_sms} if threshold else {EXTRA: extra}
        self.patches += 1
        self.model.patch(self.patches, runner, values)
        self._does("patch", self.patches, runner, values, by=runner)

    @precondition(lambda self: self._leavable("patch"))
    @rule(pick=picks)
    def leave_torchs_own_patch(self, pick: int) -> None:
        frames = self._leavable("patch")
        frame = frames[pick % len(frames)]
        self.model.leave(frame)
        self._does("unpatch", frame.name, frame.runner, by=frame.runner)

    @rule(count=st.sampled_from([1, 28, 67, 68, 79, 80, 132]), runner=runners)
    def plug_in_another_gpu(self, count: int, runner: str) -> None:
        self.model.sms = count
        self._does("set_sms", count, by=runner)

    def teardown(self) -> None:
        with contextlib.ExitStack() as stack:
            if self.world is not None:
                stack.callback(self.world.close)
            if not self.failed:
                self._leave_all()

    def _leave_all(self) -> None:
        while self.model.frames:
            frame = self.model.frames[-1]
            if not self.model.can_leave(frame):
                self.options("main", 0)
            self.model.leave(frame)
            if frame.kind == "scope":
                self._does("leave", frame.name, frame.runner, by=frame.runner, error=True)
            else:
                self._does("unpatch", frame.name, frame.runner, by=frame.runner)
        self.model.disable()
        self._does("disable", "main")


def draw(
    machine: type[Lifecycle], examples: int, anew: bool = False
) -> list[list[tuple[Any, ...]]]:
    machine.histories = []
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            derandomize=not anew,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        ),
    )
    return machine.histories


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("inductor_override", "torch._inductor"):
        caplog.set_level(logging.ERROR, name)


class OnlyDrawn(Lifecycle):
    make_world = staticmethod(lambda: None)


def check(histories: list[list[tuple[Any, ...]]], each: int) -> None:
    """Every kind of step is drawn, each so often at least, and only what can be done."""
    kinds = Counter(kind for history in histories for kind, *_ in history)
    assert kinds.keys() == {
        *("enter", "leave", "enable", "disable", "options"),
        *("assign", "patch", "unpatch", "set_sms"),
    }
    assert min(kinds.values()) >= 4 * each, kinds
    assert {by for history in histories for _, by, *_ in history} == set(RUNNERS)
    seen: Counter[str] = Counter()
    for history in histories:
        opened: list[tuple[int, str]] = []
        for kind, by, *args in history:
            if kind == "enter":
                seen["the same object twice"] += any(name == args[0] for name, _ in opened)
                seen["with another option"] += EXTRA in args[2]
                opened.append((args[0], by))
                seen["three deep"] += len(opened) >= 3
                seen["two runners"] += len({runner for _, runner in opened}) >= 2
            elif kind == "leave":
                elsewhere = (args[0], by) not in opened
                assert not (elsewhere and PER_CONTEXT)
                same = [i for i, (name, _) in enumerate(opened) if name == args[0]]
                which = [i for i in same if elsewhere or opened[i][1] == by]
                seen["not the youngest"] += which[-1] != len(opened) - 1
                seen["elsewhere"] += elsewhere
                seen["with an exception" if args[-1] else "without one"] += 1
                del opened[which[-1]]
            seen[f"{kind} {args[0]}"] += kind == "assign"
            seen["assigned while open"] += kind == "assign" and bool(opened)
            seen["enabled without a value"] += kind == "enable" and args[-1] is None
            seen["threshold patched"] += kind == "patch" and MIN_SMS in args[-1]
        assert opened == []
    wanted = ["the same object twice", "with another option", "three deep", "two runners"]
    wanted += ["not the youngest", "assigned while open", "enabled without a value"]
    wanted += [
        "threshold patched",
        "with an exception",
        "without one",
        *(f"assign {who}" for who in (*PLAIN, *WRAPPERS, "stock")),
    ]
    wanted += [] if PER_CONTEXT else ["elsewhere"]
    assert {what: seen[what] for what in wanted if seen[what] < each} == {}


def test_what_is_drawn_covers_every_kind_and_is_valid() -> None:
    check(draw(OnlyDrawn, 150), each=10)


@pytest.mark.slow
def test_any_sequence_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    histories = draw(Lifecycle, 50, anew=EXPLORE)
    check(histories, each=0)
    steps = sum(map(len, histories))
    with capsys.disabled():
        print(f" {steps} steps in {len(histories)} sequences ", end="")
    assert steps >= 2000
