"""What rules work on: a descriptor as a tree of cheap values, and the problems they yield.

A rule names a *place* (`At` in XML, `In` in JSON, `Point` for the parsers); the document turns it
into line and column later, and only if somebody asks: placing costs more than finding.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from devserver.descriptor.project import Project
from devserver.model import Kind, Severity

PLACEHOLDER = re.compile(
    r"\$\{[^}]*\}|\{\{.*?\}\}|<%.*?%>|\{%.*?%\}|%\{[^}]*\}|@[A-Za-z][\w.-]*@|%%?[A-Za-z][\w.]{2,}%%?|\{[A-Z][A-Z0-9_-]{2,}\}"
    r"|#\{[^}]*\}|\$symbol_\w+|\$[a-z]\w+\b"
)
"""Text that some tool replaces later: Maven, Velocity, ACE, ERB, Django, Ant, autoconf."""

MAX_DEPTH = 200
"""Levels of nesting that are read; the deepest descriptor in the wild has some ten."""

ENOUGH = 5000
"""Problems after which a rule or a parser is not asked for more."""
MAX_VALUES = 200_000
"""Of a JSON descriptor: 30,000 modules of the usual size."""
MAX_ELEMENTS = 60_000
"""Of an XML descriptor: 15,000 modules of the usual size."""
MAX_ATTRIBUTES = 200
"""Of one element; the most that any has in the wild is some fifteen. libxml2 is quadratic in it."""
MAX_ALL_ATTRIBUTES = 200_000


def opaque(value: str) -> bool:
    """Whether *value* holds a placeholder, so that nothing can be said of what it will be."""
    return ("$" in value or "{" in value or "%" in value or "@" in value or "#" in value) and bool(
        PLACEHOLDER.search(value)
    )


class Point(NamedTuple):
    """A place in the parsed text; line and column count from 1."""

    line: int
    column: int = 1


class At(NamedTuple):
    """A place in an XML document: an element's tag, one of its attributes, or its text.

    `part` is `name` or `value` of the attribute; for an element `tag` or `text`.
    """

    element: int
    attribute: str | None = None
    part: str = "tag"


class In(NamedTuple):
    """A place in a JSON document: the value at `path`, or the key that names it."""

    path: tuple[str | int, ...] = ()
    key: bool = False


Place = Point | At | In


class Replacement(NamedTuple):
    """A safe edit: what stands at `at` is exactly `old` and may become `new`."""

    at: Place
    old: str
    new: str


class Problem(NamedTuple):
    """What a rule found: complete but for the rule's own id, and not placed yet.

    `severity` overrides the rule's; `also` are further places, each after the words that lead to
    it ("the first is on").
    """

    at: Place
    message: str
    fix: str = ""
    severity: Severity | None = None
    also: tuple[tuple[str, Place], ...] = ()
    notes: tuple[str, ...] = ()
    edit: Replacement | None = None


class Flaw(NamedTuple):
    """A problem that a parser found; `code` says which rule it is."""

    code: str
    problem: Problem
    severity: Severity = Severity.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known beside the text, and how strict to be.

    `product` (`jira`, `confluence`, ...), `profile` (`cloud`, `dc`, `connect`, `xml-era`) and
    `platform` (the product's major version) describe the host it is meant for; `built` is true for
    what is about to be deployed, when no placeholder may be left; `development` while it is served
    from this machine; `fragment` for a file that a host merges into a descriptor; `whole` where a
    part of a descriptor is not enough; `packed` where the JAR that it goes into is there, so that
    placeholders are judged with that. `base_url` is the address that rendering put in: it is where
    we happen to serve, and says nothing of what was written.
    """

    product: str | None = None
    profile: str | None = None
    platform: int | None = None
    base_url: str | None = None
    built: bool = False
    development: bool = False
    fragment: bool = False
    whole: bool = True
    packed: bool = False
    project: Project | None = None

    @property
    def final(self) -> bool:
        """It goes to a host as it stands: no further tool makes a descriptor of it."""
        return self.built or self.development


