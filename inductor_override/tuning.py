"""What Inductor's own tuner measured: for each operation the candidates with their times.

The times are torch's: short samples of each candidate alone, without an interval. They tell which
kernel the tuner took, not what a model gains.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

SELECT_ALGORITHM = "torch._inductor.select_algorithm"
LIBRARY, TRITON, OTHER = "library", "triton", "other"
_RUNNERS_UP = 5


@dataclass(frozen=True)
class Timed:
    """One candidate.

    Attributes:
        name: Inductor's, such as `mm` or `triton_mm_3`.
        kind: "library" (cuBLAS, oneDNN), "triton" (a Triton template), or "other" (a C++ or CUTLASS
            template, a decomposition, a function of `config.external_matmul`).
        milliseconds: torch's figure; None if the candidate could not be run.
    """

    name: str
    kind: str
    milliseconds: float | None


@dataclass(frozen=True)
class Tuned:
    """One operation that was tuned.

    Attributes:
        op: torch's name, such as `addmm`.
        sizes: of each input, as Inductor prints them.
        dtype: of the first input.
        fastest: the candidates that ran, the fastest first, no more than six.
        candidates: how many were timed.
        failed: how many of them could not be run.
        library: the fastest call of a library, if any ran.
        seconds: how long torch took to compile and time the candidates; 0 where it had the times in
            a cache.
    """

    op: str
    sizes: tuple[str, ...]
    dtype: str
    fastest: tuple[Timed, ...]
    candidates: int
    failed: int
    library: Timed | None
    seconds: float = 0.0

    @property
    def winner(self) -> Timed | None:
        """The candidate that torch took; None if none could be run."""
        return self.fastest[0] if self.fastest else None

    @property
    def over_library(self) -> float | None:
        """How many times as long the library's fastest call took; None where either did not run."""
        if self.winner is None or self.library is None or not self.winner.milliseconds:
            return None
        assert self.library.milliseconds is not None
        return self.library.milliseconds / self.winner.milliseconds

    def to_dict(self) -> dict[str, Any]:
        """The same, as JSON can hold it."""
        return {**asdict(self), "over_library": self.over_library}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Tuned:
        """The opposite of `to_dict`."""
        library = data["library"]
        return cls(
            data["op"],
            tuple(data["sizes"]),
            data["dtype"],
            tuple(Timed(**each) for each in data["fastest"]),
            data["candidates"],
            data["failed"],
            Timed(**library) if library else None,
            data.get("seconds", 0.0),
        )


def available() -> bool:
    """Whether this torch tells what its tuner measured, and notes the seconds (from 2.6 on)."""
    module = sys.modules.get(SELECT_ALGORITHM)
    return all(hasattr(module, name) for name in ("add_feedback_saver", "dynamo_timed"))


class Listener:
    """Has a function called for each operation that Inductor tunes, whoever compiles it.

    Args:
        to: the function; it is called in the thread that compiles.
    """

    def __init__(self, to: Callable[[Tuned], None]) -> None:
        self._to = to
        self._seen: dict[str, tuple[list[float], int]] = {}

    def attach(self) -> None:
        """Listen, if this torch tells. Does nothing while it listens already."""
        if not available() or self._save in self._savers():
            return
        self._seen = {name: (times, len(times)) for name, times in _noted_by_torch().items()}
        sys.modules[SELECT_ALGORITHM].add_feedback_saver(self._save)

    def detach(self) -> None:
        """Listen no longer. Can be called again."""
        if self._save in self._savers():
            self._savers().remove(self._save)

    @staticmethod
    def _savers() -> list[Any]:
        # torch makes the cache for the first saver, or for the first operation.
        cache = getattr(sys.modules.get(SELECT_ALGORITHM), "_ALGORITHM_SELECTOR_CACHE", None)
        return getattr(cache, "feedback_saver_fns", [])

    def _save(self, timings: Any, name: Any, inputs: Any, choices: Any, *more: Any) -> None:
        seconds = self._seconds(str(name))
        if timings:
            self._to(replace(_read(str(name), inputs, timings), seconds=seconds))

    def _seconds(self, name: str) -> float:
        """What torch has noted for this operation since it was last looked at; 0: nothing timed.

        Two threads that tune the same operation at once get the sum of both, in one of them.
        """
        new: dict[str, list[float]] = {}
        for phase in ("precompiling", "autotuning"):
            key = f"{name}_template_{phase}"
            times = _noted_by_torch().get(key, [])
            seen, count = self._seen.get(key, (times, 0))
            new[phase] = times[count if seen is times else 0 :]  # a reset of Dynamo makes new lists
            self._seen[key] = times, len(times)
        return sum(new["precompiling"] + new["autotuning"]) if new["autotuning"] else 0.0


def _noted_by_torch() -> dict[str, list[float]]:
    """Seconds by phase of a compile, as `torch._dynamo.utils.compile_times` tells them."""
    noted: dict[str, list[float]] = vars(sys.modules["torch._dynamo.utils"])[
        "compilation_time_metrics"
    ]
    return noted


@contextmanager
def listening(to: Callable[[Tuned], None]) -> Iterator[None]:
    """Call `to` for each operation that Inductor tunes in the block, whoever compiles it."""
    importlib.import_module(SELECT_ALGORITHM)
    listener = Listener(to)
    listener.attach()
    try:
        yield
    finally:
        listener.detach()


def _read(name: str, inputs: Any, timings: dict[Any, float]) -> Tuned:
    timed = sorted(
        (_timed(choice, seconds) for choice, seconds in timings.items()),
        key=lambda each: math.inf if each.milliseconds is None else each.milliseconds,
    )
    ran = [each for each in timed if each.milliseconds is not None]
    return Tuned(
        name,
        tuple("x".join(str(size) for size in each.get_size()) for each in inputs),
        str(inputs[0].get_dtype()).removeprefix("torch."),
        tuple(ran[: _RUNNERS_UP + 1]),
        len(timed),
        len(timed) - len(ran),
        next((each for each in ran if each.kind == LIBRARY), None),
    )


def _is_torchs(name: str) -> bool:
    """Whether a call is to torch's own function, and not to one of `config.external_matmul`."""
    function = getattr(vars(sys.modules[SELECT_ALGORITHM])["extern_kernels"], name, None)
    return (getattr(function, "__module__", None) or "torch").partition(".")[0] == "torch"


def _timed(choice: Any, milliseconds: float) -> Timed:
    kind = type(choice).__name__
    known = {"ExternKernelCaller": LIBRARY, "TritonTemplateCaller": TRITON}.get(kind, OTHER)
    if known == LIBRARY and not _is_torchs(choice.name):
        known = OTHER
    return Timed(choice.name, known, milliseconds if math.isfinite(milliseconds) else None)
