"""What could stand between us and one target, looked at one by one (`upm-dev doctor`).

Nothing is changed there: the one POST asks the target to install an address that answers 404, which
shows whether it can reach us.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import StrEnum

from devserver.addresses import is_this_machine
from devserver.errors import TargetError, TargetRefused
from devserver.upm.answers import ROOT, Failed, Outcome, Running, Task
from devserver.upm.blame import address_hint
from devserver.upm.causes import Call
from devserver.upm.client import PLUGINS, Upm

UPM_KEY = "com.atlassian.upm.atlassian-universal-plugin-manager-plugin"
CONNECT_KEYS = (
    "com.atlassian.plugins.atlassian-connect-plugin",
    "com.atlassian.labs.remoteapps-plugin",
)
CONTEXTS = ("", "/jira", "/confluence", "/wiki", "/bamboo", "/bitbucket", "/crowd", "/refapp")
SKEW = 60.0
SKEW_LIMIT = 300.0
"""Seconds beyond which signatures are refused (upm-protocol.md §7.1)."""
REACH = 10.0
"""Seconds that a target has to come and fetch the probe."""


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's: what was looked at, how it is, and what to do."""

    name: str
    level: Level
    message: str
    remedy: str = ""
    code: str = ""


def failed(name: str, error: TargetError) -> Check:
    return Check(name, Level.FAILURE, error.reason, error.remedy, error.code)


async def checkup(upm: Upm, *, probe: "tuple[str, Probe] | None" = None) -> AsyncIterator[Check]:
    """Look at *upm*'s target, and stop where nothing further can be seen.

    *probe* is the address at which a target would fetch from us, and who listens there.
    """
    if (check := await _name(upm)) is not None:
        yield check
        if check.level is Level.FAILURE:
            return
    yield _proxy(upm)
    if upm.wire.proxy is None:  # else only the proxy knows
        async for check in _line(upm):
            yield check
            if check.level is Level.FAILURE:
                return
    try:
        answer = await upm.wire.ask(Call.STATUS, "GET", "/status", anonymous=True)
    except TargetError as error:
        yield failed("HTTP", error)
        return
    yield Check("HTTP", Level.OK, f"{upm.target.url} answers")
    state = (answer.document or {}).get("state")
    if isinstance(state, str):
        level = Level.OK if state == "RUNNING" else Level.WARNING
        yield Check("product", level, f"its state is {state}", "" if level is Level.OK else "wait")
    yield _clock(answer.headers.get("Date"))
    try:
        await upm.token()
    except TargetError as error:
        yield await _blamed(upm, error)
        return
    yield Check("credentials", Level.OK, f"{upm.credentials} may manage apps")
    how = "passwords" if upm.credentials.user is not None else "tokens"
    yield Check("web sudo", Level.OK, f"not asked for: requests with {how} are exempt from it")
    takes_jars = None
    if probe is not None:
        check = await _upload(upm)
        takes_jars = check.level is Level.OK
        yield check
    async for check in _host(upm, takes_jars):
        yield check
    if probe is not None:
        yield await _reach(upm, *probe)


async def _name(upm: Upm) -> Check | None:
    host, port = upm.wire.base.host or "", upm.wire.base.port or 80
    try:
        async with asyncio.timeout(5):
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except (socket.gaierror, TimeoutError):
        remedy = "check the spelling, VPN and /etc/hosts"
        return Check("name", Level.FAILURE, f"{host} cannot be resolved", remedy)
    addresses = sorted({str(each[4][0]) for each in found})
    return Check("name", Level.OK, f"{host} is {', '.join(addresses)}")


async def _line(upm: Upm) -> AsyncIterator[Check]:
    """TCP and, with https, TLS: one after the other, so that it is seen which one fails."""
    wire = upm.wire
    try:
        await wire.connect()
    except TargetError as error:
        yield failed("TCP", error)
        return
    yield Check("TCP", Level.OK, f"something listens on {wire.base.host}:{wire.base.port}")
    if wire.base.scheme != "https":
        return
    try:
        await wire.shake_hands()
    except TargetError as error:
        yield failed("TLS", error)
        return
    yield Check("TLS", Level.OK, "its certificate is trusted")


async def _upload(upm: Upm) -> Check:
    """Whether JARs may be uploaded, asked with an empty one, which no host can install."""
    try:
        task = await upm.upload(b"", "upm-dev-probe.jar", await upm.token())
        async with asyncio.timeout(REACH):
            await _end(upm, task)
    except TimeoutError:
        pass  # it took the file, which is all that was asked
    except TargetRefused as error:
        if error.code == "UPM403-UPLOAD-DISABLED":
            return Check("upload", Level.WARNING, error.reason, error.remedy, error.code)
    except TargetError as error:
        return Check("upload", Level.WARNING, error.reason, error.remedy, error.code)
    return Check("upload", Level.OK, "switched on: JARs are looked at")


def _proxy(upm: Upm) -> Check:
    proxy = upm.wire.proxy
    if proxy is None:
        return Check("proxy", Level.OK, "none")
    level = Level.WARNING if is_this_machine(upm.target.url) else Level.OK
    remedy = f"NO_PROXY={upm.wire.base.host} leaves it out" if level is Level.WARNING else ""
    return Check("proxy", level, f"requests go through {proxy}", remedy)