class Element:
    """An XML element: local names, its own text, no comments."""

    __slots__ = ("attributes", "children", "index", "parent", "tag", "text")

    def __init__(
        self, tag: str, attributes: dict[str, str], text: str, index: int, parent: "Element | None"
    ) -> None:
        self.tag = tag
        self.attributes = attributes
        self.text = text
        self.index = index
        self.parent = parent
        self.children: list[Element] = []

    def __repr__(self) -> str:
        return f"<{self.tag} {self.attributes}>"

    def get(self, name: str) -> str:
        """The attribute's value, trimmed; empty where it is absent."""
        return self.attributes.get(name, "").strip()

    @property
    def key(self) -> str:
        return self.get("key")

    def find(self, tag: str) -> "Element | None":
        for child in self.children:
            if child.tag == tag:
                return child
        return None

    def all(self, tag: str) -> "list[Element]":
        return [child for child in self.children if child.tag == tag]

    def walk(self) -> "Iterator[Element]":
        """This element and everything below it, in document order."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            if element.children:
                waiting += reversed(element.children)

    @property
    def here(self) -> At:
        return At(self.index)

    def at(self, attribute: str) -> At:
        """The attribute where it is there, else the tag."""
        return At(self.index, attribute, "name") if attribute in self.attributes else self.here

    def value_at(self, attribute: str) -> At:
        return At(self.index, attribute, "value")

    @property
    def text_at(self) -> At:
        return At(self.index, None, "text")


class Ignore(NamedTuple):
    """`upm-dev: ignore X314 reason` in a comment: holds for the lines `first` to `last`."""

    codes: tuple[str, ...]
    first: int
    last: int
    at: Point


REMOTE_MODULES = frozenset(
    [
        "remote-plugin-container",
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
        "remote-macro",
        "macro-page",
        "page-macro",
        "remote-search-request-view",
        "remote-workflow-post-function",
        "webhook",
        "web-hook",
        "entity-type",
    ]
)
"""Elements that only a remote app has (descriptor-formats.md §2.2)."""

DETAILS = frozenset({"plugin-info"})
DETAILS_OF_REMOTE_APP = DETAILS | {"vendor", "description", "permissions", "oauth"}


class XmlDocument:
    """A parsed `atlassian-plugin.xml`, or a part of one."""

    def __init__(
        self,
        text: str,
        root: Element,
        locate: Callable[[At], Point],
        context: Context,
    ) -> None:
        self.text = text
        self.root = root
        self.context = context
        self._locate = locate

    @cached_property
    def kind(self) -> Kind:
        if self.root.tag in ("remote-app", "application"):
            return Kind.REMOTE_APP
        if any(child.tag in REMOTE_MODULES for child in self.root.children):
            return Kind.REMOTE_XML
        return Kind.P2

    @property
    def fragment(self) -> bool:
        """A part that a host merges into a descriptor: it has no key or version of its own."""
        return self.root.tag in {"application", "bundles"} or self.context.fragment

    @cached_property
    def info(self) -> Element | None:
        return self.root.find("plugin-info")

    @property
    def details(self) -> frozenset[str]:
        """The top-level elements that describe the plugin as a whole."""
        return DETAILS if self.root.tag == "atlassian-plugin" else DETAILS_OF_REMOTE_APP

    @cached_property
    def modules(self) -> list[Element]:
        """The top-level elements that are modules, in document order; resources are none."""
        details = self.details
        return [
            child
            for child in self.root.children
            if child.tag not in details and child.tag != "resource"
        ]

    @cached_property
    def elements(self) -> list[Element]:
        """Every element, in document order."""
        return [*self.root.walk()]

    @cached_property
    def by_tag(self) -> Mapping[str, list[Element]]:
        """Every element of the document by its local name."""
        found: dict[str, list[Element]] = {}
        for element in self.elements:
            found.setdefault(element.tag, []).append(element)
        return found

    def every(self, *tags: str) -> Iterator[Element]:
        for tag in tags:
            yield from self.by_tag.get(tag, ())

    def module(self, *tags: str) -> Iterator[Element]:
        """The top-level modules of these types."""
        for element in self.every(*tags):
            if element.parent is self.root:
                yield element

    @cached_property
    def params(self) -> Mapping[str, Element]:
        """The `<param>` elements of plugin-info by name."""
        if self.info is None:
            return {}
        return {each.get("name"): each for each in self.info.all("param")}

    def locate(self, place: Place) -> Point:
        match place:
            case Point():
                return place
            case At():
                return self._locate(place)
            case _:
                return Point(0, 0)


Json = Any
"""What a JSON parser makes: dict, list, str, int, float, bool, None."""


@dataclass(frozen=True, slots=True)
class JsonModule:
    """One module of a Connect descriptor: its type, where it is, and what it says."""

    type: str
    path: tuple[str | int, ...]
    value: Mapping[str, Json]

    def at(self, *names: str | int) -> In:
        """The value at *names* inside the module; the module itself where that is not there."""
        value: Json = self.value
        for name in names:
            there = (isinstance(value, dict) and name in value) or (
                isinstance(value, list) and isinstance(name, int) and name < len(value)
            )
            if not there:
                return In(self.path)
            value = value[name]
        return In((*self.path, *names))


class JsonDocument:
    """A parsed `atlassian-connect.json`."""

    kind = Kind.CONNECT_JSON
    fragment = False

    def __init__(
        self, text: str, root: dict[str, Json], locate: Callable[[In], Point], context: Context
    ) -> None:
        self.text = text
        self.root = root
        self.context = context
        self._locate = locate

    @cached_property
    def modules(self) -> list[JsonModule]:
        """Every module that is an object, in document order."""
        declared = self.root.get("modules")
        if not isinstance(declared, dict):
            return []
        found = []
        for kind, value in declared.items():
            if isinstance(value, dict):
                found.append(JsonModule(kind, ("modules", kind), value))
            elif isinstance(value, list):
                found += [
                    JsonModule(kind, ("modules", kind, index), each)
                    for index, each in enumerate(value)
                    if isinstance(each, dict)
                ]
        return found

    def walk(self) -> Iterator[tuple[tuple[str | int, ...], Json]]:
        """Every value with its path, in document order."""
        waiting: list[tuple[tuple[str | int, ...], Json]] = [((), self.root)]
        while waiting:
            path, value = waiting.pop()
            yield path, value
            if isinstance(value, dict):
                waiting += [((*path, name), each) for name, each in reversed(value.items())]
            elif isinstance(value, list):
                waiting += [((*path, i), each) for i, each in reversed([*enumerate(value)])]

    def locate(self, place: Place) -> Point:
        match place:
            case Point():
                return place
            case In():
                return self._locate(place)
            case _:
                return Point(0, 0)


Document = XmlDocument | JsonDocument


class Parsed(NamedTuple):
    """What a parser made of a text: a document, or the flaws that stood in the way, or both.

    Flaws beside a document are remarks: a masked preamble, a duplicate key.
    """

    document: Document | None
    flaws: tuple[Flaw, ...] = ()
