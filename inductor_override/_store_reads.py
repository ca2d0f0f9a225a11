"""Reads of a whole config by torch, kept apart from the coming and going of our option.

torch's readers walk through the keys and look each up again. A compile that reads the config in
one thread must not meet a key that comes or goes with a scope in another: it would fail with
`dictionary changed size during iteration`, or with `KeyError`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Container
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, ClassVar, cast

LONGEST = 1.0
"""Seconds. torch reads the whole config in a thousandth of that."""

_PAUSE = 0.0005
"""Seconds between two looks at what other threads run."""


class WholeReads:
    """A lock around torch's readers, while they are guarded. In its `with` block none of them runs.

    Not for ever: a finalizer in the middle of a read may want to leave a scope, and then waits for
    the change that waits for it. After `LONGEST` the change goes on.

    Args:
        config: `torch._inductor.config`.
        readers: their names; those that this release does not have are left out.
        amend: what is done to what torch's readers return.
    """

    # Of the process: a reader that waits at the guard of one scope may run in the next one's.
    _lock: ClassVar = threading.RLock()

    def __init__(
        self,
        config: ModuleType,
        readers: tuple[str, ...],
        amend: Callable[[Any], None] = lambda read: None,
    ) -> None:
        self._held, self._amend = vars(config), amend
        reads = {name: getattr(type(config), name, None) for name in readers}
        self._guards = {
            name: self._guard(config, name, read) for name, read in reads.items() if read
        }
        self._codes = {getattr(read, "__code__", None) for read in reads.values() if read}
        self._own: dict[str, Any] = {}
        """What someone else had put on the module itself."""

    def _guard(self, config: ModuleType, name: str, read: Callable[..., Any]) -> FunctionType:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            with self._lock:
                own = self._own.get(name)
                found = own(*args, **kwargs) if own else read(config, *args, **kwargs)
                self._amend(found)
                return found

        return cast(FunctionType, guarded)

    def guard(self) -> None:
        held = self._held
        self._own = {
            name: held[name]
            for name, guard in self._guards.items()
            # Not one of ours, which an interrupt has left.
            if name in held and getattr(held[name], "__code__", None) is not guard.__code__
        }
        held.update(self._guards)

    def unguard(self) -> None:
        for name, guard in self._guards.items():
            if self._held.get(name) is guard:
                del self._held[name]
                if name in self._own:
                    self._held[name] = self._own[name]

    def wait_for_unguarded(self) -> None:
        """Wait for the reads that had begun before `guard`.

        They hold no lock, so they are looked for in what the other threads run.
        """
        if self._codes and _run_elsewhere(self._codes):
            end = time.monotonic() + LONGEST
            while _run_elsewhere(self._codes) and time.monotonic() < end:
                time.sleep(_PAUSE)

    def __enter__(self) -> None:
        self._waited = bool(self._guards) and self._lock.acquire(timeout=LONGEST)

    def __exit__(self, *exception: object) -> None:
        if self._waited:
            self._lock.release()

    @classmethod
    def after_fork(cls) -> None:
        """In the child of a fork: another thread of its parent's may have held the lock."""
        cls._lock = threading.RLock()


def _run_elsewhere(codes: Container[CodeType | None]) -> bool:
    """Whether another thread is in one of these functions."""
    frames = sys._current_frames()
    if len(frames) == 1:
        return False
    del frames[threading.get_ident()]  # a frame that held itself would keep its callers' objects
    frame: FrameType | None
    for frame in frames.values():
        while frame is not None:
            if frame.f_code in codes:
                return True
            frame = frame.f_back
    return False
