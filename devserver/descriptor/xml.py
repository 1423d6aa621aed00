"""XML made safe: one text in, a tree of plain elements out, or what is wrong and exactly where.

No entity is resolved, no DTD read, nothing fetched, nothing included, depth and size bounded.
lxml parses and finds the words; positions come from expat, whose line and column are those of a
tag's `<` (lxml only knows the line where a tag ends), in a second pass that is made when asked for.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from xml.parsers import expat

from lxml import etree

from devserver.descriptor.decode import point_of
from devserver.descriptor.document import (
    MAX_ALL_ATTRIBUTES,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_ELEMENTS,
    At,
    Context,
    Element,
    Flaw,
    Parsed,
    Place,
    Point,
    Problem,
    XmlDocument,
)
from devserver.descriptor.placeholders import fill
from devserver.model import Severity

_PROLOG = re.compile(r"\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*", re.DOTALL)
_ATTRIBUTE = re.compile(r"""\s+([^\s=/>"']+)\s*=\s*("[^"]*"|'[^']*')""")
_NAME = re.compile(r"<\s*/?\s*([^\s/>]*)")
_TAG_END = re.compile(r"""(?:[^>"']|"[^"]*"|'[^']*')*>""")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|apos|quot);|#)([^\s;<&\"']{1,100});")
_PREDEFINED = ("amp", "lt", "gt", "apos", "quot")


def parse(text: str, context: Context | None = None) -> Parsed:
    """Parse *text* (a descriptor, a pom.xml, any small XML document)."""
    context = context or Context()
    if doctype := _doctype(text):
        return Parsed(None, (doctype,))
    known = context.project.properties if context.project else {}
    root, flaw = _tree(text)
    if root is not None:
        if known and "${" in text:
            _fill(root, known)
        return Parsed(XmlDocument(text, root, _locator(text), context))
    from devserver.descriptor.mask import mask_xml  # only a broken text needs it

    masked = mask_xml(text)
    if masked is not None and (flaw is None or flaw.code != "G009"):
        root, _ = _tree(masked.text)
        if root is not None and _doctype(masked.text) is None:
            told = Flaw("G005", Problem(masked.at, masked.remark), Severity.INFO)
            if context.final:
                fix = "have that tool make the descriptor first, and name what it makes"
                words = masked.remark.partition(":")[0] + ": a host reads them as broken XML"
                told = Flaw("G005", Problem(masked.at, words, fix))
            return Parsed(XmlDocument(text, root, _locator(masked.text), context), (told,))
    return Parsed(None, (flaw,) if flaw else ())


def parse_bytes(data: bytes) -> Element | None:
    """The root of a document that is only looked into (pom.xml), None where it is no good XML."""
    from devserver.descriptor.decode import decode

    text, _ = decode(data, xml=True)
    if text is None or _doctype(text):
        return None
    return _tree(text)[0]


def _fill(root: Element, properties: Mapping[str, str]) -> None:
    """Put in what Maven will put in; what it cannot know stays opaque. Places stay the source's."""
    for element in root.walk():
        if "${" in element.text:
            element.text = fill(element.text, properties)
        for name, value in element.attributes.items():
            if "${" in value:
                element.attributes[name] = fill(value, properties)


def _doctype(text: str) -> Flaw | None:
    prolog = _PROLOG.match(text)
    start = prolog.end() if prolog else 0
    if not text.startswith("<!DOCTYPE", start):
        return None
    problem = Problem(
        point_of(text, start),
        "a DOCTYPE is refused: hosts read descriptors without DTD and entities",
        "remove it, and write the text of its entities where they are used",
    )
    return Flaw("G009", problem)


def _tree(text: str) -> tuple[Element | None, Flaw | None]:
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        data = text.encode()
    except UnicodeEncodeError as exc:
        return None, _flaw(point_of(text, exc.start), "a lone surrogate is no character")
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError:
        entry = parser.error_log[0] if len(parser.error_log) else None
        return None, _explain(
            text, entry.message if entry else "", entry.type_name if entry else ""
        )
    try:
        return _convert(root), None
    except _TooMuch as exc:
        return None, exc.flaw


class _TooMuch(Exception):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.problem.message)
        self.flaw = flaw


def _too_deep(line: int) -> _TooMuch:
    words = f"elements are nested deeper than {MAX_DEPTH} levels"
    return _TooMuch(_flaw(Point(line, 1), words))


def _too_many(node: "etree._Element", what: str) -> _TooMuch:
    fix = "no app has as many: look for what repeats them"
    return _TooMuch(_flaw(Point(node.sourceline or 1, 1), what, fix, code="S005"))


