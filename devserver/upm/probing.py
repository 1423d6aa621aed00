"""What only asking shows: may we install, are JARs taken, can the target reach us, what it takes.

Nothing is ever installed by it: each thing that a target is asked to install is one that no host
can, and what it says of it is the answer. It comes to fetch it from a `Probe` at our own address.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from devserver.errors import CredentialsRejected, TargetError
from devserver.upm.answers import Failed, Outcome, Running, Task
from devserver.upm.check import Check, Level, failed
from devserver.upm.client import Upm

REACH = 10.0
"""Seconds that a target has to come and fetch something, and to say what it thinks of it."""
NOT_THERE = "/upm-dev-probe.xml"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A descriptor of one `kind` that nobody can install."""

    kind: str
    path: str
    media_type: str
    body: bytes


UNREADABLE = (
    Unreadable(
        "Connect JSON",
        "/upm-dev-probe.json",
        "application/json",
        b'{"key": "upm-dev-probe", "baseUrl": ',
    ),
    Unreadable(
        "remote apps in XML",
        "/upm-dev-probe-remote.xml",
        "application/xml",
        b'<atlassian-plugin key="upm-dev-probe" name="upm-dev probe"><remote-plugin-container '
        b'key="c" display-url="none"/></atlassian-plugin>',
    ),
    Unreadable(
        "XML plugins",
        "/upm-dev-probe-plugin.xml",
        "application/xml",
        b'<atlassian-plugin key="upm-dev-probe" name="upm-dev probe" plugins-version="0"/>',
    ),
)
"""One of each kind, which whoever knows the kind refuses for what is wrong with it.

A host that does not know it says `unknown.plugin.type` in place of that (upm-protocol.md §6.4, §8):
half a JSON object with both words, a remote app without version and address, a `plugins-version`
that was never one.
"""
_NO_SUCH_KIND = (
    "upm.pluginInstall.error.unknown.plugin.type",
    "upm.pluginInstall.error.xml.plugins.unsupported",
)


class Probe:
    """Listens where targets would fetch from us, and remembers who came for what."""

    def __init__(self) -> None:
        self._came: dict[str, asyncio.Event] = {}

    def _of(self, name: str) -> asyncio.Event:
        return self._came.setdefault(name, asyncio.Event())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request: 404, or one of the unreadable descriptors."""
        try:
            words = (await reader.readline()).split()
            path = words[1].decode("latin-1").partition("?")[0] if len(words) > 1 else ""
            name = path.rpartition("/")[2]
            self._of(name).set()
            writer.write(_answer(next((one for one in UNREADABLE if one.path == f"/{name}"), None)))
            await writer.drain()
        except (ConnectionError, ValueError):
            return  # whoever asked has gone, or speaks no HTTP; that it came is known
        finally:
            writer.close()

    async def came(self, path: str, limit: float) -> bool:
        """Whether somebody asks for *path* within *limit* seconds, or has."""
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._of(path.rpartition("/")[2]).wait()
        return self._of(path.rpartition("/")[2]).is_set()


async def right(upm: Upm) -> Check:
    """Whether we are a system administrator, which every installation needs.

    Asked with the removal of an app that nobody has: 404 for whoever may, 401 for others (§4.4).
    """
    who = upm.credentials.who
    try:
        await upm.uninstall(f"upm-dev-probe-{secrets.token_hex(8)}")
    except CredentialsRejected:
        return Check(
            "admin right",
            Level.FAILURE,
            f"{who} may look at the apps, but installs none: that needs a system administrator",
            f"use a system administrator of {upm.url}",
            "TASK-PERMISSION",
        )
    except TargetError as error:
        return Check("admin right", Level.WARNING, error.reason, error.remedy, error.code)
    return Check("admin right", Level.OK, f"{who} is a system administrator")


async def upload(upm: Upm, *, needed: bool) -> Check:
    """Whether JARs may be uploaded, asked with an empty one. *needed*: the project is one."""
    level = Level.FAILURE if needed else Level.WARNING
    try:
        task = await upm.upload(b"", "upm-dev-probe.jar", await upm.token())
        async with asyncio.timeout(REACH):
            outcome = await _end(upm, task)
    except TimeoutError:  # it took the file, which is all that was asked
        outcome = Running(0)
    except TargetError as error:
        return Check("upload", level, error.reason, error.remedy, error.code)
    if isinstance(outcome, Failed):
        why = upm.failure(outcome, "the file")
        if why.code in ("TASK-SIGNATURE", "TASK-PERMISSION"):
            return Check("upload", level, why.reason, why.remedy, why.code)
    return Check("upload", Level.OK, "switched on: JARs are looked at")


async def reach(upm: Upm, address: str, probe: Probe, hint: str) -> Check:
    """Whether the target comes to *address*; *hint* is what to do where it does not."""
    try:
        outcome = await _outcome(upm, address, NOT_THERE)
    except TargetError as error:
        return failed("way back", error)
    if await probe.came(NOT_THERE, 0.1):
        return Check("way back", Level.OK, f"it fetches from {address}")
    said = f" ({outcome.sub_code})" if isinstance(outcome, Failed) and outcome.sub_code else ""
    return Check(
        "way back",
        Level.FAILURE,
        f"it accepted a task and never came to {address}{said}",
        f"it cannot reach that address{hint}",
        "TASK-NOBODY-CAME",
    )


async def kinds(upm: Upm, address: str, probe: Probe) -> AsyncIterator[tuple[str, bool]]:
    """Each kind of descriptor, and whether the target takes it; to be asked once it reaches us."""
    for one in UNREADABLE:
        try:
            outcome = await _outcome(upm, address, one.path)
        except TargetError:
            return
        if isinstance(outcome, Failed) and await probe.came(one.path, 0.1):
            yield one.kind, outcome.sub_code not in _NO_SUCH_KIND


def _answer(found: Unreadable | None) -> bytes:
    """What the probe answers, whole."""
    if found is None:
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {found.media_type}\r\n"
        f"Content-Length: {len(found.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + found.body


async def _outcome(upm: Upm, address: str, path: str) -> Outcome:
    """What becomes of an installation of *path*; Running where that takes too long to wait for."""
    uri = f"{address.rstrip('/')}{path}"
    task = await upm.install(uri, await upm.token(), "upm-dev probe")
    with suppress(TimeoutError):
        async with asyncio.timeout(REACH):
            return await _end(upm, task)
    return Running(0)


async def _end(upm: Upm, task: Task) -> Outcome:
    outcome = await upm.poll(task)
    while isinstance(outcome, Running):
        await asyncio.sleep(0.1)
        outcome = await upm.poll(task)
    return outcome
