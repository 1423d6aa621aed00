"""An installation that a target is busy with for us: followed, found again, awaited.

A target installs on its own once it has said 202. What came of a POST whose answer was lost, of a
task that a restart took along, or of one that nobody follows any more is found out here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from devserver.errors import TargetUnavailable
from devserver.model import Descriptor, TargetState
from devserver.upm.answers import Failed, Forgotten, Installed, Outcome, Plugin, Running, Task
from devserver.upm.causes import Call, Trouble
from devserver.upm.client import Upm
from devserver.upm.delivery import Delivery
from devserver.upm.pace import Limits, backoff, polls
from devserver.upm.progress import Progress

APPEARS = 0.3
"""Seconds within which an installation whose POST was cut off shows among the running ones."""

News = Callable[[float], Awaitable[bool]]
"""Waits at most so many seconds for a fact about the attempt; False: there was none."""


class Underway:
    """What *upm*'s target may be installing for us."""

    def __init__(self, upm: Upm, delivery: Delivery, progress: Progress, limits: Limits) -> None:
        self.task: Task | None = None
        self.lost: Descriptor | None = None
        """What was POSTed when no answer came: it may be on its way."""
        self._upm = upm
        self._delivery = delivery
        self._progress = progress
        self._limits = limits

    @property
    def is_open(self) -> bool:
        """Whether the target may be busy with something of ours."""
        return self.lost is not None or self.task is not None

    async def follow(self, news: News) -> Installed | Failed | Forgotten:
        """Poll the task until it has ended; how it ended. Raises TargetError at the limit."""
        assert self.task is not None
        end = time.monotonic() + self._limits.task
        delays = backoff(self._limits.first_retry, 2.0)
        delay = polls(False, 0, self.task.ping_after_ms)
        tries = 0
        outcome: Outcome = Running(self.task.ping_after_ms)
        while isinstance(outcome, Running):
            if time.monotonic() > end:
                self.task = None
                limit = f"{self._limits.task:g}"
                raise self._upm.trouble(Call.TASK, Trouble.TASK_LIMIT, limit=limit)
            tries = 0 if await news(delay) else tries + 1
            try:
                outcome = await self._upm.poll(self.task)
                if isinstance(outcome, Forgotten):
                    outcome = await self._recalled()
            except TargetUnavailable as error:
                delay = max(next(delays), error.retry_after or 0.0)
                self._progress.tell_error(TargetState.UNAVAILABLE, error, retry_in=delay)
            else:
                if isinstance(outcome, Running):
                    fetched = self._progress.now.fetched is not None
                    delay = polls(fetched, tries, outcome.ping_after_ms)
        self.task = None
        return outcome

    async def catch_up(self, *, resumed: bool) -> None:
        """See what became of an installation that we lost sight of, before the next POST.

        Where it was of this very descriptor (*resumed*), it is gone on with: found running, or
        fetched and listed; otherwise its end is awaited, so that no two overlap.
        """
        if self.lost is not None:
            self.task = await self._running() or self.task
        if resumed and self.task is not None:
            self._progress.note("accepted")
        elif resumed and self.lost is not None and await self._arrived() is not None:
            self._progress.note("accepted", "installed")
        else:
            await self.settle()
        self.lost = None

    async def appear(self) -> None:
        """Find the installation whose POST was cut off; the target may be a moment behind."""
        end = time.monotonic() + APPEARS
        while self.lost is not None and self.task is None and time.monotonic() < end:
            self.task = await self._running()
            if self.task is None:
                await asyncio.sleep(APPEARS / 3)

    async def settle(self, waiting: Callable[[], None] = lambda: None) -> bool:
        """Wait for the end of the task, whatever it is; False: the limit came first.

        *waiting* is called once, where the task still runs.
        """
        end = time.monotonic() + self._limits.task
        told = False
        while self.task is not None:
            outcome = await self._upm.poll(self.task)
            if not isinstance(outcome, Running):
                self.task = None
                break
            if time.monotonic() > end:
                return False
            if not told:
                told = True
                waiting()
            await asyncio.sleep(polls(False, 0, outcome.ping_after_ms))
        return True

    async def _running(self) -> Task | None:
        """The task by which the target installs what we POSTed last, if it still runs."""
        posted = self.lost or self._progress.now.descriptor
        names = {posted.name, posted.file_name, self._delivery.source(posted)}
        return next((each for each in await self._upm.pending() if each.source in names), None)

    async def _recalled(self) -> Outcome:
        """What became of a task that the target does not know (any more).

        A restart takes the tasks along, and with them perhaps the installation; the other node of a
        cluster never knew it.
        """
        if (running := await self._running()) is not None:
            self.task = running
            return Running(running.ping_after_ms)
        plugin = await self._arrived()
        return Installed(plugin) if plugin else Forgotten()

    async def _arrived(self) -> Plugin | None:
        """What the target lists, where that is what this attempt sent."""
        attempt = self._progress.now
        plugin = await self._upm.plugin(attempt.descriptor.key)
        return plugin if plugin and self._delivery.has_arrived(plugin, attempt) else None
