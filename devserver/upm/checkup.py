"""What could stand between us and one target, looked at one by one (`upm-dev doctor`).

From the outside in: the name, the line, the product, who we are, the UPM; then, where it may be
asked (`probing`), whether JARs are taken, whether the target reaches us, and what it takes.
"""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from devserver import interfaces
from devserver.addresses import is_this_machine
from devserver.errors import TargetError
from devserver.upm import known, probing
from devserver.upm.answers import ROOT, Plugin, printable
from devserver.upm.blame import address_hint
from devserver.upm.causes import Call
from devserver.upm.check import Check, Level, failed
from devserver.upm.client import Upm
from devserver.upm.probing import Probe
from devserver.upm.wire import Answer

CONTEXTS = ("", "/jira", "/confluence", "/wiki", "/bamboo", "/bitbucket", "/crowd", "/refapp")
SKEW = 60.0
SKEW_LIMIT = 300.0
"""Seconds beyond which signatures are refused (upm-protocol.md §7.1)."""
OLDEST = (2, 14)
LISTINGS = "connectDeveloperListingsEnabled"
"""The setting without which Cloud installs listed apps only (upm-protocol.md §4.5)."""
_STATES: Mapping[str, tuple[Level, str]] = {
    "RUNNING": (Level.OK, ""),
    "STARTING": (Level.WARNING, "wait; upm-dev serve registers by itself as soon as it is up"),
    "FIRST_RUN": (Level.FAILURE, "finish its setup in a browser: {url}"),
    "MAINTENANCE": (Level.FAILURE, "it is being upgraded or indexed: wait for its administrators"),
    "ERROR": (Level.FAILURE, "it did not start: see its log"),
}
"""What `/status` may say (upm-protocol.md §5.7)."""
_ENDS = ("name", "TCP", "TLS", "HTTP")
"""Checks behind which, once they fail, nothing can be seen."""
_NAMES = (
    ("UPM401-WEBSUDO", "web sudo"),
    ("UPM401-PERMISSION", "admin right"),
    ("UPM403-PERMISSION", "admin right"),
    ("UPM403-SYSTEM", "admin right"),
    ("UPM401-", "credentials"),
    ("UPM403-CAPTCHA", "credentials"),
    ("UPM403-LOGIN-DENIED", "credentials"),
    ("UPM403-BASIC-AUTH", "credentials"),
    ("UPM200-LOGIN-PAGE", "login page"),
    ("UPM30X-LOGIN", "login page"),
)
"""Which check it is that a refusal of a token fails, by how the refusal's code begins."""
_ELSEWHERE = ("UPM404-NOT-FOUND", "UPM200-NO-TOKEN", "UPM200-NOT-UPM", "UPM200-LOGIN-PAGE")


@dataclass(frozen=True, slots=True)
class WayBack:
    """How targets would reach us: the address that they are told, and who listens there."""

    address: str
    probe: Probe


async def checkup(
    upm: Upm, *, asks: bool = False, back: WayBack | None = None, jars: bool = False
) -> AsyncIterator[Check]:
    """Look at *upm*'s target, and stop where nothing further can be seen.

    *asks*: it may be asked to install what it cannot, which is what shows the most. *back* is
    needed to see whether it reaches us. *jars*: what will be installed is a JAR.
    """
    if upm.wire.is_cloud or upm.wire.barred is not None:
        try:
            await upm.token()  # nothing is sent: this tells why
        except TargetError as error:
            yield failed("target", error)
        return
    for part in (_line(upm), _product(upm)):
        async for check in part:
            yield check
            if check.level is Level.FAILURE and check.name in _ENDS:
                return
    try:
        await upm.token()
    except TargetError as error:
        yield await _blamed(upm, error)
        return
    yield Check("credentials", Level.OK, f"{upm.credentials} may look at the apps")
    how = "passwords" if upm.credentials.user is not None else "tokens"
    yield Check("web sudo", Level.OK, f"not asked for: requests with {how} are exempt from it")
    try:
        listed = {each.key: each for each in await upm.plugins()}
        async for check in _host(upm, listed):
            yield check
    except TargetError as error:
        yield failed("UPM", error)
        return
    if jars:
        yield _quick_reload(listed.get(known.QUICK_RELOAD))
    if asks:
        async for check in _asked(upm, back, jars, listed):
            yield check
    else:
        yield _takes_as_listed(listed)


