"""What runs beside the loop: the app behind us, the record of callbacks, the dashboard.

None of it may delay the first registration, so it starts once that request is out.
"""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from devserver.app import App
from devserver.backend import Backend
from devserver.callbacks import record
from devserver.callbacks.record import Record, RecordBroken, Recorded
from devserver.events import Bus, Notice, TargetChanged, Withheld
from devserver.model import Severity, Target, TargetState
from devserver.settings import Settings
from devserver.traffic import Traffic
from devserver.web.proxy import Proxy

HEAD_START = 0.6
"""Seconds that the loop has for itself, where no registration begins."""

Running = list[tuple[str, Callable[[], Any]]]


class Companions:
    """Everything beside the loop, for one run."""

    def __init__(self, settings: Settings, bus: Bus, targets: tuple[Target, ...]) -> None:
        self._settings = settings
        self._bus = bus
        self.traffic = Traffic()
        # The simulator in this process remembers nothing of an earlier one, nor may we: its secrets
        # and keys are new at each start.
        fresh = "" if settings.targets else f" since {time.time():.0f}"
        self.record = Record(
            record.default_path(settings.root),
            {each.name: each.url + fresh for each in targets},
            warn=self._record_broken,
        )
        self.urls: dict[str, str] = {}
        """Those of `Started` that are ours."""
        self.backend = self._backend()
        self.proxy: Proxy | None = None
        self.app: App | None = None
        self._unrun = False

    def _backend(self) -> Backend | None:
        url = self._settings.backend
        return Backend(url, command=self._settings.command) if url else None

    def _app(self) -> App | None:
        if not self._settings.command:
            return None
        return App(
            self._settings.command,
            self._settings.root,
            self._bus,
            backend=self.backend,
            environ=os.environ,
            others=self._others,
            poll=self._settings.poll,
        )

    def _others(self) -> frozenset[str]:
        """Files in the project that are the loop's, not the app's."""
        return frozenset({*self._settings.files, *self._settings.variables_files})

    def open(self, stack: AsyncExitStack, port: int, *, trusted: bool) -> None:
        """Make everything, beside the public port *port*, and have it closed with *stack*.

        *trusted*: the project's commands may run.
        """
        stack.callback(self.record.close)
        if self.backend is not None:
            stack.push_async_callback(self.backend.close)
            self.proxy = Proxy(self.backend, self.traffic.add, public_url=self._settings.public_url)
        if trusted:
            self.app = self._app()
        self._unrun = bool(self._settings.command) and not trusted
        if self.app is not None:
            stack.push_async_callback(self.app.end)

    def running(self) -> Running:
        """The long-lived coroutines by name."""
        found: Running = []
        if self.app is not None:
            found.append(("app", self._run_app))
        if self._unrun:
            found.append(("word of the app", self._say_unrun))
        return found

    async def _run_app(self) -> None:
        assert self.app is not None
        await self.let_go_first()
        await self.app.run()

    async def _say_unrun(self) -> None:
        self._warn(
            f"[app] command is not run: you have not trusted {' and '.join(self._settings.files)}",
            "look at it, then give --trust (or answer yes on a terminal)",
        )

    async def let_go_first(self) -> None:
        """Wait until the first registration is on its way, or there will be none soon."""
        try:
            async with asyncio.timeout(HEAD_START):
                with self._bus.reading() as events:
                    async for event in events:
                        if isinstance(event, Withheld) or (
                            isinstance(event, TargetChanged)
                            and event.state is not TargetState.WAITING
                            and event.state is not TargetState.REGISTERING
                        ):
                            return
        except TimeoutError:
            return

    def keep(self, recorded: Recorded) -> None:
        self.record.add(recorded)
        self.traffic.stirred()

    def _record_broken(self, broken: RecordBroken) -> None:
        self._warn(broken.reason, broken.remedy)

    def _warn(self, message: str, remedy: str) -> None:
        self._bus.publish(Notice(severity=Severity.WARNING, message=message, remedy=remedy))