def _convert(node: "etree._Element") -> Element:
    """Our own tree: rules look at it many times, and lxml's proxies are slow to look at."""
    counter = attributed = 0

    def build(node: "etree._Element", parent: Element | None, depth: int) -> Element:
        nonlocal counter, attributed
        if depth > MAX_DEPTH:
            raise _too_deep(node.sourceline or 1)
        if counter >= MAX_ELEMENTS:
            raise _too_many(node, f"the document holds more than {MAX_ELEMENTS:,} elements")
        given = len(node.attrib)
        attributed += given
        if given > MAX_ATTRIBUTES:
            raise _too_many(node, f"an element has more than {MAX_ATTRIBUTES} attributes")
        if attributed > MAX_ALL_ATTRIBUTES:
            raise _too_many(node, f"elements have more than {MAX_ALL_ATTRIBUTES:,} attributes")
        attributes = dict(node.items())
        if any(name[0] == "{" for name in attributes):
            attributes = {_local(name): value for name, value in attributes.items()}
        text = node.text or ""
        element = Element(_local(str(node.tag)), attributes, text, counter, parent)
        counter += 1
        for child in node:
            if isinstance(child.tag, str):
                element.children.append(build(child, element, depth + 1))
            elif isinstance(child, etree._Entity):
                text += child.text or ""
            if child.tail:
                text += child.tail
        element.text = text if not element.children or text.strip() else ""
        return element

    return build(node, None, 1)


@lru_cache(4096)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _flaw(
    at: Point,
    message: str,
    fix: str = "",
    *notes: str,
    code: str = "G001",
    also: tuple[tuple[str, Place], ...] = (),
) -> Flaw:
    return Flaw(code, Problem(at, message, fix, also=also, notes=tuple(notes)))


def _opened(opener: tuple[str, int, int]) -> tuple[tuple[str, Place], ...]:
    return ((f"<{opener[0]}> is opened on", Point(opener[1], opener[2])),)


