"""Does what the user asks on the dashboard or by a key; what comes of it is told by events."""

import asyncio
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from devserver import commands, editor
from devserver.backend import Backend, BackendUnavailable
from devserver.callbacks import unmask
from devserver.callbacks.record import Record
from devserver.commands import Command
from devserver.descriptor.fix import fixed
from devserver.errors import TargetError
from devserver.eventloop import aside
from devserver.events import Bus, Notice, Paused
from devserver.files import replaced
from devserver.model import Diagnostic, Severity
from devserver.registrar import Registrar
from devserver.traffic import Exchange, Traffic, Way, message
from devserver.upm.client import Upm

AT_ONCE = 16
"""Errands under way; further ones wait."""

Headers = tuple[tuple[str, str], ...]


class Errands:
    """Does the commands of any face."""

    def __init__(
        self,
        bus: Bus,
        *,
        root: Path,
        registrars: Sequence[Registrar],
        upms: Mapping[str, Upm],
        record: Record,
        traffic: Traffic,
        backend: Backend | None,
        restart: Callable[[], None] | None,
        sources: Callable[[], Mapping[str, str]],
        quit: Callable[[], None],
    ) -> None:
        self._bus = bus
        self._root = root
        self._registrars = {each.target.name: each for each in registrars}
        self._upms = upms
        self._record = record
        self._traffic = traffic
        self._backend = backend
        self._restart = restart
        self._sources = sources
        self._quit = quit
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self, asked: "asyncio.Queue[Command]") -> None:
        """Do what is *asked*, for ever; what waits for an app or a target holds nothing up."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                command = await asked.get()
                await self._room.acquire()
                task = tasks.create_task(self._done(command), name=type(command).__name__)
                task.add_done_callback(lambda _: self._room.release())

    async def _done(self, command: Command) -> None:  # noqa: C901 - a case a command
        match command:
            case commands.RegisterAgain(target=name):
                for each in self._named(name):
                    each.again()
            case commands.Agree(target=name):
                if not any([each.agree() for each in self._named(name)]):
                    self._say("nothing waits for your yes")
            case commands.Unregister(target=name) if name in self._registrars:
                self._registrars[name].leave()
            case commands.Enable() if command.target in self._upms:
                await self._enable(command)
            case commands.Pause(paused=paused):
                for each in self._registrars.values():
                    each.pause(paused)
                self._bus.publish(Paused(paused=paused))
            case commands.Forget(target=name):
                self._record.forget(name)
                self._say(f"forgot what {name} shared with the app")
            case commands.RestartApp() if self._restart is not None:
                self._restart()
            case commands.Replay():
                await self._replay(command)
            case commands.OpenInEditor(file=file, line=line, column=column):
                self._open(file, line, column)
            case commands.Fix():
                self._fix(command)
            case commands.OpenDashboard():
                await self._open_dashboard()
            case commands.Quit():
                self._quit()
            case _:
                self._warn("that cannot be done here", "")

    def _named(self, name: str | None) -> list[Registrar]:
        """That target's; all where none is named."""
        return [each for each in self._registrars.values() if name in (None, each.target.name)]

    async def _enable(self, command: commands.Enable) -> None:
        key = next(iter(self._registrars[command.target].installed), None)
        if key is None:
            self._warn(f"nothing of ours is installed on {command.target}", "register first")
            return
        try:
            await self._upms[command.target].enable(key)
        except TargetError as error:
            self._warn(error.reason, error.remedy, error.code)
        else:
            self._say(f"{key} is enabled on {command.target}")

    def _is_ours(self, file: str) -> bool:
        """Whether it belongs to the newest look, and lies in the project, links followed."""
        path = (self._root / file).resolve()
        return file in self._sources() and path.is_relative_to(self._root.resolve())

    def _open(self, file: str, line: int, column: int) -> None:
        remedy = "set EDITOR to one with a window: code, subl, idea"
        if not self._is_ours(file):
            self._warn(f"{file} is no file of this descriptor", "")
            return
        try:
            if not editor.open_in(self._root / file, line, column):
                self._warn("no editor is known", remedy)
        except OSError as error:
            self._warn(f"the editor cannot be started: {error.strerror}", remedy)

    def _fix(self, command: commands.Fix) -> None:
        checked = self._bus.state.checked
        wanted = (command.code, command.file, command.line, command.column)
        found = [each for each in (checked.diagnostics if checked else ()) if _at(each) == wanted]
        path = self._root / command.file
        if not found:
            self._warn("that is not what is wrong any more", "")
            return
        if not self._is_ours(command.file):
            self._warn(f"{command.file} leads out of the project", "mend it by hand")
            return
        try:
            before = path.read_bytes()
            new, made = fixed(before.decode("utf-8"), found)
            done = bool(made) and replaced(path, before, new.encode())
        except (OSError, UnicodeDecodeError) as error:
            self._warn(f"{command.file} cannot be mended: {error}", "mend it by hand")
            return
        if not done:
            self._warn(f"{command.file} has changed since, so nothing was done", "")

    async def _replay(self, command: commands.Replay) -> None:
        found = self._recorded(command.name)
        if found is None or self._backend is None:
            why = "is not kept whole any more" if self._backend else "has no app to go to"
            self._warn(f"the request {command.name} {why}", "")
            return
        method, path, headers, body = found
        if command.path is not None:
            new_path = unmask.path(command.path, path)
            new_body = unmask.body(command.body or b"", body)
            if new_path is None or new_body is None:
                self._warn("*** stands where there was no secret", "write there what is to be sent")
                return
            path, body = new_path, new_body
        started = time.perf_counter()
        status, answered, error = 0, message(()), ""
        try:
            answer = await self._backend.send(method, path, headers, body)
            status, answered = answer.status, message(answer.headers, answer.body)
        except BackendUnavailable as trouble:
            status, error = trouble.status, trouble.reason
        self._traffic.add(
            Exchange(
                way=Way.REPLAY,
                method=method,
                url=path,
                request=message(headers, body),
                status=status,
                response=answered,
                ms=(time.perf_counter() - started) * 1000,
                who=f"replay of {command.name}",
                replays=command.name,
                error=error,
            )
        )

    def _recorded(self, name: str) -> tuple[str, str, Headers, bytes] | None:
        """Method, path, headers and body as they came, to be sent again."""
        kind, number = name[:1], int(name[1:])
        if kind == "c":
            callback = self._record.find(number)
            if callback is None:
                return None
            return callback.method, callback.path, callback.headers, callback.body
        exchange = self._traffic.find(number)
        if exchange is None or exchange.way is not Way.TO_US:
            return None
        if len(exchange.request.body) < exchange.request.size:
            return None  # only its beginning was kept
        return exchange.method, exchange.url, exchange.request.headers, exchange.request.body

    async def _open_dashboard(self) -> None:
        started = self._bus.state.started
        url = started.urls.get("dashboard") if started else None
        if url is None or not await aside(webbrowser.open, url):
            self._warn("no browser could be opened", f"open {url} yourself" if url else "")

    def _say(self, words: str) -> None:
        self._bus.publish(Notice(severity=Severity.INFO, message=words))

    def _warn(self, words: str, remedy: str, code: str = "") -> None:
        self._bus.publish(
            Notice(
                severity=Severity.WARNING, message=words, remedy=remedy or None, code=code or None
            )
        )


def _at(diagnostic: Diagnostic) -> tuple[Any, ...]:
    position = diagnostic.position
    return diagnostic.code, position.file, position.line, position.column
