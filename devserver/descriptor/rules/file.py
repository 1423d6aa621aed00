"""G: what the file is, before what it says. (G001 to G004, G006 and G009 are the parsers'.)"""

from collections.abc import Iterator, Mapping

from devserver.descriptor.document import (
    PLACEHOLDER,
    Document,
    In,
    JsonDocument,
    Place,
    Problem,
    XmlDocument,
)
from devserver.descriptor.rules import XML, rule
from devserver.model import Kind, Severity

LOOK_ALIKES = {
    "atlassian-plugin-marketing": "Marketplace images (atlassian-plugin-marketing.xml)",
    "plugin": "another framework's plugin descriptor",
    "project": "a Maven pom.xml",
    "beans": "a Spring configuration",
    "idea-plugin": "an IntelliJ plugin descriptor",
    "web-app": "a web.xml",
}
FRAGMENTS = {
    "application": "modules of one product, merged into a remote app's descriptor",
    "bundles": "generated modules, merged from META-INF/plugin-descriptors",
}
HIPCHAT = frozenset(
    [
        "hipchatApiConsumer",
        "installable",
        "configurable",
        "glance",
        "dialog",
        "action",
        "webhook",
        "webPanel",
        "externalPage",
        "inputAction",
        "adminPage",
        "oauth2Consumer",
    ]
)


@rule("G007", Severity.ERROR, *XML, Kind.CONNECT_JSON)
def not_a_descriptor(document: Document) -> Iterator[Problem]:
    if isinstance(document, JsonDocument):
        yield from _not_connect(document)
        return
    root = document.root
    if root.tag in FRAGMENTS:
        severity = Severity.ERROR if document.context.whole else Severity.INFO
        what = FRAGMENTS[root.tag]
        yield Problem(
            root.here,
            f"<{root.tag}> is a part of a descriptor ({what}): it cannot be installed by itself",
            "name the descriptor that it belongs to",
            severity,
        )
    elif root.tag not in ("atlassian-plugin", "remote-app"):
        kind = LOOK_ALIKES.get(root.tag)
        yield Problem(
            root.here,
            f"the root element is <{root.tag}>: this looks like {kind}, not like a descriptor"
            if kind
            else f"the root element is <{root.tag}>, not <atlassian-plugin>",
            'start with <atlassian-plugin key=… name=… plugins-version="2">',
        )


def _not_connect(document: JsonDocument) -> Iterator[Problem]:
    root = document.root
    if "capabilities" in root:
        return  # J520 and J521 say what it is
    if "key" not in root and not ({"baseUrl", "modules"} & root.keys()):
        kind = "a Forge manifest" if {"app", "permissions"} <= root.keys() else None
        kind = "an npm package.json" if {"dependencies", "scripts"} & root.keys() else kind
        yield Problem(
            In(),
            "this is no Connect descriptor: it has neither key nor baseUrl nor modules"
            + (f"; it looks like {kind}" if kind else ""),
            'a descriptor has at least "key", "baseUrl" and "authentication"',
        )


MAVEN_KNOWS = ("project.", "pom.", "atlassian.plugin.key", "env.", "settings.", "java.", "user.")
ACE_KNOWS = frozenset({"localBaseUrl", "environment", "appKey"})
SHOWN = 3
"""Placeholders named one by one in a source file; more say nothing new."""


@rule("G005", Severity.ERROR, *XML, Kind.CONNECT_JSON)
def placeholders(document: Document) -> Iterator[Problem]:
    built, context = document.context.built, document.context
    if not PLACEHOLDER.search(document.text):
        return
    known = context.project.properties if context.project else {}
    has_pom = bool(known) and not context.packed
    seen: set[str] = set()
    for place, value in _values(document):
        for found in PLACEHOLDER.finditer(value):
            token = found[0]
            name = token.strip("${}<%=>@# ")
            if token in seen or (isinstance(document, JsonDocument) and _context_parameter(token)):
                continue
            seen.add(token)
            if built:
                yield Problem(
                    place, f"{token} was not replaced: hosts take it literally", _property(token)
                )
            elif token.startswith("${") and has_pom and _undefined(name, known):
                yield Problem(
                    place,
                    f"{token} is not defined in pom.xml",
                    f"add <{name}> to its <properties>",
                    Severity.INFO,
                )


def _undefined(name: str, known: Mapping[str, str]) -> bool:
    return "." in name and name not in known and not name.startswith(MAVEN_KNOWS)


def _context_parameter(token: str) -> bool:
    """`${issue.key}` in a module's url is no placeholder: J611 looks at it."""
    return token.startswith("${") and "." in token and token[2:3].islower()


def _property(token: str) -> str:
    name = token.strip("${}<%=>@# ")
    if token.startswith("{{"):
        return f"ACE knows {', '.join(sorted(ACE_KNOWS))} alone"
    if token.startswith("${"):
        return f"define the property {name} in pom.xml, or in what builds this file"
    return "render the file with the tool that the placeholder is for"


def _values(document: Document) -> Iterator[tuple[Place, str]]:
    if isinstance(document, XmlDocument):
        for element in document.elements:
            for name, value in element.attributes.items():
                yield element.value_at(name), value
            if element.text:
                yield element.text_at, element.text
    else:
        for path, value in document.walk():
            if isinstance(value, str):
                yield In(path), value


@rule("G008", Severity.INFO, *XML)
def namespace(document: XmlDocument) -> Iterator[Problem]:
    """Local names are what counts, so there is nothing to say but where a name is misspelt."""
    start = document.text.find("xmlns=")
    if start < 0:
        return
    quote = document.text[start + 6 : start + 7]
    value = document.text[start + 7 : document.text.find(quote, start + 7)]
    if value and "atlassian" not in value and "remoteapps" not in value:
        yield Problem(
            document.root.here,
            f"the namespace {value} means nothing to hosts: they read local names",
            "remove xmlns",
        )
