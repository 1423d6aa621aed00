"""Other credentials for a target that rejected ours: from a saved `.env` or settings file.

The files are looked at only while a target waits for them; and no secret is tried a second time,
since that is what locks accounts.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from devserver.credentials import Credentials
from devserver.errors import UpmDevError
from devserver.eventloop import aside
from devserver.events import Bus, Event, Notice, TargetChanged
from devserver.model import Severity, Target, TargetState
from devserver.registrar import Registrar
from devserver.settings.files import PYPROJECT, SETTINGS_FILE
from devserver.settings.layers import DOTENV

LOOK_EVERY = 0.25
"""Seconds; a file counts as saved once it has not changed for as long."""

Find = Callable[[Target], Credentials]
"""The credentials that the files have now. Blocks. Raises UpmDevError."""

Stamps = tuple[tuple[int, int, int] | None, ...]


class Renewal:
    """Watches the files of the project at *root* for the *registrars* that were rejected."""

    def __init__(self, bus: Bus, root: Path, registrars: Sequence[Registrar], find: Find) -> None:
        self._bus = bus
        self._files = [root / each for each in (DOTENV, SETTINGS_FILE, PYPROJECT)]
        self._registrars = registrars
        self._find = find
        self._wanted = asyncio.Event()
        self._seen = self._stamps()

    async def run(self) -> None:
        """Renew for ever; ends on cancellation alone."""
        with self._bus.listening(self._hear):
            self._wanted.set()  # one without any credentials may have been told already
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                while any(each.rejected for each in self._registrars):
                    if await self._saved():
                        await self._renew()
                    await asyncio.sleep(LOOK_EVERY)

    def _hear(self, event: Event) -> None:
        if isinstance(event, TargetChanged) and event.state is TargetState.REJECTED:
            self._wanted.set()

    async def _saved(self) -> bool:
        """Whether a file changed since the last time, and has come to rest."""
        if (now := self._stamps()) == self._seen:
            return False
        await asyncio.sleep(LOOK_EVERY)
        if self._stamps() != now:
            return False
        self._seen = now
        return True

    async def _renew(self) -> None:
        for each in self._registrars:
            if not each.rejected:
                continue
            name = each.target.name
            found = await aside(self._found, each.target)
            if self._stamps() != self._seen:
                return  # what was read may be half of what is being saved, or nothing
            if isinstance(found, UpmDevError):
                self._say(Severity.WARNING, name, found.reason, found.remedy)
            elif not found.covers(each.target.url):
                reason = f"the settings give {name} another address now"
                self._say(Severity.WARNING, name, reason, "start upm-dev again")
            elif each.has_rejected(found):
                reason = f"these files have what {name} rejected already; it is not tried again"
                self._say(Severity.INFO, name, reason, "save another, or press r to insist")
            else:
                self._say(Severity.INFO, name, f"trying {found} with {name}", "")
                each.renew(found)

    def _found(self, target: Target) -> Credentials | UpmDevError:
        """What the files have for it, or why nothing can be had."""
        try:
            return self._find(target)
        except UpmDevError as error:
            return error

    def _say(self, severity: Severity, target: str, message: str, remedy: str) -> None:
        notice = Notice(severity=severity, message=message, remedy=remedy or None, target=target)
        self._bus.publish(notice)

    def _stamps(self) -> Stamps:
        return tuple(map(_stamp, self._files))


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:  # not there, or not for us to see: then it has no password for us either
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
