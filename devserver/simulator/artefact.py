"""Tell artefacts apart and parse them, as a UPM does (upm-protocol.md §8). Pure."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lxml import etree

from devserver.simulator import refusal
from devserver.simulator.app import App, Kind, Module
from devserver.simulator.refusal import Refusal

PAGE_TYPES = frozenset(
    {
        "general-page",
        "admin-page",
        "profile-page",
        "configure-page",
        "dialog-page",
        "issue-tab-page",
        "project-tab-page",
        "component-tab-page",
        "version-tab-page",
        "issue-panel-page",
        "project-config-tab",
        "project-config-panel",
        "remote-web-panel",
        "remote-web-item",
        "macro",
        "remote-macro",
        "macro-page",
        "page-macro",
        "remote-search-request-view",
        "remote-workflow-post-function",
        "webhook",
        "web-hook",
    }
)
"""Remote modules of Connect XML (descriptor-formats.md §2.2)."""

LARGEST = 32 * 1024 * 1024
"""Bytes of a descriptor that is parsed."""

NOT_MODULES = frozenset(
    {
        "plugin-info",
        "description",
        "resource",
        "vendor",
        "param",
        "permissions",
        "permission",
        "oauth",
        "install-handler",
    }
)


def file_name(url_path: str, disposition: str, media_type: str) -> str:
    """An artefact's name: Content-Disposition, else the URL; the type coerces its ending."""
    found = re.search(r'filename="?([^";]+)', disposition)
    name = (found.group(1) if found else url_path.rsplit("/", 1)[-1]).strip() or "plugin"
    name = name.rsplit("/", 1)[-1].rsplit("\\", 1)[-1]
    ending = ""
    if media_type == "application/java-archive":
        ending = ".jar"
    elif media_type.endswith("/xml"):
        ending = ".xml"
    if ending and not name.lower().endswith((ending, ".obr")):
        name += ending
    return name


def recognise(data: bytes, name: str, media_type: str, kinds: tuple[str, ...]) -> App | Refusal:
    """The XML or JSON app in *data*, or why no handler takes it. (JARs: `jars.read`.)"""
    kind = media_type.partition(";")[0].strip().lower()
    lower = name.lower()
    json_type = kind == "application/json"
    if kind in ("application/xml", "text/xml") or (lower.endswith(".xml") and not json_type):
        return _xml(data, kinds)
    if json_type or lower.endswith(".json") or data.lstrip()[:1] == b"{":
        return _json(data, kinds)
    return unknown_type(name)


def unknown_type(what: str) -> Refusal:
    return refusal.install(
        "unknown.plugin.type", f"{what} is not an app of a type that this host can install."
    )


def _xml(data: bytes, kinds: tuple[str, ...]) -> App | Refusal:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        return unknown_type(f"A document that is not well-formed ({error})")
    if root.getroottree().docinfo.internalDTD is not None:
        return unknown_type("A document with a DTD")
    tag = _local(root)
    if tag == "remote-app":
        return parse_remote_app(root) if Kind.REMOTE_APP in kinds else unknown_type("A remote app")
    if tag != "atlassian-plugin":
        return unknown_type(f"<{tag}>")
    if _child(root, "remote-plugin-container") is None:
        return parse_plugin(root, Kind.XML) if Kind.XML in kinds else unknown_type("An XML plugin")
    if Kind.REMOTE_XML in kinds:
        return parse_plugin(root, Kind.REMOTE_XML)
    return unknown_type("A descriptor with <remote-plugin-container>")


def parse_plugin(root: etree._Element, kind: Kind, *, signed: bool = False) -> App | Refusal:
    """An `atlassian-plugin` element as an app."""
    info = _child(root, "plugin-info")
    vendor = None if info is None else _child(info, "vendor")
    key = _text(root.get("key"))
    if not key:
        return refusal.install("install.failed", "The descriptor's root has no key.")
    container = _child(root, "remote-plugin-container")
    handler = _child(root, "install-handler")
    params = tuple((_text(each.get("name")), _text(each.text)) for each in _children(info, "param"))
    modules = tuple(_modules(root))
    keys = [module.key for module in modules]
    if len(keys) != len(set(keys)):
        double = next(each for each in keys if keys.count(each) > 1)
        return refusal.install("install.failed", f'The module key "{double}" is used twice.')
    return App(
        kind=kind,
        key=key,
        name=_text(root.get("name")) or key,
        version=_text(_child_text(info, "version")) or "0",
        description=_text(_child_text(info, "description")),
        vendor="" if vendor is None else _text(vendor.get("name")),
        vendor_url="" if vendor is None else _text(vendor.get("url")),
        modules=modules,
        base_url=None if container is None else _text(container.get("display-url")).rstrip("/"),
        authentication=(
            "oauth" if container is not None and _child(container, "oauth") is not None else "none"
        ),
        plugins_version=root.get("pluginsVersion") or root.get("plugins-version"),
        paid=dict(params).get("atlassian-licensing-enabled") == "true",
        signed=signed,
        handler=None if handler is None else _text(handler.get("url")),
        enabled_by_default=root.get("state") != "disabled",
        params=params,
    )