def _clock(date: str | None) -> Check:
    try:
        off = parsedate_to_datetime(date or "").timestamp() - time.time()
    except (ValueError, TypeError):
        return Check("clock", Level.OK, "it does not tell its time")
    if abs(off) < SKEW:
        return Check("clock", Level.OK, "the clocks agree")
    level = Level.FAILURE if abs(off) >= SKEW_LIMIT else Level.WARNING
    word = "ahead" if off > 0 else "behind"
    message = f"its clock is {abs(off):.0f} s {word}: callbacks are signed with the time"
    return Check("clock", level, message, "synchronise both machines (NTP)")


async def _blamed(upm: Upm, error: TargetError) -> Check:
    """Why there is no token; where the context path may be wrong, with the one that works."""
    if error.code not in ("UPM404-NOT-FOUND", "UPM200-NO-TOKEN", "UPM200-LOGIN-PAGE"):
        return failed("UPM", error)
    here = upm.wire.base.path.rstrip("/")
    for context in CONTEXTS:
        if context == here:
            continue
        try:
            # Without credentials: they are for the configured address. A UPM asks for them.
            answer = await upm.wire.ask(
                Call.STATUS, "GET", f"{context}{ROOT}/", anonymous=True, at_root=True
            )
        except TargetError:
            continue
        if answer.status in (401, 403) or "upm-token" in answer.headers:
            better = f"{upm.wire.base.origin()}{context}"
            remedy = f"a UPM answers at {better}: make that the target's URL"
            return Check("UPM", Level.FAILURE, error.reason, remedy, error.code)
    return failed("UPM", error)


async def _host(upm: Upm, takes_jars: bool | None) -> AsyncIterator[Check]:
    try:
        listed = {each.key: each for each in await upm.plugins()}
        yield _version(listed[UPM_KEY].version if UPM_KEY in listed else None)
        yield _kinds(any(key in listed for key in CONNECT_KEYS), takes_jars)
        answer = await upm.wire.ask(
            Call.SETTINGS,
            "GET",
            f"{ROOT}/safe-mode",
            headers={"Accept": f"{PLUGINS}safe.mode.flag+json"},
        )
    except TargetError as error:
        yield failed("UPM", error)
        return
    if (answer.document or {}).get("enabled") is True:
        remedy = f"leave it at {upm.target.url}/plugins/servlet/upm"
        yield Check("safe mode", Level.FAILURE, "safe mode is on: nothing is installed", remedy)
    else:
        yield Check("safe mode", Level.OK, "off")


def _version(version: str | None) -> Check:
    if version is None:
        return Check("UPM", Level.OK, "there; its list does not tell its own version")
    numbers = tuple(int(each) for each in version.split(".")[:2] if each.isdigit())
    if numbers < (2, 14):
        remedy = "update it in the product: older ones know fewer ways to install"
        return Check("UPM", Level.WARNING, f"version {version} is older than 2.14", remedy)
    if numbers >= (7,):
        return Check(
            "UPM",
            Level.WARNING,
            f"version {version}: JARs are taken only with upload switched on, signed from 8 on",
            "-Dupm.plugin.upload.enabled=true -Datlassian.upm.signature.check.disabled=true",
        )
    return Check("UPM", Level.OK, f"version {version}")


def _kinds(connect: bool, takes_jars: bool | None) -> Check:
    """Which kinds of descriptor the host takes; *takes_jars* is None where nobody has asked it."""
    jars = {True: " and JARs", False: ", no JARs", None: "; JARs where upload is switched on"}
    xml = "XML plugins (on Jira, Confluence and Bamboo)"
    said = f"takes Connect descriptors, {xml}" if connect else f"takes {xml}"
    more = "" if connect else "; no Connect is listed"
    return Check("kinds", Level.OK, said + jars[takes_jars] + more)


class Probe:
    """Listens where targets would fetch from us, answers 404, and remembers who came."""

    def __init__(self) -> None:
        self._came = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
            if b"/upm-dev-probe.xml" in line:
                self._came.set()
            writer.write(
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            await writer.drain()
        except ConnectionError:
            return  # whoever asked has gone; that it came is known
        finally:
            writer.close()

    async def came(self, limit: float) -> bool:
        try:
            async with asyncio.timeout(limit):
                await self._came.wait()
        except TimeoutError:
            return False
        return True


async def _end(upm: Upm, task: Task) -> Outcome:
    outcome = await upm.poll(task)
    while isinstance(outcome, Running):
        await asyncio.sleep(0.1)
        outcome = await upm.poll(task)
    return outcome


async def _reach(upm: Upm, address: str, probe: Probe) -> Check:
    uri = f"{address.rstrip('/')}/upm-dev-probe.xml"
    try:
        task = await upm.install(uri, await upm.token(), "upm-dev probe")
        async with asyncio.timeout(REACH):
            outcome = await _end(upm, task)
    except TargetError as error:
        return failed("way back", error)
    except TimeoutError:
        outcome = Running(0)
    if await probe.came(0.1):
        return Check("way back", Level.OK, f"it fetches from {address}")
    said = f" ({outcome.sub_code})" if isinstance(outcome, Failed) and outcome.sub_code else ""
    return Check(
        "way back",
        Level.FAILURE,
        f"it accepted a task and never came to {address}{said}",
        f"it cannot reach that address{address_hint(uri)}",
        "TASK-NOBODY-CAME",
    )
