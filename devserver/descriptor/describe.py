"""From a document to a `Descriptor`: what everything after the parser needs to know."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from devserver.descriptor.document import Document, Element, JsonDocument, XmlDocument
from devserver.model import CallbackSpec, Descriptor, Kind, Module

CONFIRMING = ("remote_plugin_installed", "remote_plugin_enabled")
"""The webhooks that prove an installation, best first (upm-protocol.md §6)."""

LIFECYCLE = ("installed", "enabled", "disabled", "uninstalled")

Facts = tuple[tuple[str, str], ...]


def describe(document: Document, body: bytes) -> Descriptor:
    """The descriptor in *document*, which has no errors; *body* is what will be served."""
    if isinstance(document, XmlDocument):
        return _xml(document, body)
    return _json(document, body)


def _xml(document: XmlDocument, body: bytes) -> Descriptor:
    root = document.root
    modules = tuple(
        Module(each.tag, _key(each), tuple(_facts(each)))
        for each in root.children
        if each.tag not in document.details
    )
    details = Element(root.tag, root.attributes, "", root.index, None)
    details.children = [each for each in root.children if each.tag in document.details]
    outside = tuple(_facts(details))
    container = root.find("remote-plugin-container")
    hooks = tuple(
        CallbackSpec(each.get("event"), each.get("url"), signed=True)
        for each in document.module("webhook", "web-hook")
        if each.get("event") and each.get("url").startswith("/")
    )
    version = document.info.find("version") if document.info else None
    return Descriptor(
        kind=document.kind,
        key=root.key,
        name=root.get("name") or root.key,
        version=version.text.strip() if version is not None else root.get("version") or None,
        body=body,
        canonical=_digest(document.kind, outside, modules),
        base_url=(container.get("display-url") if container else root.get("display-url")) or None,
        confirming=next(
            (hook for event in CONFIRMING for hook in hooks if hook.event == event), None
        ),
        callbacks=hooks,
        modules=modules,
        root=outside,
    )


def _key(module: Element) -> str:
    return module.key or module.get("event") or module.get("name")


def _facts(element: Element, prefix: str = "") -> Iterator[tuple[str, str]]:
    """What an element says, by path; the second of equal children is `child[2]`."""
    for name, value in sorted(element.attributes.items()):
        yield f"{prefix}@{name}", value
    if words := " ".join(element.text.split()):
        yield prefix or "text", words
    seen: dict[str, int] = {}
    for child in element.children:
        count = seen[child.tag] = seen.get(child.tag, 0) + 1
        step = child.tag if count == 1 else f"{child.tag}[{count}]"
        below = f"{prefix}/{step}" if prefix else step
        if not child.attributes and not child.children and not child.text.strip():
            yield below, ""
        yield from _facts(child, below)


def _json(document: JsonDocument, body: bytes) -> Descriptor:
    root = document.root
    modules = tuple(
        Module(each.type, _json_key(each.value), tuple(_json_facts(each.value)))
        for each in document.modules
    )
    details = {name: value for name, value in root.items() if name != "modules"}
    outside = tuple(_json_facts(details))
    lifecycle = root.get("lifecycle")
    migrations = root.get("apiMigrations")
    signed = isinstance(migrations, dict) and migrations.get("signed-install") is True
    hooks = [
        CallbackSpec(event, lifecycle[event], signed=event == "installed" and signed)
        for event in LIFECYCLE
        if isinstance(lifecycle, dict) and _relative(lifecycle.get(event))
    ]
    hooks += [
        CallbackSpec(each.value["event"], each.value["url"])
        for each in document.modules
        if each.type == "webhooks"
        and isinstance(each.value.get("event"), str)
        and _relative(each.value.get("url"))
    ]
    return Descriptor(
        kind=Kind.CONNECT_JSON,
        key=_text(root.get("key")),
        name=_text(root.get("name")) or _text(root.get("key")),
        version=_text(root.get("version")) or None,
        body=body,
        canonical=_digest(Kind.CONNECT_JSON, outside, modules),
        base_url=_text(root.get("baseUrl")) or None,
        confirming=hooks[0] if hooks and hooks[0].event == "installed" else None,
        callbacks=tuple(hooks),
        modules=modules,
        root=outside,
    )


def _relative(url: object) -> bool:
    return isinstance(url, str) and url.startswith("/")


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _json_key(value: Any) -> str:
    return _text(value.get("key")) or _text(value.get("event"))


def _json_facts(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name in sorted(value):
            yield from _json_facts(value[name], f"{prefix}/{name}" if prefix else name)
    elif isinstance(value, list) and value:
        members = sorted(value, key=str) if prefix in ("scopes", "contexts") else value
        for index, each in enumerate(members, start=1):
            yield from _json_facts(each, prefix if index == 1 else f"{prefix}[{index}]")
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def _digest(kind: Kind, outside: Facts, modules: tuple[Module, ...]) -> str:
    """Over what is said, in an order of our own: white space, comments and order do not count."""
    listed = sorted((each.type, each.key, sorted(each.facts)) for each in modules)
    form = json.dumps([kind.value, sorted(outside), listed], ensure_ascii=True)
    return hashlib.sha256(form.encode()).hexdigest()
