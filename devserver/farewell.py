"""The last callback: a host that has let the app go tells it so afterwards, not within its answer.

An app that does not hear of it keeps a tenant that there is not, and so would we.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from devserver.events import Bus, CallbackReceived, Event, TargetChanged
from devserver.model import TargetState, Verdict
from devserver.publish import Published

FAREWELL_SECONDS = 0.5
"""How long a host may take to say it."""
_EVENTS = frozenset({"uninstalled", "remote_plugin_uninstalled"})


@asynccontextmanager
async def awaited(bus: Bus, published: Published) -> AsyncIterator[None]:
    """Let targets go in the block; then wait for what they say to the callback that it declares."""
    gone: set[str] = set()
    told: set[str | None] = set()
    news = asyncio.Event()

    def hear(event: Event) -> None:
        if isinstance(event, TargetChanged) and event.state is TargetState.UNREGISTERED:
            descriptor = published.lookup(event.target)
            if descriptor and any(each.event in _EVENTS for each in descriptor.callbacks):
                gone.add(event.target)
        elif (
            isinstance(event, CallbackReceived)
            and event.event in _EVENTS
            and event.verdict is not Verdict.FORGED
        ):
            told.add(event.target)
        news.set()

    with bus.listening(hear):
        yield
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                while gone - told:
                    news.clear()
                    await news.wait()
