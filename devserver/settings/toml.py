"""TOML with the place of every key: tomllib reads the values, this finds where they stand.

tomllib tells positions only in the text of a syntax error and none at all for values, so a mistake
in a setting is placed by a second, much simpler pass over text that is known to be valid. That pass
runs only when there is a mistake to place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from devserver.model import Position

KeyPath = tuple[str | int, ...]
"""Keys from the top of the document; a number counts in an array."""

# Texts, not patterns: compiling them all takes 5 ms, and few runs have a mistake to place.
_AT = r" \(at line (\d+), column (\d+)\)$"
_AT_END = " (at end of document)"

_BLANK = r"(?:[ \t\r\n]|#[^\n]*)*"
_SPACE = r"[ \t]*"
_KEY = r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
_STRING = (
    r'(?s:"""(?:[^\\]|\\.)*?"{3,5}' + r"|'''.*?'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"' + r"|'[^'\n]*')"
)
_DEEP = (
    r'(?s:"""(?:[^\\]|\\.)*?(?:"{3,5}|\Z)' + r"|'''.*?(?:'{3,5}|\Z))"
    r'|"(?:[^"\\\n]|\\.)*+"?' + r"|'[^'\n]*+'?|#[^\n]*+|[\[\]{}.=,\n]"
)
"""Strings and comments whole, closed or not, and what nests: read once, from left to right."""
DEEPEST = 64
"""Parts of a dotted key and brackets within each other; tomllib has no limit but the stack."""
_BARE = r"[^,\]}\n#]*"


@dataclass(frozen=True, slots=True)
class Misread:
    """Why a text is not TOML, and where; line 0: at no one place."""

    message: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Places:
    """Where the keys and the values of a document stand: offsets into its text."""

    text: str
    keys: Mapping[KeyPath, int]
    values: Mapping[KeyPath, int]

    def key(self, file: str, path: KeyPath) -> Position:
        """The place of a key, or of the nearest table around it that is written down."""
        return self._position(file, self.keys, path)

    def value(self, file: str, path: KeyPath) -> Position:
        """The place of what is assigned to a key; of the key itself where it is a table."""
        return self._position(file, {**self.keys, **self.values}, path)

    def _position(self, file: str, places: Mapping[KeyPath, int], path: KeyPath) -> Position:
        while path and path not in places:
            path = path[:-1]
        return Position(file, *line_and_column(self.text, places[path])) if path else Position(file)


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """The place of an offset, both counted from 1, columns in code points."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def decode(data: bytes) -> str | Misread:
    """The text of a settings file: UTF-8, a byte order mark is passed over."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        before = data[: broken.start].decode("utf-8", "replace")
        return Misread(
            f"byte 0x{data[broken.start]:02x} is not UTF-8",
            *line_and_column(before, len(before)),
        )


def read(text: str) -> dict[str, Any] | Misread:
    """The document, or why there is none."""
    if (deep := _too_deep(text)) is not None:
        return deep
    import tomllib  # 16 ms, and many projects have no settings file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        message = str(broken)
        if found := re.search(_AT, message):
            return Misread(message[: found.start()], int(found[1]), int(found[2]))
        end = line_and_column(text, len(text.rstrip()))
        return Misread(message.replace(_AT_END, " at the end of the file"), *end)


def _too_deep(text: str) -> Misread | None:
    """Where keys and brackets nest too deep for any parser, found without parsing."""
    if text.count(".") + text.count("[") + text.count("{") <= DEEPEST:
        return None
    brackets = dots = 0
    for token in re.finditer(_DEEP, text):
        mark = token[0]
        if mark in ("[", "{"):
            brackets, dots = brackets + 1, 0
        elif mark in ("]", "}"):
            brackets = max(0, brackets - 1)
        elif mark == ".":
            dots += 1
        elif mark in ("=", ",", "\n"):
            dots = 0
        if max(brackets, dots) > DEEPEST:
            words = f"Nested more than {DEEPEST} levels deep"
            return Misread(words, *line_and_column(text, token.start()))
    return None


def places(text: str) -> Places:
    """Where everything stands in *text*, which `read` has taken."""
    scanner = _Scanner(text)
    scanner.document()
    return Places(text, scanner.keys, scanner.values)


@dataclass(slots=True)
class _Scanner:
    """Walks over valid TOML and notes where keys and values begin."""

    text: str
    at: int = 0
    keys: dict[KeyPath, int] = field(default_factory=dict)
    values: dict[KeyPath, int] = field(default_factory=dict)
    counts: dict[KeyPath, int] = field(default_factory=dict)

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._take("["):
                table = self._header(many=self._take("["))
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self, *, many: bool) -> KeyPath:
        table = self._key(())
        self._take("]")
        if many:
            self._take("]")
            self.counts[table] = self.counts.get(table, -1) + 1
            table = (*table, self.counts[table])
        elif (parent := table[:-1]) in self.counts:
            table = (*parent, self.counts[parent], table[-1])
        return table

    def _pair(self, table: KeyPath) -> None:
        path = self._key(table)
        self._take("=")
        self._value(path)

    def _key(self, path: KeyPath) -> KeyPath:
        """Read a dotted key and note each part of it."""
        while True:
            self._skip(_SPACE)
            start = self.at
            part = self._skip(_KEY)
            path = (*path, _plain(part))
            self.keys.setdefault(path, start)
            self._skip(_SPACE)
            if not self._take("."):
                return path

    def _value(self, path: KeyPath) -> None:
        self._skip(_SPACE)
        self.values[path] = self.at
        if self._take("["):
            index = 0
            while not self._closed("]"):
                self._value((*path, index))
                index += 1
                self._skip(_BLANK)
                self._take(",")
        elif self._take("{"):
            while not self._closed("}"):
                self._pair(path)
                self._skip(_BLANK)
                self._take(",")
        elif self.text[self.at : self.at + 1] in ('"', "'"):
            self._skip(_STRING)
        else:
            self._skip(_BARE)

    def _closed(self, mark: str) -> bool:
        self._skip(_BLANK)
        return self._take(mark) or self.at >= len(self.text)

    def _skip(self, pattern: str) -> str:
        found = re.compile(pattern).match(self.text, self.at)  # compiled once: re remembers
        if found is None:  # not valid TOML after all: end here, not in a loop
            self.at = len(self.text)
            return ""
        self.at = found.end()
        return found.group()

    def _take(self, mark: str) -> bool:
        if self.text.startswith(mark, self.at):
            self.at += len(mark)
            return True
        return False


def _plain(part: str) -> str:
    """A key as tomllib gives it: without quotes, escapes resolved."""
    if part[:1] == "'":
        return part[1:-1]
    if part[:1] == '"':
        import tomllib

        return next(iter(tomllib.loads(f"{part} = 0")))
    return part