async def _line(upm: Upm) -> AsyncIterator[Check]:
    """Name, proxy, TCP and TLS: one after the other, so that it is seen which one fails."""
    yield await _name(upm)
    yield _proxy(upm)
    wire = upm.wire
    if wire.proxy is not None:  # only the proxy knows the rest of the way
        return
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


async def _product(upm: Upm) -> AsyncIterator[Check]:
    """Whether it answers, what it says of itself, and its clock."""
    try:
        answer = await upm.wire.ask(Call.STATUS, "GET", "/status", anonymous=True)
    except TargetError as error:
        yield failed("HTTP", error)
        return
    if answer.status == 407:  # that was the proxy, not the target
        yield failed("HTTP", upm.wire.refused(answer))
        return
    yield Check("HTTP", Level.OK, f"{upm.url} answers")
    if (check := _state(upm, answer)) is not None:
        yield check
    yield _clock(answer.headers.get("Date"))


async def _name(upm: Upm) -> Check:
    host, port = upm.wire.base.host or "", upm.wire.base.port or 80
    try:
        async with asyncio.timeout(5):
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
    except (socket.gaierror, TimeoutError):
        if upm.wire.proxy is not None:
            return Check("name", Level.OK, f"{host} is not known here; the proxy may know it")
        remedy = "check the spelling of the target's URL, VPN and /etc/hosts"
        return Check(
            "name", Level.FAILURE, f"{host} cannot be resolved", remedy, "NET-UNKNOWN-HOST"
        )
    addresses = sorted({str(each[4][0]) for each in found})
    return Check("name", Level.OK, f"{host} is {', '.join(addresses)}")


def _proxy(upm: Upm) -> Check:
    proxy = upm.wire.proxy
    if proxy is None:
        return Check("proxy", Level.OK, "none")
    level = Level.WARNING if is_this_machine(upm.url) else Level.OK
    remedy = f"NO_PROXY={upm.wire.base.host} leaves it out" if level is Level.WARNING else ""
    return Check("proxy", level, f"requests go through {proxy}", remedy)


def _state(upm: Upm, answer: Answer) -> Check | None:
    """What the product says of itself, where it does."""
    state = (answer.document or {}).get("state")
    if not isinstance(state, str):
        return None
    level, remedy = _STATES.get(state, (Level.WARNING, "see what its pages say: {url}"))
    return Check(
        "product", level, f"its state is {printable(state[:40])}", remedy.format(url=upm.url)
    )


def _clock(date: str | None) -> Check:
    try:
        says = parsedate_to_datetime(date or "")
    except (ValueError, TypeError):
        return Check("clock", Level.OK, "it does not tell its time")
    # With -0000 it says that it keeps UTC, and Python that there is no zone.
    off = (says if says.tzinfo else says.replace(tzinfo=UTC)).timestamp() - time.time()
    if abs(off) < SKEW:
        return Check("clock", Level.OK, "the clocks agree")
    level = Level.FAILURE if abs(off) >= SKEW_LIMIT else Level.WARNING
    word = "ahead" if off > 0 else "behind"
    message = f"its clock is {abs(off):.0f} s {word}: callbacks are signed with the time"
    return Check("clock", level, message, "synchronise both machines (NTP)")


async def _blamed(upm: Upm, error: TargetError) -> Check:
    """Why there is no token; where the context path may be wrong, with the one that works."""
    name = next((name for code, name in _NAMES if error.code.startswith(code)), "UPM")
    if error.code not in _ELSEWHERE:
        return failed(name, error)
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
            return Check("context path", Level.FAILURE, error.reason, remedy, error.code)
    return failed(name, error)


