"""Where things are: offsets in a template, marks in a rendering, and the way back.

For the map from the output back to the source, invisible marks are put before each line of a
template's text and before each expression; rendered with them, every place of the output has the
last mark before it. They are pairs of private-use characters, which no descriptor holds.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from devserver.model import Position

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_HIGH, _LOW, _PLANE = 0xF0000, 0x100000, 0xFFFE
_MARK: Final = re.compile(r"[\U000F0000-\U000FFFFD][\U00100000-\U0010FFFD]")


class Source:
    """A template's text: jinja2 sees `\\n` at each line's end, whatever was written there."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._ending = ""
        self._endings: list[str] = []
        if "\r" in text:
            self.text = _LINE_END.sub("\n", text)
            if text.count("\r\n") == text.count("\r") == text.count("\n"):
                self._ending = "\r\n"
            else:  # of each line its own
                same = {"\n": "\n", "\r": "\r", "\r\n": "\r\n"}
                self._endings = [same[found[0]] for found in _LINE_END.finditer(text)]

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, offset: int) -> Position:
        line = bisect_right(self._starts, offset)
        return Position(self.name, line, offset - self._starts[line - 1] + 1)

    def written(self, offset: int, text: str) -> str:
        """A piece of the text, at *offset*, with the line ends it was written with."""
        if self._ending:
            return text.replace("\n", self._ending)
        if not self._endings:
            return text
        line = bisect_right(self._starts, offset) - 1
        first, *rest = text.split("\n")
        return first + "".join(
            ending + piece for ending, piece in zip(self._endings[line:], rest, strict=False)
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """What follows came from `offset` of `source`: text of `length`, or an expression's value."""

    source: Source
    offset: int
    length: int = 0


class Marks:
    """The marks of one rendering, each with its number.

    *sparing*: none where text is captured (`set`, `filter`, `macro`, `call`), since a template may
    measure or compare that.
    """

    def __init__(self, *, sparing: bool = False) -> None:
        self.sparing = sparing
        self._made: list[Mark] = []

    def make(self, source: Source, offset: int, length: int = 0) -> str:
        """The characters that stand for a new mark."""
        number = len(self._made)
        self._made.append(Mark(source, offset, length))
        return chr(_HIGH + number // _PLANE) + chr(_LOW + number % _PLANE)

    def before_lines(self, source: Source, offset: int, text: str) -> str:
        """*text*, with a mark before each of its lines; white space alone needs none."""
        if not text or text.isspace():
            return text
        marked = []
        for line in text.splitlines(keepends=True):
            marked.append(self.make(source, offset, len(line)) + line)
            offset += len(line)
        return "".join(marked)

    def read(self, marked: str) -> tuple[str, list[int], list[Mark]]:
        """The text without its marks, where in it each stood, and which it was."""
        pieces, offsets, marks = [], [], []
        at = done = 0
        for found in _MARK.finditer(marked):
            pieces.append(marked[done : found.start()])
            at += found.start() - done
            done = found.end()
            mark = found[0]
            number = (ord(mark[0]) - _HIGH) * _PLANE + ord(mark[1]) - _LOW
            if number < len(self._made):
                offsets.append(at)
                marks.append(self._made[number])
        pieces.append(marked[done:])
        return "".join(pieces), offsets, marks


class SourceMap:
    """The way from a place in the rendered text to the place in the file that the user edits."""

    def position(self, line: int, column: int) -> Position:
        """The source of *line*, *column* of the rendered text, both counted from 1."""
        raise NotImplementedError


class Identity(SourceMap):
    """A file that is served as it is, but for *changes*: (offset, length here, length there)."""

    def __init__(self, name: str, text: str, changes: Sequence[tuple[int, int, int]] = ()) -> None:
        self._lines = Lines(text)
        self._name = name
        self._changes = changes

    def position(self, line: int, column: int) -> Position:
        start = self._lines.offset(line, 1)
        at = self._lines.offset(line, column)
        for offset, here, there in self._changes:
            if start <= offset and offset + here <= at:
                column += there - here
            elif offset <= at < offset + here:
                column -= at - offset
        return Position(self._name, line, column)


class Marked(SourceMap):
    """A template's, made from a rendering with marks."""

    def __init__(self, text: str, offsets: Sequence[int], marks: Sequence[Mark]) -> None:
        self._lines = Lines(text)
        self._offsets = offsets
        self._marks = marks

    def position(self, line: int, column: int) -> Position:
        at = self._lines.offset(line, column)
        index = max(0, bisect_right(self._offsets, at) - 1)
        mark = self._marks[index]
        into = max(0, at - self._offsets[index])
        return mark.source.place(mark.offset + min(into, max(0, mark.length - 1)))


class ByLine(SourceMap):
    """Where marks would change the rendering: lines that stand in just one place of one template.

    Any other line maps to the template as a whole.
    """

    def __init__(self, name: str, text: str, templates: Mapping[str, str]) -> None:
        self._whole = Position(name)
        self._text = text.split("\n")
        self._found: dict[str, Position | None] = {}
        for template, source in templates.items():
            for number, line in enumerate(source.split("\n"), start=1):
                bare = line.strip()
                once = None if bare in self._found else Position(template, number, _indent(line))
                self._found[bare] = once

    def position(self, line: int, column: int) -> Position:
        if not 0 < line <= len(self._text):
            return self._whole
        written = self._text[line - 1]
        found = self._found.get(written.strip())
        if found is None:
            return self._whole
        into = max(0, column - _indent(written))
        return Position(found.file, found.line, found.column + into)


class Lines:
    """Offsets of the lines of a rendered text."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_END.finditer(self._text))]

    def offset(self, line: int, column: int) -> int:
        """The offset of a place; of the nearest one there is where the text has no such place."""
        line = min(max(line, 1), len(self._starts))
        start = self._starts[line - 1]
        end = self._starts[line] - 1 if line < len(self._starts) else len(self._text)
        return min(start + max(column, 1) - 1, max(start, end))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip()) + 1
