"""E: what the hosts of today, or the one that was named, make of a descriptor."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from devserver.descriptor.document import (
    Document,
    In,
    JsonDocument,
    Place,
    Problem,
    XmlDocument,
    opaque,
)
from devserver.descriptor.rules import XML, rule
from devserver.descriptor.rules.connect_kinds import JSON, bitbucket, draft, written_base_url
from devserver.model import Kind, Severity


@rule("E701", Severity.INFO, JSON)
def connect_ends(document: JsonDocument) -> Iterator[Problem]:
    if document.context.development or bitbucket(document) or draft(document):
        return
    yield Problem(
        In(),
        "Jira and Confluence Cloud take no Connect descriptor by URL since March 2026",
        "plan the move to Forge; a simulated host still takes it",
    )


@rule("E702", Severity.INFO, JSON)
def port(document: JsonDocument) -> Iterator[Problem]:
    url = written_base_url(document)
    if document.context.development or opaque(url) or "localhost" in url:
        return
    try:
        number = urlsplit(url).port
    except ValueError:
        return  # J504 says what is wrong with it
    if number not in (None, 80, 443, 8080):
        yield Problem(
            In(("baseUrl",)),
            f"hosts fetch a descriptor from the ports 80, 443 and 8080 alone, not from {number}",
            "serve it on one of them",
        )


PRODUCTS_OF_XML = ("jira", "confluence", "bamboo")


@rule("E703", Severity.ERROR, *XML, JSON)
def host_takes_it(document: Document) -> Iterator[Problem]:
    """Only with a target, a product or a profile: descriptor-formats.md §1."""
    context = document.context
    profile, product = context.profile, context.product
    here: Place = In() if isinstance(document, JsonDocument) else _first(document)
    remote = document.kind in (Kind.REMOTE_XML, Kind.REMOTE_APP)
    if remote and profile in ("dc", "dc-locked", "cloud", "connect"):
        yield Problem(
            here,
            f"a {profile} host takes no remote app in XML: none does since 2014",
            "use the profile xml-era, or write atlassian-connect.json",
        )
    elif document.kind is Kind.P2 and profile in ("cloud", "connect"):
        yield Problem(
            here,
            f"a {profile} host takes no plugin in XML",
            "write atlassian-connect.json, or use a Data Center host",
        )
    elif document.kind is Kind.CONNECT_JSON and profile in ("dc", "dc-locked", "xml-era"):
        yield Problem(
            here,
            f"a {profile} host takes no Connect descriptor",
            "use the profile connect, or write a plugin",
        )
    elif (
        isinstance(document, XmlDocument)
        and document.kind is Kind.P2
        and product in ("bitbucket", "stash", "crowd", "fecru")
        and not _has_code(document)
    ):
        yield Problem(
            here,
            f"{product} installs no plain XML plugin: it wants a JAR",
            "build one, or install it on " + ", ".join(PRODUCTS_OF_XML),
            Severity.WARNING,
        )


def _first(document: XmlDocument) -> Place:
    """The element that makes it a remote app, else the root."""
    for each in document.modules:
        if each.tag == "remote-plugin-container":
            return each.here
    return document.root.here


def _has_code(document: XmlDocument) -> bool:
    return any("class" in each.attributes for each in document.modules)


@rule("E704", Severity.ERROR, JSON, Kind.REMOTE_XML)
def cloud_wants_https(document: Document) -> Iterator[Problem]:
    if document.context.profile != "cloud":
        return
    if isinstance(document, JsonDocument):
        url, at = written_base_url(document), In(("baseUrl",))
        if url.lower().startswith("http:"):
            yield Problem(at, "Cloud reaches apps over https alone", "use https, or a tunnel")
