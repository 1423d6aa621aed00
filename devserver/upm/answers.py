"""What a target answers, as values: tasks, plugins, its identity. Pure: bytes in, values out.

Every shape is upm-protocol.md's: §2.3 and §2.5 (tasks), §2.6 (new-style tasks), §4 (plugins), §7.1
(consumer-info).
"""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ROOT = "/rest/plugins/1.0"
LONGEST_MS = 60_000
_ALIASES = (ROOT, "/rest/plugins/latest")
_IN_PATHS = "/%-._~!$&'()*+,;=:@"
POLL_MS = 200
"""What ACE waits where a target names no delay (upm-protocol.md §2.3)."""


@dataclass(frozen=True, slots=True)
class Task:
    """An installation that the target has accepted; `path` is relative to the UPM's root."""

    path: str
    ping_after_ms: int = POLL_MS
    source: str = ""
    """The name that we gave with the installation, or the end of its URI (§2.3)."""


@dataclass(frozen=True, slots=True)
class Module:
    """One module as a target lists it."""

    key: str
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """What a target lists about one plugin (upm-protocol.md §4.2, §4.3)."""

    key: str
    name: str = ""
    version: str | None = None
    enabled: bool = True
    description: str = ""
    user_installed: bool = True
    vendor: str = ""
    restart: str | None = None
    """`install`, `upgrade` or `remove` while that waits for a restart of the host."""
    modules: tuple[Module, ...] = ()


@dataclass(frozen=True, slots=True)
class Running:
    ping_after_ms: int
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    plugin: Plugin


@dataclass(frozen=True, slots=True)
class Failed:
    """The task ended badly: a subCode, a text for the user, or both (upm-protocol.md §2.7)."""

    sub_code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The target knows no such task (any more): ask for the plugin instead."""


@dataclass(frozen=True, slots=True)
class Versions:
    """Which UPM and which product answer there, as far as they tell."""

    upm: str | None = None
    product: str | None = None


Outcome = Running | Installed | Failed | Forgotten


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a target is, by its own `consumer-info`: what its callbacks are signed as and with."""

    key: str
    public_key_pem: str


def document(body: bytes) -> dict[str, Any] | None:
    """The JSON object in *body*; None where there is none.

    One `<textarea>` around it is taken off, as an upload's answer has it (upm-protocol.md §3).
    """
    text = body.decode("utf-8", "replace").strip()
    if text.startswith("<textarea") and text.endswith("</textarea>"):
        text = text[text.index(">") + 1 : -len("</textarea>")]
    for candidate in (text, html.unescape(text)):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):  # the second: nested without end
            continue
        if isinstance(value, dict):
            return value
    return None


def relative(link: str) -> str | None:
    """What follows the UPM's root in *link*; None where that is no address of a UPM.

    Hosts build absolute links from their configured base URL, and relative ones with their context
    path, neither of which need be how we reach them (upm-protocol.md §2.5): so only this part is
    ever used.
    """
    path = link.partition("?")[0].partition("#")[0]
    for root in _ALIASES:
        _, found, rest = path.partition(f"{root}/")
        if found and ".." not in rest.split("/"):
            return quote(rest, safe=_IN_PATHS)
    return None


def task(body: Mapping[str, Any] | None, location: str | None = None) -> Task | None:
    """The task that an accepted install names: by its links, else by *location*."""
    links = _mapping((body or {}).get("links"))
    for link in (links.get("self"), location, links.get("alternate")):
        path = relative(link) if isinstance(link, str) else None
        if path and path.partition("/")[0] in ("pending", "tasks"):
            status = _mapping((body or {}).get("status"))
            return Task(path, _delay(body or {}), _text(status.get("source")))
    return None


