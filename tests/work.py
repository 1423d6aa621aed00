"""How much more work a larger input makes: ratios, which hold on a busy machine too."""

import time
from collections.abc import Callable

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
