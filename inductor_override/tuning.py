"""What Inductor's own tuner measured: for each operation the candidates with their times.

The times are torch's: short samples of each candidate alone, without an interval. They tell which
kernel the tuner took, not what a model gains.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
            template, a decomposition).
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
    """

    op: str
    sizes: tuple[str, ...]
    dtype: str
    fastest: tuple[Timed, ...]
    candidates: int
    failed: int
    library: Timed | None

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
        )


def available() -> bool:
    """Whether this torch tells what its tuner measured (from torch 2.6 on)."""
    module = sys.modules.get(SELECT_ALGORITHM)
    return module is not None and hasattr(module, "add_feedback_saver")


@contextmanager
def listening(to: Callable[[Tuned], None]) -> Iterator[None]:
    """Call `to` for each operation that Inductor tunes in the block, whoever compiles it."""
    import torch._inductor.select_algorithm as select_algorithm

    if not available():
        yield
        return

    def saver(timings: Any, name: Any, inputs: Any, choices: Any, *more: Any) -> None:
        if timings:
            to(_read(str(name), inputs, timings))

    select_algorithm.add_feedback_saver(saver)
    try:
        yield
    finally:
        cache = select_algorithm._ALGORITHM_SELECTOR_CACHE  # add_feedback_saver has made it
        if cache is not None and saver in cache.feedback_saver_fns:
            cache.feedback_saver_fns.remove(saver)


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


def _timed(choice: Any, milliseconds: float) -> Timed:
    kind = type(choice).__name__
    known = {"ExternKernelCaller": LIBRARY, "TritonTemplateCaller": TRITON}.get(kind, OTHER)
    return Timed(choice.name, known, milliseconds if math.isfinite(milliseconds) else None)
