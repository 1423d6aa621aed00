"""`<!-- upm-dev: ignore X314 reason -->`: what a descriptor asks us not to report.

The comment holds for the element that follows it, with all that is inside; before the root element
it holds for the whole file. Several ids are separated by commas; `X3` means the whole family.
"""

import re
from collections.abc import Callable
from xml.parsers import expat

from devserver.descriptor.document import Document, Ignore, Point, XmlDocument

_COMMENT = re.compile(r"\s*upm-dev:\s*ignore\s+([A-Z]\w*(?:\s*,\s*[A-Z]\w*)*)")

NEVER = ("G007", "X101")
"""What is no descriptor, or has no key, cannot be served: a comment in it does not change that."""


def ignored(text: str, document: Document) -> Callable[[str, Point], bool] | None:
    """Whether a problem with this id at this place is to be left out; None: none is."""
    if not isinstance(document, XmlDocument) or "upm-dev:" not in text:
        return None
    asked = ignores(text)

    def hushed(code: str, at: Point) -> bool:
        return code not in NEVER and any(
            each.first <= at.line <= each.last and matches(code, each.codes) for each in asked
        )

    return hushed


def matches(code: str, selectors: "tuple[str, ...] | list[str]") -> bool:
    """Whether *code* is one of them, or of a family that is (`X2`, `J`)."""
    return any(code.startswith(each) for each in selectors)


def ignores(text: str) -> list[Ignore]:
    """The requests of a text that is well-formed."""
    found: list[Ignore] = []
    pending: list[tuple[tuple[str, ...], Point]] = []
    open_elements: list[list[tuple[tuple[str, ...], Point]]] = []
    parser = expat.ParserCreate("utf-8")

    def comment(words: str) -> None:
        if asked := _COMMENT.match(words):
            codes = tuple(each.strip() for each in asked[1].split(","))
            pending.append((codes, Point(parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)))

    def start(_name: str, _attributes: object) -> None:
        open_elements.append(pending.copy())
        pending.clear()

    def end(_name: str) -> None:
        for codes, at in open_elements.pop():
            first = 0 if not open_elements else at.line
            last = parser.CurrentLineNumber if open_elements else 1 << 30
            found.append(Ignore(codes, first, last, at))

    parser.CommentHandler = comment
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError:  # a template of another tool: its comments are not looked for
        return []
    return found
