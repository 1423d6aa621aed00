"""The Bus that carries events to whoever subscribed."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from devserver.events.kinds import Event
from devserver.events.state import State, apply


class Reader:
    """One subscriber's queue; iterating ends when the Bus closes."""

    def __init__(self, limit: int | None) -> None:
        self._waiting: deque[Event] = deque(maxlen=limit)
        self._fresh = asyncio.Event()
        self._closed = False

    def put(self, event: Event) -> None:
        self._waiting.append(event)
        self._fresh.set()

    def close(self) -> None:
        self._closed = True
        self._fresh.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._fresh.clear()
            await self._fresh.wait()
        return self._waiting.popleft()


class Bus:
    """Carries events to whoever subscribed; publishing never waits for a reader.

    `state` is always the fold of everything published. A reader with a `limit` loses its oldest
    events when it is slow (and can take `state` instead); one without gets every event. A
    *listener* is called at once, in order, before `publish` returns: it must be quick and never
    raise.
    """

    def __init__(self, state: State | None = None) -> None:
        self.state = state or State()
        self._readers: list[Reader] = []
        self._listeners: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        self.state = apply(self.state, event)
        for listener in tuple(self._listeners):
            listener(event)
        for reader in self._readers:
            reader.put(event)

    @contextmanager
    def reading(self, *, limit: int | None = None) -> Iterator[Reader]:
        """Subscribe while the block runs."""
        reader = Reader(limit)
        self._readers.append(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)

    @contextmanager
    def listening(self, listener: Callable[[Event], None]) -> Iterator[None]:
        """Have *listener* called with every event while the block runs."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def until(self, wanted: Callable[[Event], bool], within: float) -> bool:
        """Wait, at most *within* seconds, for an event that is *wanted*; False: none came."""
        try:
            async with asyncio.timeout(within):
                with self.reading() as events:
                    async for event in events:
                        if wanted(event):
                            return True
        except TimeoutError:
            pass
        return False

    def close(self) -> None:
        """End every reader once it has read what is there."""
        for reader in self._readers:
            reader.close()
