"""Where a host shows the pages of an app, in a frame of its own. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from devserver.model import Descriptor, Kind

SERVLETS = {Kind.REMOTE_XML: "atlassian-connect", Kind.CONNECT_JSON: "ac"}
"""Beneath `/plugins/servlet/`, by era; descriptors write it in `configure.url`
(descriptor-stats.md)."""
PAGES = frozenset(
    {
        *("general-page", "admin-page", "configure-page", "config-page", "profile-page"),
        *("generalPages", "adminPages", "configurePage", "profilePages", "postInstallPage"),
    }
)
"""Modules that are a page of their own; panels and dialogs are parts of somebody else's."""


@dataclass(frozen=True, slots=True)
class HostPage:
    name: str
    url: str


def host_pages(descriptor: Descriptor, host: str) -> Iterator[HostPage]:
    """The pages of *descriptor* on the host at *host*, in its order."""
    servlet = SERVLETS.get(descriptor.kind)
    for module in descriptor.modules if servlet else ():
        if module.type in PAGES and module.key:
            facts = dict(module.facts)
            name = facts.get("@name") or facts.get("name/value") or module.key
            path = f"{quote(descriptor.key, safe='')}/{quote(module.key, safe='')}"
            yield HostPage(name, f"{host}/plugins/servlet/{servlet}/{path}")