def progress(body: Mapping[str, Any]) -> Running | Failed | str | Plugin:
    """What a poll that was answered with 200 says; a str is the path of the plugin that resulted.

    Both kinds of task are read: `pending` (§2.5) and `tasks` (§2.6). A body with a key and no
    status is the plugin itself: some proxy followed the redirect for us.
    """
    status = _mapping(body.get("status"))
    if not status and "done" not in body:
        found = plugin(body)
        return found if found else Running(_delay(body))
    if status.get("done") or body.get("done"):
        links = _mapping(body.get("links"))
        result = links.get("result")
        if isinstance(result, str) and (path := relative(result)):
            return path
        error = _mapping(body.get("error"))
        return Failed(
            _text(status.get("subCode") or error.get("code")),
            _text(status.get("errorMessage") or error.get("message") or status.get("exception")),
        )
    return Running(_delay(body), _text(status.get("contentType")))


def plugin(body: Mapping[str, Any]) -> Plugin | None:
    """One plugin's representation, full or summary; None where *body* is no such thing."""
    key = body.get("key")
    if not isinstance(key, str) or not key:
        return None
    restart = body.get("restartState")
    modules = body.get("modules")
    version = body.get("version")
    return Plugin(
        key=printable(key),
        name=_text(body.get("name")),
        version=printable(version) if isinstance(version, str) else None,
        enabled=body.get("enabled") is not False,
        description=_text(body.get("description")),
        user_installed=body.get("userInstalled") is not False,
        vendor=_text(_mapping(body.get("vendor")).get("name")),
        restart=None if restart in ("", "none") else _text(restart) or None,
        modules=tuple(
            Module(_text(each.get("key")), each.get("enabled") is not False)
            for each in (modules if isinstance(modules, list) else ())
            if isinstance(each, dict)
        ),
    )


def plugins(body: Mapping[str, Any]) -> tuple[Plugin, ...]:
    """The plugins of a collection (upm-protocol.md §4.1)."""
    listed = body.get("plugins")
    found = (
        plugin(each)
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    )
    return tuple(each for each in found if each)


def settings(body: Mapping[str, Any]) -> dict[str, bool]:
    """UPM's own settings by key (upm-protocol.md §4.5)."""
    listed = body.get("settings")
    return {
        _text(each.get("key")): each.get("value") is True
        for each in (listed if isinstance(listed, list) else ())
        if isinstance(each, dict)
    }


def version(body: Mapping[str, Any] | None) -> str | None:
    """The `version` that a resource tells of itself."""
    return _text((body or {}).get("version")) or None


def pending(body: Mapping[str, Any]) -> tuple[Task, ...]:
    """The installations that run at this moment, of whoever asked for them (§2.5)."""
    listed = body.get("tasks")
    running = []
    for each in listed if isinstance(listed, list) else ():
        status = _mapping(each.get("status")) if isinstance(each, dict) else {}
        kind = each.get("type") if isinstance(each, dict) else None
        if kind in ("INSTALL", "PLUGIN_INSTALL") and not status.get("done"):
            found = task(each)
            if found:
                running.append(found)
    return tuple(running)


def identity(body: bytes) -> Identity | None:
    """The consumer key and public key of a `consumer-info` page; the key may lack its PEM lines."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    key = (root.findtext("key") or "").strip()
    public = (root.findtext("publicKey") or "").strip()
    return Identity(key, pem(public)) if key and public else None


def pem(public_key: str) -> str:
    """*public_key* with the lines that PEM wants around it, where it has none."""
    if "-----BEGIN" in public_key:
        return public_key.strip() + "\n"
    packed = "".join(public_key.split())
    lines = [packed[start : start + 64] for start in range(0, len(packed), 64)]
    return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])


def _delay(body: Mapping[str, Any]) -> int:
    for name in ("pingAfter", "pollDelay"):
        value = body.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return int(min(value, LONGEST_MS))  # JSON as Python reads it knows Infinity
    return POLL_MS


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return printable(value) if isinstance(value, str) else ""


def printable(text: str) -> str:
    """*text* without what a terminal would obey, a carriage return too: targets may say anything.

    Whatever is blank becomes a space.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else " " if each.isspace() else "\N{REPLACEMENT CHARACTER}"
        for each in text
    )
