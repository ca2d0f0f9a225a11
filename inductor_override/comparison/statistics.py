"""The interval of a ratio, from pairs of processes, and what a number of pairs can show.

The process is the unit of replication: each gives one figure, the median of its samples. Two arms
of one round make a pair, whose ratio is free of what the machine did between the rounds.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations_with_replacement

LEVEL = 0.955
"""Announced as 95 %. The test is discrete: ten pairs have 95.1 % or 96.3 %, and with the former
every other thousand of experiments with identical arms would call more than fifty different."""


@dataclass(frozen=True)
class Interval:
    """A ratio with the interval that contains the true one in at least 95 % of all experiments.

    Attributes:
        value: the estimate.
        low, high: the ends of the interval; 0 and infinity where the pairs are too few.
        pairs: how many ratios there were.
    """

    value: float
    low: float
    high: float
    pairs: int

    def to_dict(self) -> dict[str, float | int | None]:
        """The same, as JSON can hold it: an end that is not known is None."""
        known = asdict(self)
        return {**known, **({} if self.known else {"low": None, "high": None})}

    @property
    def known(self) -> bool:
        """Whether the pairs were enough for an interval."""
        return math.isfinite(self.high)


def ratio_interval(pairs: Sequence[tuple[float, float]]) -> Interval:
    """The ratio of the second figure of each pair to the first.

    The estimate is the Hodges-Lehmann median of the logarithms, the interval that of the Wilcoxon
    signed-rank test (scipy): exact wherever the noise of a pair is symmetric, as it is when both
    processes are treated alike. One outlier, or noise with two humps, does not move it far.

    Args:
        pairs: positive figures.

    Raises:
        ValueError: no pair, or a figure that is not positive.
    """
    import numpy as np

    if not pairs or any(not (0 < a < math.inf and 0 < b < math.inf) for a, b in pairs):
        raise ValueError("needs at least one pair of positive figures")
    logs = [math.log(b / a) for a, b in pairs]
    means = np.sort([(a + b) / 2 for a, b in combinations_with_replacement(logs, 2)])
    value = float(np.median(means))
    outside = _outside(len(logs))
    if outside is None:
        return Interval(math.exp(value), 0.0, math.inf, len(logs))
    low, high = float(means[outside]), float(means[-1 - outside])
    return Interval(math.exp(value), math.exp(low), math.exp(high), len(logs))


@cache
def _outside(count: int) -> int | None:
    """How many of the sorted pairwise means stand outside the interval, on either side."""
    from scipy.stats import wilcoxon

    def likely(statistic: int) -> bool:
        """Whether the test would not reject a sample with that many pairwise means on one side."""
        return bool(wilcoxon(_signed_ranks(count, statistic)).pvalue > 1 - LEVEL)

    found = bisect_left(range(count * (count + 1) // 4 + 1), True, key=likely)
    return found - 1 if found else None


def _signed_ranks(count: int, statistic: int) -> list[float]:
    """1 to `count`, with the signs that make the sum of the negative ones `statistic`."""
    signed, left = [], statistic
    for rank in range(count, 0, -1):
        negative = rank <= left
        signed.append(float(-rank if negative else rank))
        left -= rank if negative else 0
    return signed


@cache
def fewest_pairs() -> int:
    """The fewest pairs that can ever show a difference."""
    return next(count for count in range(2, 100) if _outside(count) is not None)


def smallest_effect(spread: float, pairs: int) -> float:
    """The difference that this many pairs will show about half of the time, as a fraction.

    Args:
        spread: the standard deviation of the logarithm of a pair's ratio.
        pairs: how many pairs; fewer than `fewest_pairs` show nothing: infinity.
    """
    from scipy.stats import t

    if pairs < fewest_pairs():
        return math.inf
    return math.expm1(float(t.ppf((1 + LEVEL) / 2, pairs - 1)) * spread / math.sqrt(pairs))


def pairs_needed(spread: float, effect: float, most: int = 1000) -> int | None:
    """The fewest pairs whose `smallest_effect` is at most `effect`; None beyond `most`."""
    return next(
        (n for n in range(fewest_pairs(), most + 1) if smallest_effect(spread, n) <= effect), None
    )


def spread(pairs: Sequence[tuple[float, float]], about: float = 1.0) -> float:
    """The standard deviation of the logarithm of the ratio, robust against a single outlier.

    Args:
        about: the ratio around which they lie; 1 for two treatments that are the same.
    """
    from statistics import median

    from scipy.stats import norm

    return median(abs(math.log(b / a / about)) for a, b in pairs) / float(norm.ppf(0.75))
