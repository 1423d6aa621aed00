"""Pieces of pages: code with its colours, code frames, a sparkline. Pure; all text is escaped."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

from markupsafe import Markup

from devserver.descriptor.visible import visible
from devserver.model import Diagnostic, Position
from devserver.reading import Shown

AROUND = 2
"""Lines of a code frame above and below the one it is about."""
WIDTH = 220
"""Characters of a line in a code frame."""
MOST_LINES = 2500
"""Lines of a file that are shown: the largest descriptor in the wild has some 2,000."""

Clean = Callable[[str], str]
"""Takes secrets out of a line."""

_ENDS = {
    "{#": ("comment", "#}"),
    "<!--": ("comment", "-->"),
    "{{": ("template", "}}"),
    "{%": ("template", "%}"),
    "<?": ("tag", "?>"),
}
"""What goes on until its end, whatever stands in between."""
_OPENS = "|".join(map(re.escape, _ENDS))
# Nothing is tried twice: a line may be as long as a file, and of anybody's making.
_TOKENS = re.compile(
    rf"{_OPENS}"
    r"|(?P<tag></?[A-Za-z_][\w:.-]*+|/?>)"
    r"|(?<![\w:.-])(?P<attribute>[A-Za-z_][\w:.-]*+)(?=\s*+=\s*+[\"'])"
    r"|(?P<key>\"(?:[^\"\\\n]|\\.){0,200}+\"(?=\s*+:))"
    r"|(?P<string>\"[^\"\n]*+\"|'[^'\n]*+')",
)
_IN_STRINGS = re.compile(r"\{\{|\{%")


def coloured(line: str) -> Markup:
    """A line of XML, JSON or a template with its parts marked. (Nothing spans lines here.)"""
    out = []
    for kind, part in _parts(line, _TOKENS):
        if kind == "string":  # templates stand in attributes
            inner = "".join(_marked(*each) for each in _parts(part, _IN_STRINGS))
            out.append(f'<i class="string">{inner}</i>')
        else:
            out.append(_marked(kind, part))
    return Markup("".join(out))


def _parts(line: str, tokens: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """The whole of *line* in pieces, each with its kind; empty: of none."""
    done = at = 0
    endless: set[str] = set()
    while (found := tokens.search(line, at)) is not None:
        at, kind = found.end(), found.lastgroup
        if kind is None:
            kind, end = _ENDS[found[0]]
            stop = -1 if end in endless else line.find(end, at)
            if stop < 0:
                endless.add(end)
                continue
            at = stop + len(end)
        yield "", line[done : found.start()]
        yield kind, line[found.start() : at]
        done = at
    yield "", line[done:]


def _marked(kind: str, text: str) -> str:
    inner = escape(visible(text))
    return f'<i class="{kind}">{inner}</i>' if kind else inner


def lines_of(text: str) -> list[str]:
    return re.split(r"\r\n|\r|\n", text)


@dataclass(frozen=True, slots=True)
class Line:
    number: int
    code: Markup
    current: bool = False
    before: str = ""
    """What stands before the caret, where it does."""
    there: str = ""
    """The id of the line beside it that it belongs to."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A diagnostic with the lines around it."""

    diagnostic: Diagnostic
    lines: tuple[Line, ...]

    @property
    def position(self) -> Position:
        return self.diagnostic.position


def frame(diagnostic: Diagnostic, files: Mapping[str, str], clean: Clean) -> Frame:
    position = diagnostic.position
    source = lines_of(files.get(position.file, ""))
    if not 0 < position.line <= len(source):
        return Frame(diagnostic, ())
    first = max(1, position.line - AROUND)
    last = min(len(source), position.line + AROUND)
    found = []
    for number in range(first, last + 1):
        text = clean(source[number - 1].replace("\t", "    "))[:WIDTH]
        current = number == position.line
        tabs = source[number - 1][: max(0, position.column - 1)].count("\t")
        before = " " * (position.column - 1 + 3 * tabs) if current and position.column else ""
        found.append(Line(number, coloured(text), current, before[:WIDTH]))
    return Frame(diagnostic, tuple(found))


@dataclass(frozen=True, slots=True)
class Listing:
    """A file by its lines; each knows its partner on the other side."""

    name: str
    lines: tuple[Line, ...]
    prefix: str
    cut: bool = False


def side_by_side(shown: Shown, clean: Clean) -> tuple[Listing, ...]:
    """The rendered descriptor, then each file that a line of it came from."""
    rendered = lines_of(shown.text)[:MOST_LINES]
    names: dict[str, int] = {}
    there: dict[tuple[str, int], int] = {}
    links: list[str] = []
    for number, line in enumerate(rendered, start=1):
        bare = len(line) - len(line.lstrip())
        position = shown.place(number, bare + 1) if line.strip() else Position("")
        if not position.file or not position.line:
            links.append("")
            continue
        index = names.setdefault(position.file, len(names))
        there.setdefault((position.file, position.line), number)
        links.append(f"s{index}-{position.line}")
    listings = [
        Listing(
            "rendered",
            tuple(
                Line(number, coloured(clean(line)), there=link)
                for number, (line, link) in enumerate(zip(rendered, links, strict=True), start=1)
            ),
            "r",
            len(lines_of(shown.text)) > MOST_LINES,
        )
    ]
    for name, index in names.items():
        source = lines_of(shown.files.get(name, ""))
        lines = tuple(
            Line(
                number,
                coloured(clean(line)),
                there=f"r{there[name, number]}" if (name, number) in there else "",
            )
            for number, line in enumerate(source[:MOST_LINES], start=1)
        )
        listings.append(Listing(name, lines, f"s{index}-", len(source) > MOST_LINES))
    return tuple(listings)


def plain_listing(name: str, text: str, clean: Clean) -> Listing:
    source = lines_of(text)
    lines = (
        Line(number, coloured(clean(line))) for number, line in enumerate(source[:MOST_LINES], 1)
    )
    return Listing(name, tuple(lines), "r", len(source) > MOST_LINES)


def sparkline(values: Sequence[int], room: int) -> str:
    """The path of a bar for each of *values*, newest right, in a box of *room* x 40 units.

    What took far longer than most (a target that was away) ends at the top: the rest stays legible.
    """
    if not values:
        return ""
    top = max(1, min(max(values), 4 * median(values)))
    first = room - len(values)
    return "".join(
        f"M{first + index + 0.5} 40V{40 - max(2, min(1, value / top) * 38):.1f}"
        for index, value in enumerate(values)
    )


def differing(text: str, at: int | None) -> Iterator[tuple[str, bool]]:
    """*text* before the first difference, the character there, and the rest."""
    if at is None or at > len(text):
        yield text, False
        return
    yield text[:at], False
    yield text[at : at + 1] or "∅", True
    yield text[at + 1 :], False
