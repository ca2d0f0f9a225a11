"""What should be in force after any sequence of steps, said in as few words as possible.

No torch and nothing of the package is imported here: agreement with the real thing is evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MIN_SMS, EXTRA = "min_sms", "extra"
TORCH_DECIDES = -1


@dataclass(eq=False)
class Frame:
    """Something that was entered and not left: a scope, or torch's own `config.patch`."""

    kind: str
    name: int
    runner: str
    values: dict[str, Any]


@dataclass
class Count:
    consulted: int = 0
    passed: int = 0


@dataclass
class Model:
    """
    Args:
        per_context: torch 2.12 on: a value is seen in the thread or task that set it.
        keeps_assignments: torch 2.6 on: an assigned value lies over the process-wide default. That
            torch's own patch assigns at its end what it found, also if that was the default (2.15
            does not any more), is to make no difference.
    """

    per_context: bool
    keeps_assignments: bool
    stock_min_sms: int
    extra: bool
    frames: list[Frame] = field(default_factory=list)  # oldest first
    base: int = TORCH_DECIDES
    enabled: bool = False
    offered: bool = False
    gate: list[str] = field(default_factory=lambda: ["stock"])  # lowest first
    sms: int = 28
    counts: dict[int, Count] = field(default_factory=dict)

    def present(self) -> bool:
        return self.enabled or self.offered or any(f.kind == "scope" for f in self.frames)

    def stack(self, runner: str) -> list[Frame]:
        """What may rule for this runner."""
        return [f for f in self.frames if not self.per_context or f.runner == runner]

    def value(self, runner: str, key: str) -> Any:
        for frame in reversed(self.stack(runner)):
            if key in frame.values:
                return frame.values[key]
        return self.extra if key == EXTRA else self.base

    def answer(self, runner: str) -> bool:
        """The gate's answer, and who counts it."""
        min_sms = self.value(runner, MIN_SMS) if self.present() else TORCH_DECIDES
        passed: bool = self._gate_answers() if min_sms == TORCH_DECIDES else self.sms >= min_sms
        for name in {f.name for f in self.stack(runner) if f.kind == "scope"}:
            self.counts[name].consulted += 1
            self.counts[name].passed += passed
        return passed

    def _gate_answers(self) -> bool:
        for who in reversed(self.gate):
            if who in ("yes", "no", "yes wrapper"):
                return who != "no"
        return self.sms >= self.stock_min_sms

    def enter(self, name: int, runner: str, values: dict[str, Any]) -> None:
        self.counts.setdefault(name, Count())
        self.frames.append(Frame("scope", name, runner, values))

    def can_leave(self, frame: Frame) -> bool:
        """Scopes end in any order; torch's patches do not, neither among themselves nor with us."""
        above = self.frames[self.frames.index(frame) + 1 :]
        in_the_way = [
            f
            for f in above
            if f in self.stack(frame.runner)
            and f.values.keys() & frame.values.keys()
            and (f.kind, frame.kind) != ("scope", "scope")
        ]
        return not in_the_way and (frame.kind == "patch" or not self._last_hold(frame))

    def _last_hold(self, frame: Frame) -> bool:
        """Whether the option would go while torch's own patch of it is on: then that one fails."""
        left = [f for f in self.frames if f is not frame]
        held = self.enabled or self.offered or any(f.kind == "scope" for f in left)
        return not held and self.threshold_is_patched()

    def leave(self, frame: Frame) -> None:
        self.frames.remove(frame)

    def patch(self, name: int, runner: str, values: dict[str, Any]) -> None:
        self.frames.append(Frame("patch", name, runner, values))

    def threshold_is_patched(self) -> bool:
        return any(f.kind == "patch" and MIN_SMS in f.values for f in self.frames)

    def can_enable(self) -> bool:
        # Up to 2.5 default and value are one: the end of torch's patch would undo the enable.
        return self.keeps_assignments or not self.threshold_is_patched()

    def can_disable(self) -> bool:
        scopes = any(f.kind == "scope" for f in self.frames)
        return self.can_enable() and (scopes or not self.threshold_is_patched())

    def enable(self, value: int | None) -> None:
        self.enabled = True
        self.base = TORCH_DECIDES if value is None else value

    def disable(self) -> None:
        self.enabled = self.offered = False
        self.base = TORCH_DECIDES
