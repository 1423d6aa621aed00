"""How long we wait for a target, and how long between tries. Pure."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a registrar waits, in seconds."""

    confirm: float = 10.0
    """For the callback, after the task has ended."""
    task: float = 120.0
    """For the task, from its acceptance."""
    gap: float = 0.025
    """Between two POSTs."""
    token: float = 240.0
    """A warm token is used no older than this; it dies at 300 (upm-protocol.md §1)."""
    recent: float = 600.0
    """While the last installation is no older, a token is kept warm."""
    first_retry: float = 0.1
    last_retry: float = 30.0
    side: float = 5.0
    """For a request that only prepares or checks."""
    check: float = 15.0
    """Between two looks whether the target still has what we installed."""


def backoff(
    first: float = 0.1, last: float = 30.0, jitter: Callable[[], float] = random.random
) -> Iterator[float]:
    """Seconds to wait before each further try: doubling, up to a quarter longer by chance."""
    delay = first
    while True:
        yield min(last, delay * (1 + jitter() / 4))
        delay = min(last, delay * 2)


def polls(fetched: bool, tries: int, ping_after_ms: int) -> float:
    """Seconds until the next poll of a running task, the *tries*-th since its last news.

    As the target asks, within 0.1 and 1 s; but once it has our bytes an install takes milliseconds
    on most hosts, so the first polls after that come sooner.
    """
    if fetched and tries < len(_SOON):
        return _SOON[tries]
    return min(max(ping_after_ms / 1000, 0.1), 1.0)


_SOON = (0.015, 0.03, 0.06)
