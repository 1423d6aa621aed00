"""What went over the wire, as the dashboard's inspector shows it: bounded, in memory.

An exchange holds headers and bodies as they were, secrets included; whoever shows one redacts it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

KEPT = 300
"""How many exchanges are remembered."""
BODY_KEPT = 16 * 1024
"""Bytes of each body that are remembered."""


class Way(StrEnum):
    """Who asked whom."""

    TO_US = "in"
    TO_TARGET = "out"
    REPLAY = "replay"
    """We to the app, at the user's word."""


@dataclass(frozen=True, slots=True)
class Message:
    """Headers in their order, and the first `BODY_KEPT` bytes of a body of `size`."""

    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    size: int = 0

    def header(self, name: str) -> str:
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), "")


def message(headers: Iterable[tuple[str, str]], body: bytes = b"") -> Message:
    return Message(tuple(headers), bytes(body[:BODY_KEPT]), len(body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what became of it; `status` 0 where no answer came, `error` says why."""

    way: Way
    method: str
    url: str
    request: Message
    status: int
    response: Message
    ms: float
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    who: str = ""
    """The target asked, or the one that asked; else what the caller calls itself."""
    error: str = ""
    replays: str = ""
    """What was sent again: `c12`, `x34`."""
    number: int = 0


Tell = Callable[[Exchange], object]
"""Takes note of an exchange; quick, never raises."""


class Traffic:
    """The last exchanges, newest last."""

    def __init__(self) -> None:
        self._kept: deque[Exchange] = deque(maxlen=KEPT)
        self._count = 0
        self._listeners: list[Callable[[], None]] = []

    def __iter__(self) -> Iterator[Exchange]:
        return iter(tuple(self._kept))

    def add(self, exchange: Exchange) -> int:
        """Keep *exchange* under the next number, and give that."""
        self._count += 1
        self._kept.append(replace(exchange, number=self._count))
        self.stirred()
        return self._count

    def stirred(self) -> None:
        """Tell the listeners that there is something to look at."""
        for listener in tuple(self._listeners):
            listener()

    def find(self, number: int) -> Exchange | None:
        return next((each for each in self._kept if each.number == number), None)

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have *listener* called after each exchange while the block runs."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)
