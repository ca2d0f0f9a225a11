"""Which processes a comparison takes, in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CHECK, WARM, NOISE, ROUND = "check", "warm", "noise", "round"
_FEWEST_NOISE = 3


@dataclass(frozen=True)
class Step:
    """One process.

    Attributes:
        phase: "check" compiles and checks the outputs; "warm" compiles once more from the caches
            that the check left; "noise" times the first arm against itself; "round" times all.
        arm: which one, by its place.
        round: from 0 on.
        half: of "noise", whether it is the first (0) or the second (1) of the two.
    """

    phase: str
    arm: int
    round: int = 0
    half: int = 0

    @property
    def timed(self) -> bool:
        """Whether calls are timed in it."""
        return self.phase in (NOISE, ROUND)


def steps(arms: int, rounds: int, *, compiles: bool) -> Iterator[Step]:
    """All processes in their order: checks, the noise of the machine, then the rounds.

    Every other round runs backwards, so that what changes steadily meanwhile (a warming chip) hits
    all arms alike: A B, B A, A B.

    Args:
        compiles: whether the processes are the package's own. A user's command is only timed.
    """
    if compiles:
        for arm in range(arms):
            yield Step(CHECK, arm)
            yield Step(WARM, arm)
    for number in range(noise_rounds(rounds)):
        halves = (0, 1) if number % 2 == 0 else (1, 0)
        for half in halves:
            yield Step(NOISE, 0, number, half)
    for number in range(rounds):
        order = range(arms) if number % 2 == 0 else reversed(range(arms))
        for arm in order:
            yield Step(ROUND, arm, number)


def noise_rounds(rounds: int) -> int:
    """How many pairs of the first arm against itself: a third of the rounds, three if there are."""
    return max(min(_FEWEST_NOISE, rounds), rounds // 3)
