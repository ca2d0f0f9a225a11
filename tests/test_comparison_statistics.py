"""Does the instrument lie? Figures with a known truth through the statistics of `compare`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pytest

from inductor_override.comparison.arms import Arm
from inductor_override.comparison.question import Question
from inductor_override.comparison.result import Result, Run
from inductor_override.comparison.schedule import ROUND, Step
from inductor_override.comparison.sentences import FASTER, SLOWER
from inductor_override.comparison.statistics import (
    fewest_pairs,
    pairs_needed,
    ratio_interval,
    smallest_effect,
    spread,
)
from inductor_override.comparison.verdict import judge

Figures = npt.NDArray[np.float64]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Figures]
Pairs = list[tuple[float, float]]
ROUNDS, TRIALS = 10, 1000
QUIET = 0.01
"""The noise of a process on a quiet machine: one standard deviation of its median."""


def normal(random: np.random.Generator, size: tuple[int, ...]) -> Figures:
    return random.normal(0, QUIET, size)


def with_outliers(random: np.random.Generator, size: tuple[int, ...]) -> Figures:
    """One process in ten is much slower."""
    slow = random.random(size) < 0.1
    return normal(random, size) + slow * random.exponential(0.3, size)


def two_humped(random: np.random.Generator, size: tuple[int, ...]) -> Figures:
    """The clock has two states, or the tuner takes one of two kernels."""
    return normal(random, size) + 0.08 * (random.random(size) < 0.4)


def drifting(random: np.random.Generator, size: tuple[int, ...]) -> Figures:
    """The machine slows down by 2 % from round to round."""
    rounds = np.arange(size[-1])
    return normal(random, size) + 0.02 * rounds


NOISES = (normal, with_outliers, two_humped, drifting)


def experiments(noise: Noise, true_ratio: float, trials: int = TRIALS) -> Iterator[Pairs]:
    """Pairs of figures, in the order of a comparison: every other round runs backwards."""
    random = np.random.default_rng(7)
    first, second = noise(random, (trials, ROUNDS)), noise(random, (trials, ROUNDS))
    if noise is drifting:  # within a round, too: whoever comes second is 1 % slower
        second_comes_last = np.arange(ROUNDS) % 2 == 0
        first = first + 0.01 * ~second_comes_last
        second = second + 0.01 * second_comes_last
    for a, b in zip(np.exp(first), true_ratio * np.exp(second), strict=True):
        yield list(zip(a, b, strict=True))


def verdict_of(pairs: Pairs, min_effect: float = 0.01) -> str:
    result = Result(Question(command="x"), [Arm("a"), Arm("b")], len(pairs), min_effect)
    for number, (a, b) in enumerate(pairs):
        for arm, figure in enumerate((a, b)):
            result.runs.append(Run(Step(ROUND, arm, number), figure=figure))
    return judge(result)[0].verdict


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
def test_identical_arms_are_called_different_in_at_most_one_experiment_of_twenty(
    noise: Noise,
) -> None:
    verdicts = [verdict_of(pairs) for pairs in experiments(noise, 1.0)]
    assert sum(each in (FASTER, SLOWER) for each in verdicts) <= 0.05 * TRIALS


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("true_ratio", [1.0, 0.95, 1.3])
def test_the_interval_contains_the_truth_as_often_as_it_says(
    noise: Noise, true_ratio: float
) -> None:
    found = [ratio_interval(pairs) for pairs in experiments(noise, true_ratio, 4 * TRIALS)]
    inside = np.mean([each.low <= true_ratio <= each.high for each in found])
    assert inside >= 0.93
    # An alternating drift is not random: pairs are steadier than the test assumes.
    assert inside <= (1 if noise is drifting else 0.97)


@pytest.mark.parametrize("true_ratio", [0.95, 1 / 0.95])
def test_a_true_effect_of_five_percent_is_found(true_ratio: float) -> None:
    wanted = FASTER if true_ratio < 1 else SLOWER
    verdicts = [verdict_of(pairs) for pairs in experiments(normal, true_ratio)]
    assert np.mean([each == wanted for each in verdicts]) >= 0.8


def test_too_few_pairs_have_an_estimate_and_no_interval() -> None:
    found = ratio_interval([(1.0, 1.1)] * (fewest_pairs() - 1))
    assert found.value == pytest.approx(1.1)
    assert not found.known
    assert (found.to_dict()["low"], found.to_dict()["high"]) == (None, None)
    assert ratio_interval([(1.0, 1.1)] * fewest_pairs()).known


@pytest.mark.parametrize("pairs", [[], [(0.0, 1.0)], [(1.0, math.inf)], [(-1.0, 1.0)]])
def test_what_is_no_figure_has_no_ratio(pairs: Pairs) -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_interval(pairs)


def test_the_ratio_of_swapped_arms_is_the_inverse() -> None:
    pairs = next(experiments(with_outliers, 0.9))
    one, other = ratio_interval(pairs), ratio_interval([(b, a) for a, b in pairs])
    assert other.value == pytest.approx(1 / one.value)
    assert (other.low, other.high) == pytest.approx((1 / one.high, 1 / one.low))


def test_what_a_number_of_rounds_can_show_is_shown_by_about_half_of_the_experiments() -> None:
    """The promise before a run, kept by the verdicts of runs."""
    noise_of_a_pair = math.sqrt(2) * QUIET
    effect = smallest_effect(noise_of_a_pair, ROUNDS)
    found = [verdict_of(pairs) for pairs in experiments(normal, 1 + effect)]
    assert 0.3 <= np.mean([each == SLOWER for each in found]) <= 0.7
    needed = pairs_needed(noise_of_a_pair, effect)
    assert needed is not None
    assert needed <= ROUNDS
    assert smallest_effect(noise_of_a_pair, fewest_pairs() - 1) == math.inf
    assert pairs_needed(1.0, 0.001) is None


def test_the_spread_of_identical_processes_is_not_moved_by_one_outlier() -> None:
    quiet = next(experiments(normal, 1.0))
    assert spread(quiet) == pytest.approx(math.sqrt(2) * QUIET, rel=0.6)
    assert spread([*quiet, (1.0, 3.0)]) < 2.5 * math.sqrt(2) * QUIET
