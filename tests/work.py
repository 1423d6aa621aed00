"""How much work an input makes, in ratios and in calls, which hold on a busy machine too."""

import time
from collections.abc import Callable
from cProfile import Profile
from typing import TypeVar

T = TypeVar("T")

RUNS = 5
LEAST = 0.001
"""Seconds below which a measurement says nothing."""


def growth(work: Callable[[int], object], small: int, large: int) -> float:
    """CPU time of `work(large)` in those of `work(small)`: the best of some runs of each.

    Linear work grows as the sizes do, quadratic work as their squares.
    """
    return _best(work, large) / _best(work, small)


def _best(work: Callable[[int], object], size: int) -> float:
    times = []
    for _ in range(RUNS):
        started = time.process_time()
        work(size)
        times.append(time.process_time() - started)
    return max(min(times), LEAST)


def counted(work: Callable[[], T]) -> tuple[T, int]:
    """What *work* gives, and how many functions were called for that: some 5 million a second."""
    profile = Profile()
    given = profile.runcall(work)
    return given, sum(each.callcount for each in profile.getstats())
