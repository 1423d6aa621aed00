"""R401 to R412: remote apps in XML (Connect XML of 2012 to 2014, Remote Apps of 2011)."""

import re
from collections.abc import Iterator

from devserver.descriptor.catalogue import xml_catalogue
from devserver.descriptor.document import Element, Problem, Replacement, XmlDocument, opaque
from devserver.descriptor.nearest import nearest
from devserver.descriptor.rules import REMOTE, rule
from devserver.model import Kind, Severity

LOCAL = re.compile(r"https?://(localhost|127\.|\[::1\]|[\w-]+(:\d+)?(/|$))", re.IGNORECASE)
PERMISSIONS_LIMIT = 220
"""Characters of all permission names joined (AC-XML)."""


@rule("R401", Severity.ERROR, *REMOTE)
def one_container(document: XmlDocument) -> Iterator[Problem]:
    yield from _only_one(document, "remote-plugin-container")


@rule("R410", Severity.ERROR, *REMOTE)
def one_configure_page(document: XmlDocument) -> Iterator[Problem]:
    yield from _only_one(document, "configure-page")


def _only_one(document: XmlDocument, tag: str) -> Iterator[Problem]:
    found = [*document.module(tag)]
    for each in found[1:]:
        yield Problem(
            each.here,
            f"a descriptor has one <{tag}> at most",
            "merge the two",
            also=(("the first is on", found[0].here),),
        )


@rule("R402", Severity.ERROR, *REMOTE)
def required_attributes(document: XmlDocument) -> Iterator[Problem]:
    known = xml_catalogue().modules
    for each in document.modules:
        listed = known.get(each.tag, {})
        if not listed.get("remote"):
            continue
        for name in listed.get("attributes", ()):
            if name != "key" and not each.get(name):
                spelt = nearest(name, each.attributes)
                yield Problem(
                    each.at(spelt) if spelt else each.here,
                    f"<{each.tag}> has no {name}",
                    f"rename {spelt} to {name}" if spelt else f'add {name}="…"',
                )
        for child in listed.get("children", ()):
            if each.find(child) is None:
                yield Problem(each.here, f"<{each.tag}> has no <{child}>", f"add <{child}>")


@rule("R403", Severity.ERROR, *REMOTE)
def relative_url(document: XmlDocument) -> Iterator[Problem]:
    known = xml_catalogue().modules
    for each in document.modules:
        url = each.attributes.get("url", "").strip()
        if not known.get(each.tag, {}).get("remote") or not url or url.startswith("/"):
            continue
        if opaque(url) and not re.match(r"https?://", url):
            continue
        absolute = re.match(r"https?://", url)
        at = each.value_at("url")
        plain = not absolute and re.fullmatch(r"[\w./?=&-]+", url)
        yield Problem(
            at,
            f'url="{url}" is not relative to display-url'
            if absolute
            else f'url="{url}" does not start with /',
            "write the path alone, from / on",
            Severity.WARNING if document.kind is Kind.REMOTE_APP else None,
            edit=Replacement(at, each.attributes["url"], "/" + url) if plain else None,
        )


@rule("R404", Severity.ERROR, *REMOTE)
def display_url(document: XmlDocument) -> Iterator[Problem]:
    for each in (*document.module("remote-plugin-container"), document.root):
        url = each.get("display-url")
        if not url or opaque(url):
            continue
        at = each.value_at("display-url")
        if not re.match(r"https?://[^/]", url, re.IGNORECASE):
            yield Problem(
                at, f'display-url="{url}" is no web address', f"write https://{url.lstrip('/')}"
            )
        elif url.endswith("/"):
            yield Problem(
                at,
                "display-url ends in /: with the modules' urls that makes //",
                "remove the last /",
                Severity.WARNING,
                edit=Replacement(at, url, url.rstrip("/")),
            )
        elif url.lower().startswith("http:") and not LOCAL.match(url):
            yield Problem(
                at,
                "display-url is plain http: browsers block such pages inside an https host",
                "use https",
                Severity.INFO,
            )


def permissions(document: XmlDocument) -> list[tuple[Element, str]]:
    """The requested permissions, of either dialect."""
    return [
        (each, (each.get("scope") or each.text).strip())
        for each in document.every("permission")
        if each.parent is not None and each.parent.tag == "permissions"
    ]