def parse_remote_app(root: etree._Element) -> App | Refusal:
    """The 2011-2012 dialect: everything on the root, webhooks named `web-hook`."""
    key = _text(root.get("key"))
    if not key:
        return refusal.install("install.failed", "The descriptor's root has no key.")
    vendor = _child(root, "vendor")
    return App(
        kind=Kind.REMOTE_APP,
        key=key,
        name=_text(root.get("name")) or key,
        version=_text(root.get("version")) or "0",
        description=_text(_child_text(root, "description")),
        vendor="" if vendor is None else _text(vendor.get("name")),
        vendor_url="" if vendor is None else _text(vendor.get("url")),
        modules=tuple(_modules(root)),
        base_url=_text(root.get("display-url")).rstrip("/"),
        authentication="oauth" if _child(root, "oauth") is not None else "none",
        plugins_version="2",
    )


def _modules(root: etree._Element) -> Iterator[Module]:
    for position, element in enumerate(root):
        tag = _local(element)
        if tag in NOT_MODULES or not isinstance(element.tag, str):
            continue
        url = element.get("url") if tag in PAGE_TYPES else None
        if tag == "remote-web-item":
            link = _child(element, "link")
            url = url or (None if link is None else _text(link.text) or link.get("url"))
        key = _text(element.get("key")) or f"{tag}-{position}"
        yield Module(
            key=key,
            type=tag,
            name=_text(element.get("name")) or _text(element.get("link-name")) or key,
            description=_text(_child_text(element, "description")),
            url=url,
            location=element.get("location") or element.get("section"),
            event=element.get("event") if tag in ("webhook", "web-hook") else None,
            enabled=element.get("state") != "disabled",
        )


def _json(data: bytes, kinds: tuple[str, ...]) -> App | Refusal:
    if Kind.CONNECT_JSON not in kinds:
        return unknown_type("A JSON document")
    try:
        document = json.loads(data.decode("utf-8-sig"))
        # Half a surrogate pair is JSON, but no text: no page, feed or URL could hold it.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        if b"key" in data and b"baseUrl" in data:
            return Refusal(
                "connect.invalid.descriptor.install.exception",
                f"The app descriptor is not valid JSON: {error}",
            )
        return unknown_type("A document that is not JSON")
    if not isinstance(document, dict) or not {"key", "baseUrl"} <= document.keys():
        return unknown_type("A JSON document without key and baseUrl")
    return parse_connect(document)


def parse_connect(document: Mapping[str, Any]) -> App | Refusal:
    """A Connect descriptor as an app, or what the Connect host says of it (§6.4)."""
    key, base_url = document["key"], document["baseUrl"]
    authentication = document.get("authentication")
    kind = authentication.get("type") if isinstance(authentication, dict) else None
    if not isinstance(key, str) or not re.fullmatch(r"[a-zA-Z0-9-._]+", key):
        return _invalid("key", "has to match ^[a-zA-Z0-9-._]+$")
    if not isinstance(base_url, str):
        return _invalid("baseUrl", "has to be a string")
    if not isinstance(kind, str) or kind.lower() not in ("jwt", "none"):
        return _invalid("authentication", "has to be an object whose type is jwt or none")
    lifecycle = document.get("lifecycle", {})
    if not isinstance(lifecycle, dict) or not all(isinstance(v, str) for v in lifecycle.values()):
        return _invalid("lifecycle", "has to be an object of relative URLs")
    if kind.lower() == "jwt" and not lifecycle.get("installed"):
        return refusal.connect(
            "auth.with.no.installed.callback",
            "Authentication by jwt needs an installed lifecycle callback.",
        )
    modules = document.get("modules", {})
    if not isinstance(modules, dict):
        return _invalid("modules", "has to be an object")
    vendor = document.get("vendor")
    vendor = vendor if isinstance(vendor, dict) else {}
    migrations = document.get("apiMigrations")
    return App(
        kind=Kind.CONNECT_JSON,
        key=key,
        name=_string(document.get("name")) or key,
        version=_string(document.get("version")) or "1.0.0",
        description=_string(document.get("description")),
        vendor=_string(vendor.get("name")),
        vendor_url=_string(vendor.get("url")),
        modules=tuple(_connect_modules(modules)),
        base_url=base_url.rstrip("/"),
        lifecycle=tuple(lifecycle.items()),
        authentication=kind.lower(),
        signed_install=isinstance(migrations, dict) and migrations.get("signed-install") is True,
        paid=document.get("enableLicensing") is True,
    )


def _connect_modules(modules: Mapping[str, Any]) -> Iterator[Module]:
    for kind, listed in modules.items():
        for position, each in enumerate(listed if isinstance(listed, list) else [listed]):
            if not isinstance(each, dict):
                continue
            name = each.get("name")
            named = name.get("value") if isinstance(name, dict) else name
            event = _string(each.get("event")) or None if kind == "webhooks" else None
            key = _string(each.get("key")) or f"{event or kind}-{position}"
            yield Module(
                key=key,
                type=kind,
                name=_string(named) or key,
                url=_string(each.get("url")) or None,
                location=_string(each.get("location")) or None,
                event=event,
            )


def _invalid(what: str, why: str) -> Refusal:
    return refusal.connect(
        "remote.descriptor.validation.dev", f"The app descriptor is not valid: {what} {why}."
    )


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _text(value: str | None) -> str:
    return (value or "").strip()


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _children(element: etree._Element | None, tag: str) -> Iterator[etree._Element]:
    if element is not None:
        yield from (child for child in element if _local(child) == tag)


def _child(element: etree._Element, tag: str) -> etree._Element | None:
    return next(_children(element, tag), None)


def _child_text(element: etree._Element | None, tag: str) -> str | None:
    found = None if element is None else _child(element, tag)
    return None if found is None else found.text