class _Trace:
    """An expat pass that remembers what is open when it stops."""

    def __init__(self, text: str) -> None:
        self.open: list[tuple[str, int, int]] = []
        self.at: Point | None = None
        self.error = ""
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = lambda name, _: self.open.append(
            (name, parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
        )
        parser.EndElementHandler = lambda _: self.open.pop() and None
        try:
            parser.Parse(text.encode(), True)
        except expat.ExpatError as exc:
            self.error = expat.ErrorString(exc.code)
            self.at = Point(exc.lineno, exc.offset + 1)


def _explain(text: str, words: str, name: str) -> Flaw:
    """The one flaw that a text has first: expat's place, our sentence, lxml's words as a note."""
    trace = _Trace(text)
    at = trace.at
    if at is None:  # expat is content: a matter of namespaces or of limits
        return _namespace(text, words)
    opener = trace.open[-1] if trace.open else None
    here = _line(text, at.line)[at.column - 1 :]
    if trace.error == "mismatched tag" and opener:
        found = _NAME.match("<" + here)
        closing = found[1] if found else "?"
        return _flaw(
            Point(at.line, max(at.column - 2, 1)),
            f"</{closing}> closes nothing: <{opener[0]}> is still open",
            f"write </{opener[0]}> before it, or correct the one that is misspelt",
            also=_opened(opener),
        )
    if "HYPHEN" in name or _comment_before(text, at) is not None:
        return _hyphens(text, at)
    if trace.error == "no element found":
        if opener is None:
            return _flaw(Point(1, 1), "the file is empty", "start with <atlassian-plugin …>")
        return _flaw(
            at,
            f"the file ends, but <{opener[0]}> is still open",
            f"close it: </{opener[0]}>",
            also=_opened(opener),
        )
    if trace.error == "duplicate attribute":
        found = _NAME.match("<" + here)
        attribute = here.split("=")[0].strip() or (found[1] if found else "")
        return _flaw(at, f'the attribute "{attribute}" is given twice', "delete one of the two")
    if trace.error == "undefined entity":
        found = _ENTITY.search(text, _offset(text, at))
        entity = found[1] if found else "?"
        return _flaw(
            point_of(text, found.start()) if found else at,
            f"the entity &{entity}; is not defined: XML knows only "
            + ", ".join(f"&{each};" for each in _PREDEFINED),
            "write the character itself, or its number (&#160; for &nbsp;)",
            code="G009",
        )
    return _invalid(text, at, trace, words)


def _invalid(text: str, at: Point, trace: _Trace, words: str) -> Flaw:
    """expat says no more than that a token is invalid; lxml's words say why."""
    notes = (f"the parser says: {words}",) if words else ()
    opener = trace.open[-1] if trace.open else None
    if trace.error == "junk after document element":
        return _flaw(at, "there is something after the root element's end", "remove it", *notes)
    if "xmlParseEntityRef" in words or words.startswith("EntityRef"):
        column = _line(text, at.line).rfind("&", 0, at.column) + 1
        return _flaw(
            Point(at.line, column or at.column), "a bare & is not allowed", "write &amp;", *notes
        )
    if "Unescaped '<'" in words:
        return _flaw(at, "< is not allowed inside an attribute's value", "write &lt;", *notes)
    if "AttValue" in words:
        return _flaw(at, "an attribute's value needs quotes", 'write name="value"', *notes)
    if "Start tag expected" in words or trace.error == "syntax error":
        if re.match(r"\s*@[\w(]", text):
            return _flaw(
                at, "this is a Play template, and no XML until it is rendered", "check its output"
            )
        if text.strip():
            return _flaw(at, "this is no XML: it does not start with a tag", "", *notes)
        return _flaw(at, "the file is empty", "start with <atlassian-plugin …>")
    if "XML or text declaration not at start" in trace.error:
        return _flaw(at, "<?xml …?> must be the very first characters of the file", "move it up")
    if trace.error == "unclosed token":
        tag = _NAME.match(_line(text, at.line)[at.column - 1 :])
        what = f"<{tag[1]} …" if tag and tag[1] else "a tag"
        return _flaw(at, f"{what} is not closed with >", "close it", *notes)
    what = words or trace.error
    also = ((f"inside <{opener[0]}>, opened on", Point(opener[1], opener[2])),) if opener else ()
    return _flaw(at, f"not well-formed: {what[:1].lower()}{what[1:].strip()}", also=also)


def _namespace(text: str, words: str) -> Flaw:
    if "depth" in words.lower():
        return _flaw(Point(1, 1), f"elements are nested deeper than {MAX_DEPTH} levels")
    prefix = re.search(r"prefix (\S+)", words)
    uri = re.search(r"'([^']+)'", words)
    needle = f"{prefix[1]}:" if prefix else (uri[1] if uri else "")
    offset = text.find(needle) if needle else -1
    at = point_of(text, offset) if offset >= 0 else Point(1, 1)
    return _flaw(at, f"not well-formed: {words[:1].lower()}{words[1:]}", "")


def _line(text: str, number: int) -> str:
    lines = re.split(r"\r\n|\r|\n", text, maxsplit=number)
    return lines[number - 1] if number <= len(lines) else ""


def _comment_before(text: str, at: Point) -> int | None:
    """Offset of the comment that is open at *at*, None where there is none."""
    offset = _offset(text, at)
    start = text.rfind("<!--", 0, offset + 1)
    if start < 0 or "-->" in text[start + 4 : offset]:
        return None
    return start


def _offset(text: str, at: Point) -> int:
    start = 0
    for line, found in enumerate(re.finditer(r"\r\n|\r|\n", text), start=1):
        if line >= at.line:
            break
        start = found.end()
    return start + at.column - 1


def _hyphens(text: str, at: Point) -> Flaw:
    start = _comment_before(text, at)
    if start is None:
        start = max(text.rfind("<!--", 0, _offset(text, at) + 1), 0)
    opened = point_of(text, start)
    inner = text.find("--", start + 4)
    if inner < 0 or text.startswith("-->", inner):
        return _flaw(opened, "this comment never ends", "close it with -->", code="G001")
    return _flaw(
        point_of(text, inner),
        "-- is not allowed inside a comment",
        "a comment around another comment? delete the inner one, or write - - instead",
        code="G002",
        also=(("the comment is opened on", opened),),
    )


def _locator(text: str) -> Callable[[At], Point]:
    """Positions of tags, attributes and texts; the expat pass is made at the first question."""
    places: list[tuple[int, int, int]] = []
    data = b""

    def look() -> None:
        nonlocal data
        data = text.encode()
        parser = expat.ParserCreate("utf-8")
        parser.StartElementHandler = lambda _name, _attributes: places.append(
            (parser.CurrentLineNumber, parser.CurrentColumnNumber + 1, parser.CurrentByteIndex)
        )
        try:
            parser.Parse(data, True)
        except expat.ExpatError as exc:  # some names that lxml takes, expat does not
            places.append((exc.lineno, exc.offset + 1, parser.ErrorByteIndex))

    def locate(at: At) -> Point:
        if not places:
            look()
        line, column, start = places[min(at.element, len(places) - 1)]
        if at.part == "tag" and at.attribute is None:
            return Point(line, column)
        tag = data[start : start + 65536].decode(errors="replace")
        offset = _within(tag, at)
        before = point_of(tag, offset)
        return Point(
            line + before.line - 1, before.column + (column - 1 if before.line == 1 else 0)
        )

    return locate


def _within(tag: str, at: At) -> int:
    """Offset of what *at* asks for in the text that starts with the element's `<`."""
    name = _NAME.match(tag)
    position = name.end() if name else 1
    while found := _ATTRIBUTE.match(tag, position):
        if found[1] == at.attribute or found[1].rpartition(":")[2] == at.attribute:
            return found.start(1) if at.part != "value" else found.start(2) + 1
        position = found.end()
    if at.part != "text":
        return 0
    end = _TAG_END.match(tag)
    if end is None:
        return 0
    start = end.end()
    return start + len(tag[start:]) - len(tag[start:].lstrip())
