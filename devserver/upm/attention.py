"""What wakes a registrar: an offer, a word of the user's, a fact about its attempt."""

import asyncio
import time

from devserver.events import Event
from devserver.upm.progress import Progress


class Attention:
    """Waits that a call, or a fact that *progress* takes in, cuts short."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._called = asyncio.Event()

    def call(self) -> None:
        self._called.set()

    def hear(self, event: Event) -> None:
        """Take in what *event* says of the attempt; to be called with every event."""
        if self._progress.hear(event):
            self._called.set()

    async def wait(self, limit: float | None) -> bool:
        """Wait at most *limit* seconds for a call or a fact; False: there was none."""
        try:
            async with asyncio.timeout(limit):
                await self._called.wait()
        except TimeoutError:
            return False
        self._called.clear()
        self._progress.tell_steps()
        return True

    async def news(self, limit: float) -> bool:
        """Wait at most *limit* seconds for a fact about the attempt; False: there was none."""
        known, end = self._progress.now, time.monotonic() + limit
        while (left := end - time.monotonic()) > 0 and self._progress.now is known:
            await self.wait(left)
        return self._progress.now is not known