@rule("R405", Severity.ERROR, *REMOTE)
def permission_for_module(document: XmlDocument) -> Iterator[Problem]:
    if document.kind is Kind.REMOTE_APP:
        return
    asked = {name for _, name in permissions(document)}
    if any(opaque(each) for each in asked):
        return
    for oauth in document.every("oauth"):
        if oauth.find("public-key") is not None and "create_oauth_link" not in asked:
            yield Problem(
                oauth.here,
                "oauth with a public-key needs the permission create_oauth_link",
                "add <permission>create_oauth_link</permission> to plugin-info/permissions",
            )


@rule("R406", Severity.WARNING, *REMOTE)
def unknown_permission(document: XmlDocument) -> Iterator[Problem]:
    known = {name for names in xml_catalogue().permissions.values() for name in names}
    asked = permissions(document)
    for each, name in asked:
        if not name or opaque(name) or name in known:
            continue
        near = nearest(name, sorted(known))
        at = each.value_at("scope") if each.get("scope") else each.text_at
        yield Problem(
            at,
            f'no host knows the permission "{name}"',
            f'did you mean "{near}"?' if near else "",
            edit=Replacement(at, name, near) if near else None,
        )
    if len(",".join(name for _, name in asked)) > PERMISSIONS_LIMIT:
        yield Problem(
            asked[0][0].here,
            f"the permissions' names are longer than {PERMISSIONS_LIMIT} characters together",
            "ask for fewer",
        )


@rule("R407", Severity.ERROR, *REMOTE)
def public_key(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("public-key"):
        text = each.text.strip()
        if opaque(text) or each.children:
            continue
        if "PRIVATE KEY" in text:
            yield Problem(
                each.text_at,
                "this is a private key, and descriptors are public",
                "replace it with the public key, and make a new pair",
            )
        elif not text.startswith("-----BEGIN PUBLIC KEY-----"):
            yield Problem(
                each.text_at if text else each.here,
                "the public key is not in PEM form",
                "start it with -----BEGIN PUBLIC KEY-----",
            )


@rule("R408", Severity.ERROR, *REMOTE)
def condition_name_or_url(document: XmlDocument) -> Iterator[Problem]:
    for each in document.every("condition"):
        given = [name for name in ("name", "url") if each.get(name)]
        if not given and each.get("class") and not _remote_holder(each):
            continue
        if len(given) != 1:
            yield Problem(
                each.here,
                "a remote condition has a name and a url"
                if given
                else "a remote condition has neither name nor url",
                'write one: name="user_is_logged_in", or a url',
            )


def _remote_holder(condition: Element) -> bool:
    holder = condition.parent
    while holder is not None and holder.tag == "conditions":
        holder = holder.parent
    tag = holder.tag if holder is not None else ""
    return bool(xml_catalogue().modules.get(tag, {}).get("remote"))


@rule("R409", Severity.WARNING, *REMOTE)
def webhook_event(document: XmlDocument) -> Iterator[Problem]:
    catalogue = xml_catalogue()
    known = sorted({name for names in catalogue.events.values() for name in names})
    for each in document.module("webhook", "web-hook"):
        event = each.get("event")
        if not event or opaque(event) or event in known:
            continue
        short = catalogue.shortcuts.get(event)
        if short is not None and document.kind is Kind.REMOTE_APP:
            continue
        near = short or nearest(event, known)
        at = each.value_at("event")
        yield Problem(
            at,
            f'no host is known to fire "{event}"',
            f'did you mean "{near}"?' if near else "check its spelling",
            None if near else Severity.INFO,
            edit=Replacement(at, event, near) if near else None,
        )


@rule("R411", Severity.WARNING, *REMOTE)
def dead_format(document: XmlDocument) -> Iterator[Problem]:
    if document.context.development or document.context.profile == "xml-era":
        return
    for each in document.modules:
        if each.tag == "remote-plugin-container":
            yield Problem(
                each.here,
                "remote apps in XML are installed by no host since 2014",
                "use it with a simulated host; for real ones write atlassian-connect.json",
            )
            return


@rule("R412", Severity.INFO, *REMOTE)
def remote_app_dialect(document: XmlDocument) -> Iterator[Problem]:
    root = document.root
    if root.tag == "remote-app":
        yield Problem(
            root.here,
            "this is the Remote Apps dialect of 2011: no later host takes it",
            "convert it to atlassian-plugin with a remote-plugin-container",
        )
        return
    for each in document.module("web-hook"):
        yield Problem(
            each.here,
            "web-hook is the spelling of 2011",
            'write <webhook key="…" event="jira:issue_created" url="…"/>',
        )
