"""What a host refuses to install, and why (upm-protocol.md §2.7, §6). Pure."""

import ipaddress
import re
from collections.abc import Container
from itertools import zip_longest
from urllib.parse import urlsplit

from devserver.simulator import refusal
from devserver.simulator.app import App, Kind
from devserver.simulator.profile import Product, Profile
from devserver.simulator.refusal import Refusal

KINDS_WITH_CODE = frozenset({Kind.JAR, Kind.OBR})


def refuses(
    app: App, profile: Profile, product: Product, *, loopback_allowed: bool
) -> Refusal | None:
    """Why this host does not take *app*; None where it does."""
    if app.kind not in profile.kinds:
        return refusal.install(
            "unknown.plugin.type", f"This host does not install {app.kind} apps."
        )
    if app.kind is Kind.CONNECT_JSON:
        return _connect(app, profile, loopback_allowed=loopback_allowed)
    return _plugin(app, profile, product)


def _plugin(app: App, profile: Profile, product: Product) -> Refusal | None:
    version = app.plugins_version
    if app.kind in (Kind.REMOTE_XML, Kind.REMOTE_APP):
        if version is None:
            return refusal.install(
                "install.failed", "A remote plugin has to declare plugins-version 2."
            )
        if not re.match(r"https?:", app.base_url or "") or not is_address(app.base_url):
            return refusal.install(
                "install.failed", "The <remote-plugin-container> needs an http display-url."
            )
        for module in app.modules:
            if module.url is not None and not module.url.startswith("/"):
                return refusal.install(
                    "install.failed", f'The url of "{module.key}" has to begin with a slash.'
                )
    if not re.fullmatch(r"[123]", (version or "1").strip()):
        return refusal.install(
            "unrecognised.plugin.version", f'plugins-version "{version}" is not one of 1, 2, 3.'
        )
    if app.kind is Kind.XML and not product.xml_plugins:
        return refusal.install(
            "xml.plugins.unsupported", f"{product.title} does not install XML plugins."
        )
    if (version or "1").strip() == "1" and not product.legacy_plugins:
        return refusal.install(
            "legacy.plugins.unsupported", f"{product.title} does not install version 1 plugins."
        )
    if profile.signatures and app.kind in KINDS_WITH_CODE and not app.signed:
        return refusal.install("install.failed", "Signature check failed!")
    return None


def _connect(app: App, profile: Profile, *, loopback_allowed: bool) -> Refusal | None:
    if "://" not in (app.base_url or ""):
        return refusal.connect("base_url.no_scheme", "The baseUrl needs a scheme and a host.")
    if not is_address(app.base_url):
        return refusal.connect("remote.descriptor.validation.dev", "The baseUrl is no URL.")
    base = urlsplit(app.base_url or "")
    if (
        profile.https
        and base.scheme != "https"
        and not (loopback_allowed and is_local(base.hostname))
    ):
        return refusal.connect("base_url.no_tls", "The baseUrl has to begin with https.")
    for event, url in app.lifecycle:
        if not url.startswith("/"):
            return refusal.connect(
                "remote.descriptor.validation.dev", f"lifecycle.{event} has to begin with a slash."
            )
    return None


def is_address(url: str | None) -> bool:
    """Whether *url* has a scheme, a host and no character that no URL has."""
    try:
        parts = urlsplit(url or "")
        usable = parts.scheme and parts.hostname and (parts.port or True)
    except ValueError:
        return False
    return bool(usable) and not re.search(r"[\x00-\x20\x7f\\]", url or "")


def is_local(host: str | None) -> bool:
    """Whether a host name of a URL is by its very name one that Cloud cannot reach."""
    name = (host or "").rstrip(".")
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:
        return name == "localhost" or name.endswith((".localhost", ".local", ".internal"))


def compare_versions(left: str, right: str) -> int:
    """As the plugin framework does: number by number, text below any number. <0, 0 or >0."""
    for one, two in zip_longest(_parts(left), _parts(right), fillvalue=(1, 0, "")):
        if one != two:
            return 1 if one > two else -1
    return 0


def _parts(version: str) -> list[tuple[int, int, str]]:
    return [
        (1, int(part), "") if part.isdecimal() and len(part) < 20 else (0, 0, part)
        for part in re.split(r"[.\-_+]", version)
    ]


def needs_restart(old: App, new: App, restart_types: Container[str]) -> bool:
    """Whether an update keeps the old plugin until a restart (§2.8)."""
    return any(module.type in restart_types for app in (old, new) for module in app.modules)
