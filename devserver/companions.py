"""What runs beside the loop: the app behind us, the record of callbacks, the dashboard.

None of it may delay the first registration, so it starts once that is through.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from devserver.addresses import origin
from devserver.backend import Backend
from devserver.callbacks import record
from devserver.callbacks.record import Record, RecordBroken, Recorded
from devserver.errors import PortInUse
from devserver.events import Bus, Notice, TargetChanged, Withheld
from devserver.model import Severity
from devserver.pipeline import Pipeline
from devserver.publish import Published as Kept
from devserver.redact import Redactor
from devserver.registrar import Registrar
from devserver.settings import Settings
from devserver.traffic import Traffic
from devserver.upm.client import Upm
from devserver.upm.journal import Journal, JournalBroken
from devserver.web.listen import open_sockets, serving

if TYPE_CHECKING:
    from devserver.app import App
    from devserver.commands import Command
    from devserver.web.proxy import Proxy

WAITING = 50
"""Commands that may wait; whoever clicks faster is not heard."""
HEAD_START = 0.6
"""Seconds that the first registration has for itself."""

LOOPBACK = ("http://localhost:*", "http://127.0.0.1:*", "http://*.localhost:*")
"""Who may always show the overlay in a frame: the app's pages, by any name of this machine."""

Running = list[tuple[str, Callable[[], Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The loop that they stand beside: what they show of it, and how they act on it."""

    published: Kept
    redactor: Redactor
    pipeline: Pipeline
    registrars: Sequence[Registrar]
    upms: Mapping[str, Upm]
    quit: Callable[[], None]


def dashboard_sockets(chosen: int | None, port: int) -> list[socket.socket]:
    """Listen for the dashboard: on this machine alone, whatever `--host` says.

    Where nobody has *chosen* its port and the one after the public *port* is taken, any other does:
    nothing is registered under it.

    Raises:
        PortInUse: somebody else listens on the port that was chosen.
    """
    flag = "--dashboard-port"
    if chosen is not None:
        return open_sockets(None, chosen, flag=flag)
    try:
        return open_sockets(None, port + 1 if port < 65535 else 0, flag=flag)
    except PortInUse:
        return open_sockets(None, 0, flag=flag)


class Companions:
    """Everything beside *loop*, for one run; `close` ends it.

    The dashboard is served on *sockets*; *address* is how targets reach the public port; *trusted*:
    the project's commands may run.
    """

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        loop: Loop,
        journal: Journal | None,
        *,
        sockets: list[socket.socket],
        address: str,
        trusted: bool,
    ) -> None:
        self._settings = settings
        self._bus = bus
        self._loop = loop
        self._journal = journal
        self._sockets = sockets
        self._address = address
        self.traffic = Traffic()
        targets = [upm.target for upm in loop.upms.values()]
        # The simulator in this process remembers nothing of an earlier one, nor may we: its secrets
        # and keys are new at each start.
        fresh = "" if settings.targets else f" since {time.time():.0f}"
        self.record = Record(
            record.default_path(settings.root),
            {each.name: each.url + fresh for each in targets},
            warn=self._record_broken,
            learnt=loop.redactor.add,
        )
        self._framed_by = (*LOOPBACK, *{origin(each.url) for each in targets})
        self.dashboard = f"http://localhost:{sockets[0].getsockname()[1]}"
        self.backend = (
            Backend(settings.backend, command=settings.command) if settings.backend else None
        )
        self.app: App | None = None
        self._asked: asyncio.Queue[Command] = asyncio.Queue(WAITING)
        self._runs = bool(settings.command) and trusted
        """Whether the app's command is run."""
        self._unrun = bool(settings.command) and not trusted
        """Whether it is not, though there is one."""
        if self._runs and self.backend is not None:
            self.backend.starting()  # what is asked of it waits from now on
        for upm in loop.upms.values():
            upm.wire.tell = self.traffic.add

    async def close(self) -> None:
        """End the app, and let go of everything."""
        if self.app is not None:
            await self.app.end()
        if self.backend is not None:
            await self.backend.close()
        self.record.close()
        for each in self._sockets:
            each.close()

    def _others(self) -> frozenset[str]:
        """Files in the project that are the loop's, not the app's."""
        return frozenset({*self._settings.files, *self._settings.variables_files})

    def proxy(self) -> "Proxy | None":
        """The way to the app behind us, where there is one."""
        if self.backend is None:
            return None
        from devserver.web.proxy import Proxy

        return Proxy(
            self.backend,
            self.traffic.add,
            public_url=self._settings.public_url,
            dashboard=self.dashboard,
        )

    def take(self, command: "Command") -> None:
        """Have *command* done soon."""
        if not self._asked.full():
            self._asked.put_nowait(command)

    async def _run_errands(self) -> None:
        await first_registration(self._bus)
        from devserver.errands import Errands

        errands = Errands(
            self._bus,
            root=self._settings.root,
            registrars=self._loop.registrars,
            upms=self._loop.upms,
            record=self.record,
            traffic=self.traffic,
            backend=self.backend,
            restart=self._restart if self._runs else None,
            sources=lambda: self._loop.pipeline.texts,
            quit=self._loop.quit,
        )
        await errands.run(self._asked)

    def _restart(self) -> None:
        if self.app is not None:
            self.app.restart()

    async def _serve_dashboard(self) -> None:
        """Serve the dashboard, once there is time for it; until then browsers wait at the door."""
        await first_registration(self._bus)
        from devserver import editor
        from devserver.commands import OpenDashboard
        from devserver.web.dashboard.desk import Desk
        from devserver.web.dashboard.server import Door, dashboard_app

        desk = Desk(
            bus=self._bus,
            published=self._loop.published,
            traffic=self.traffic,
            record=self.record,
            redactor=self._loop.redactor,
            root=self._settings.root,
            do=self.take,
            sources=lambda: self._loop.pipeline.texts,
            shown=lambda: self._loop.pipeline.shown,
            backend=self.backend.url if self.backend else None,
            command=self._settings.command,
            editor=editor.name(os.environ),
        )
        door = Door(desk, secrets.token_urlsafe(32), secrets.token_hex(8), self._framed_by)
        async with serving(dashboard_app(door), self._sockets):
            if self._settings.open:
                self.take(OpenDashboard())
            await asyncio.Event().wait()  # until it is cancelled

    async def _probe(self) -> None:
        assert self.backend is not None
        await first_registration(self._bus)
        from devserver import probe

        await probe.run(
            self._loop.published, self._bus, self.backend, lambda: self._loop.pipeline.shown
        )

    def running(self) -> Running:
        """The long-lived coroutines by name."""
        found: Running = [("errands", self._run_errands), ("dashboard", self._serve_dashboard)]
        if self._journal is not None:
            found.append(("word for others", partial(self._say_where, self._journal)))
        if self.backend is not None:
            found.append(("probe", self._probe))
        if self._runs:
            found.append(("app", self._run_app))
        if self._unrun:
            found.append(("word of the app", self._say_unrun))
        return found

    async def _say_where(self, journal: Journal) -> None:
        """Let the commands of other processes find this one; say what killed ones have left."""
        await first_registration(self._bus)
        try:
            for each in journal.entries():
                if each.is_orphan:
                    self._warn(
                        f"{each.key} was left on {each.target} ({each.url}) by a run in "
                        f"{each.project} that began {each.began}",
                        "upm-dev unregister --orphans takes it away",
                    )
            journal.serves(self.dashboard, self._address)
            await asyncio.Event().wait()  # until it is cancelled
        except JournalBroken:
            return  # whoever notes what is installed says so
        finally:
            with suppress(JournalBroken):
                journal.served()

    async def _run_app(self) -> None:
        await first_request(self._bus)  # what the target calls may need it
        self._loop.redactor.add(*self.record.every_secret())  # the app may print them
        from devserver.app import App

        self.app = App(
            self._settings.command or "",
            self._settings.root,
            self._bus,
            backend=self.backend,
            environ=os.environ,
            others=self._others if self._settings.restart else None,
            clean=self._loop.redactor.text,
            poll=self._settings.poll,
        )
        await self.app.run()

    async def _say_unrun(self) -> None:
        self._warn(
            f"[app] command is not run: you have not trusted {' and '.join(self._settings.files)}",
            "look at it, then give --trust (or answer yes on a terminal)",
            "NOT-TRUSTED",
        )

    def keep(self, recorded: Recorded) -> None:
        self.record.add(recorded)
        self.traffic.stirred()

    def _record_broken(self, broken: RecordBroken) -> None:
        self._warn(broken.reason, broken.remedy, broken.code)

    def _warn(self, message: str, remedy: str, code: str | None = None) -> None:
        self._bus.publish(
            Notice(severity=Severity.WARNING, message=message, remedy=remedy, code=code)
        )


async def first_request(bus: Bus) -> None:
    """Wait until the first install request is answered, or there is none to send."""
    await bus.until(
        lambda event: (
            isinstance(event, Withheld) or (isinstance(event, TargetChanged) and event.is_out)
        ),
        HEAD_START,
    )


async def first_registration(bus: Bus) -> None:
    """Wait until the first registration has ended somehow, or there is none to be had."""
    await bus.until(
        lambda event: (
            isinstance(event, Withheld) or (isinstance(event, TargetChanged) and event.is_over)
        ),
        HEAD_START,
    )