async def _host(upm: Upm, listed: Mapping[str, Plugin]) -> AsyncIterator[Check]:
    """The UPM, the product's version, and what they are set to."""
    versions = await upm.versions()
    there = listed.get(known.UPM)
    yield _version(versions.upm or (there.version if there else None))
    if versions.product is not None:
        yield Check("product version", Level.OK, versions.product)
    if await upm.safe_mode():
        remedy = f"leave it at {upm.url}/plugins/servlet/upm (Exit safe mode)"
        message = "it is on: nothing is installed"
        yield Check("safe mode", Level.FAILURE, message, remedy, "UPM409-SAFE-MODE")
    else:
        yield Check("safe mode", Level.OK, "off")
    if (await upm.settings()).get(LISTINGS) is False:
        message = "development mode is off: it installs listed apps only"
        remedy = "enable development mode in Manage apps, Settings"
        yield Check("private apps", Level.FAILURE, message, remedy, "TASK-NOT-MARKETPLACE")


def _version(version: str | None) -> Check:
    if version is None or not _numbers(version):
        return Check("UPM", Level.OK, "there; it does not tell its own version")
    if _numbers(version) < OLDEST:
        remedy = "update it in the product: older ones know fewer ways to install"
        return Check("UPM", Level.WARNING, f"version {version} is older than 2.14", remedy)
    return Check("UPM", Level.OK, f"version {version}")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]{1,9}", version)[:2]))


def _quick_reload(reloader: Plugin | None) -> Check:
    if reloader is None or not reloader.enabled:
        return Check("QuickReload", Level.OK, "not active")
    return Check(
        "QuickReload",
        Level.WARNING,
        f"active: {known.RELOADS}",
        known.RELOADS_REMEDY,
    )


async def _asked(
    upm: Upm, back: WayBack | None, jars: bool, listed: Mapping[str, Plugin]
) -> AsyncIterator[Check]:
    """What the target says when it is asked to install what it cannot."""
    yield (check := await probing.right(upm))
    if check.level is Level.FAILURE:
        return
    yield (check := await probing.upload(upm, needed=jars))
    takes_jars = check.level is Level.OK
    if jars:
        if not takes_jars:
            return
        yield _signatures(listed.get(known.UPM))
    if back is None:
        message = "not tried: the port that it would come to is in use"
        remedy = "upm-dev doctor --port 0 tries it with another one"
        yield Check("way back", Level.WARNING, message, remedy)
        yield _takes_as_listed(listed)
        return
    hint = address_hint(back.address, await interfaces.found(upm.url))
    check = await probing.reach(upm, back.address, back.probe, hint)
    if jars and check.level is Level.FAILURE:  # a JAR is sent, not fetched
        remedy = "nothing, unless you give --install uri"
        yield Check("way back", Level.OK, f"{check.message}; JARs are sent to it", remedy)
        return
    yield check
    if check.level is Level.OK:
        yield await _takes(upm, back, takes_jars)


async def _takes(upm: Upm, back: WayBack, takes_jars: bool) -> Check:
    """Which kinds of descriptor the target takes, by what it says of an unreadable one of each."""
    found = {kind: taken async for kind, taken in probing.kinds(upm, back.address, back.probe)}
    found["JARs"] = takes_jars
    yes = [kind for kind, taken in found.items() if taken]
    no = [kind for kind, taken in found.items() if not taken]
    parts = [f"takes {', '.join(yes)}"] * bool(yes) + [f"not {', '.join(no)}"] * bool(no)
    return Check("kinds", Level.OK if yes else Level.WARNING, "; ".join(parts))


def _takes_as_listed(listed: Mapping[str, Plugin]) -> Check:
    """The same where it may not be asked: as far as what is installed tells."""
    connect = not known.CONNECT.isdisjoint(listed)
    xml = "XML plugins (on Jira, Confluence and Bamboo), JARs where upload is switched on"
    said = f"takes Connect descriptors, {xml}" if connect else f"takes {xml}; no Connect is listed"
    return Check("kinds", Level.OK, said)


def _signatures(upm: Plugin | None) -> Check:
    """Whether JARs have to be signed: from UPM 8 on, unless it is switched off (§6.2)."""
    version = (upm.version if upm else None) or ""
    if _numbers(version) < (8,):
        return Check("signatures", Level.OK, "not asked for, before UPM 8")
    return Check(
        "signatures",
        Level.WARNING,
        f"UPM {version} takes signed JARs only, unless that is switched off",
        "-Datlassian.upm.signature.check.disabled=true; or sign the JAR (AMPS 9.2 and later: "
        "enablePluginSigning)",
        "TASK-SIGNATURE",
    )
