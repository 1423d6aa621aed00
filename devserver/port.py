"""The public port of one run: callers may knock from the start, and are answered in a moment.

The sockets listen before anything else is done. What answers (the web half of aiohttp, the
verifying of callbacks) is loaded while the target is busy with the first install request, since
until then there is nothing to be asked for.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from socket import socket
from typing import TYPE_CHECKING

from devserver.companions import Companions, first_request
from devserver.events import Bus, Notice, TargetChanged
from devserver.model import Severity, TargetState
from devserver.publish import Artifacts, Published
from devserver.settings import Settings
from devserver.upm.client import Upm

if TYPE_CHECKING:
    from devserver.callbacks.verifier import Verifier


class PublicPort:
    """Answers on *sockets* with what is *published*, for targets that were told *base_url*.

    *beside* has the app behind us and keeps what came; None: there is neither.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: list[socket],
        *,
        base_url: str,
        bus: Bus,
        published: Published,
        artifacts: Artifacts,
        upms: Mapping[str, Upm],
        beside: Companions | None,
    ) -> None:
        self._settings = settings
        self._sockets = sockets
        self._base_url = base_url
        self._bus = bus
        self._published = published
        self._artifacts = artifacts
        self._upms = upms
        self._beside = beside
        self._opening: asyncio.Task[Verifier] | None = None
        self._open = AsyncExitStack()

    async def run(self) -> None:
        """Answer, once the first install request is out; then get ready for its callback."""
        with self._bus.reading() as events:
            await first_request(self._bus)
            verifier = await self.answer()
            async for event in events:
                if isinstance(event, TargetChanged) and event.state is TargetState.ACCEPTED:
                    break
        await verifier.prepare()

    async def answer(self) -> "Verifier":
        """Answer from now on, until `close`; gives who verifies what is called.

        A port that is half open is opened all the same when whoever asked for it is cancelled: a
        host that is about to install what we serve must find it until the end.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._answer(), name="opening the public port")
        return await asyncio.shield(self._opening)

    async def _answer(self) -> "Verifier":
        from devserver.callbacks.verifier import Verifier
        from devserver.web.hosts import OURS, names_of
        from devserver.web.listen import serving
        from devserver.web.public import Site, public_app
        from devserver.web.receive import receiver

        beside, settings = self._beside, self._settings
        verifier = Verifier(
            self._upms,
            beside.record if beside else None,
            keys=lambda: self._published.keys,
        )
        receive = receiver(
            verifier,
            self._bus,
            self._base_url,
            backend=beside.backend if beside else None,
            keep=beside.keep if beside else None,
        )
        site = Site(self._published, self._bus, receive, artifacts=self._artifacts)
        if beside is not None:
            site = replace(site, proxy=beside.proxy(), tell=beside.traffic.add)
        if settings.host is not None and not names_of(settings.host) & OURS:
            self._bus.publish(
                Notice(
                    severity=Severity.WARNING,
                    message=f"listening on {settings.host}: "
                    "others on the network can read the descriptor",
                    remedy="leave --host out to serve this machine alone",
                )
            )
        hosts = names_of(settings.public_url, settings.host, *settings.allowed_hosts)
        await self._open.enter_async_context(serving(public_app(site, hosts), self._sockets))
        return verifier

    def give_up(self) -> None:
        """Open no more what is not open yet: whoever leaves is in a hurry."""
        if self._opening is not None:
            self._opening.cancel()

    async def close(self) -> None:
        if self._opening is not None:
            await asyncio.wait((self._opening,))
        await self._open.aclose()
