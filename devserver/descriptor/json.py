"""Strict JSON with a place for every value: duplicate keys, comments and the like are named.

The standard library reads it (fast); our own scanner reads it again only to say where something is,
or why it is no JSON.
"""

import json
import re
from collections.abc import Callable, Iterator
from json import decoder
from typing import Any

from devserver.descriptor.decode import Lines
from devserver.descriptor.document import (
    ENOUGH,
    MAX_DEPTH,
    MAX_VALUES,
    Context,
    Flaw,
    In,
    JsonDocument,
    Parsed,
    Point,
    Problem,
    Replacement,
)
from devserver.model import Severity

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_$][\w$-]*")
_TOKEN = re.compile(r"\{\{.*?\}\}|\$\{[^}\r\n]*\}|<%.*?%>|\{%.*?%\}", re.DOTALL)
_MANY_DIGITS = re.compile(r"\d{4001}")
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_scan: Callable[[str, int, bool], tuple[str, int]] = vars(decoder)["scanstring"]
_skip: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]
MAX_DIGITS = 4000
"""Of a whole number: Python itself reads some more, which nobody writes."""
TOO_MANY = (
    f"the descriptor holds more than {MAX_VALUES:,} values",
    "no app has as many: look for what repeats them",
)
_LITERALS = {"true": True, "false": False, "null": None}

Path = tuple[str | int, ...]
Places = dict[Path, tuple[int, int]]
"""Offset of the key (of the value, where it has none) and of the value, for each path."""


class _Duplicate(Exception):
    """The fast parser met a key twice: the scanner says where."""


class _TooMany(Exception):
    """More values than a descriptor may hold."""


def parse(text: str, context: Context | None = None) -> Parsed:
    context = context or Context()
    flaws: tuple[Flaw, ...] = ()
    places: Places | None = None
    try:
        root = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
        if "\\u" in text and _SURROGATE.search(json.dumps(root, ensure_ascii=False)):
            raise ValueError
        openers = text.count("[") + text.count("{")
        if openers > MAX_DEPTH or openers + text.count(",") >= MAX_VALUES:
            _measure(root)
        if _MANY_DIGITS.search(text):
            raise ValueError
    except _TooMany:
        return Parsed(None, (Flaw("S005", Problem(Point(1, 1), *TOO_MANY)),))
    except (_Duplicate, ValueError, RecursionError):
        scanner = _Scanner(text, final=context.final)
        try:
            root = scanner.document()
        except _Stop as stop:
            return Parsed(None, (*scanner.flaws, stop.flaw))
        flaws, places = tuple(scanner.flaws), scanner.places
    if not isinstance(root, dict):
        problem = Problem(
            Point(1, 1), "a descriptor is a JSON object", 'start with {"key": …, "baseUrl": …}'
        )
        return Parsed(None, (*flaws, Flaw("G007", problem)))
    return Parsed(JsonDocument(text, root, _locator(text, places), context), flaws)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Duplicate
    return found


def _constant(name: str) -> float:
    raise ValueError(name)


def _measure(root: Any) -> None:
    """Raise ValueError for what is nested too deep (the scanner then says where), or _TooMany."""
    level, depth, values = [root], 0, 1
    while level:
        depth += 1
        values += sum(len(each) for each in level if isinstance(each, dict | list))
        if values > MAX_VALUES:
            raise _TooMany
        if depth > MAX_DEPTH:
            raise ValueError
        level = [
            each
            for value in level
            for each in (
                value.values()
                if isinstance(value, dict)
                else value
                if isinstance(value, list)
                else ()
            )
            if isinstance(each, dict | list)
        ]


def _locator(text: str, places: Places | None) -> Callable[[In], Point]:
    lines, members = Lines(text), _Members(text)

    def locate(place: In) -> Point:
        path = place.path
        if places is None:
            key, value = members.place(path)
        else:
            while path not in places:
                path = path[:-1]
            key, value = places[path]
        return lines.point(key if place.key else value)

    return locate


class _Members:
    """Where the members of objects and lists stand in a text that is known to be strict JSON.

    Only what is asked for is looked into, each object or list once: the rest is skipped in C.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._known: dict[int, dict[str | int, tuple[int, int]]] = {}

    def place(self, path: Path) -> tuple[int, int]:
        """Offset of key and value at *path*, or at the longest part of it that is there."""
        start = self._space(0)
        found = (start, start)
        for step in path:
            inside = self._inside(found[1])
            if step not in inside:
                break
            found = inside[step]
        return found

    def _inside(self, at: int) -> dict[str | int, tuple[int, int]]:
        if at not in self._known:
            self._known[at] = dict(self._look(at))
        return self._known[at]

    def _look(self, at: int) -> Iterator[tuple[str | int, tuple[int, int]]]:
        text, opener = self._text, self._text[at]
        if opener not in "{[":
            return
        at, index = self._space(at + 1), 0
        while text[at] not in "}]":
            start = at
            name: str | int = index
            if opener == "{":
                name, at = _scan(text, at + 1, True)
                at = self._space(self._space(at) + 1)
            yield name, (start, at)
            at = self._space(_skip(text, at)[1])
            at = self._space(at + 1) if text[at] == "," else at
            index += 1

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at


class _Stop(Exception):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.problem.message)
        self.flaw = flaw


class _Scanner:
    """Reads JSON value by value and remembers where each was.

    Tokens of a template where a value should be (`{{port}}`) are taken as opaque strings, with a
    remark, or in a *final* text with an error; everything else that strict JSON does not know
    stops it, with its name.
    """

    def __init__(self, text: str, *, final: bool) -> None:
        self.text = text
        self._final = final
        self.places: Places = {}
        self.flaws: list[Flaw] = []
        self._point = Lines(text).point
        self._left = MAX_VALUES

    def document(self) -> Any:
        if self.text.startswith("\ufeff"):
            raise self._stop(0, "a byte order mark stands before the JSON", "save it without")
        start = self._space(0)
        value, end = self._value(start, (), 1)
        end = self._space(end)
        if end < len(self.text):
            raise self._stop(end, "there is something after the end of the JSON", "remove it")
        return value

    def _value(self, at: int, path: Path, depth: int) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise self._stop(at, f"values are nested deeper than {MAX_DEPTH} levels", "")
        self._left -= 1
        if self._left < 0:
            stop = self._stop(at, *TOO_MANY)
            raise _Stop(stop.flaw._replace(code="S005"))
        self.places.setdefault(path, (at, at))
        text = self.text
        if at >= len(text):
            what = "the file is empty" if at == 0 or not text.strip() else "the file ends too early"
            raise self._stop(at, what, "close what is still open: } and ]")
        char = text[at]
        if token := self._token(at):
            return token
        if char == "{":
            return self._object(at, path, depth)
        if char == "[":
            return self._array(at, path, depth)
        if char == '"':
            return self._string(at)
        if number := _NUMBER.match(text, at):
            return self._number(number), number.end()
        if word := _WORD.match(text, at):
            if word[0] in _LITERALS:
                return _LITERALS[word[0]], word.end()
            raise self._word(at, word[0])
        raise self._unexpected(at, "a value")

    def _number(self, found: "re.Match[str]") -> int | float:
        after = self.text[found.end() : found.end() + 1]
        if after and after not in ",]} \t\r\n":
            raise self._stop(found.start(), "this is no number", "write digits, or quote it")
        if re.search("[.eE]", found[0]):
            return float(found[0])
        if len(found[0]) > MAX_DIGITS:
            raise self._stop(found.start(), f"a number of {len(found[0])} digits", "shorten it")
        return int(found[0])

    def _object(self, at: int, path: Path, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        text, end = self.text, self._space(at + 1)
        if text[end : end + 1] == "}":
            return found, end + 1
        while True:
            if text[end : end + 1] != '"':
                raise self._unexpected(end, "a property name in double quotes")
            key_at = end
            key, end = self._string(end)
            end = self._space(end)
            if text[end : end + 1] != ":":
                raise self._unexpected(end, f'":" after "{key}"')
            value_at = self._space(end + 1)
            here = (*path, key)
            if key in found:
                self._twice(key, key_at, here)
            self.places[here] = (key_at, value_at)
            found[key], end = self._value(value_at, here, depth + 1)
            end, closed = self._next(end, at, "}")
            if closed:
                return found, end

    def _array(self, at: int, path: Path, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        end = self._space(at + 1)
        if self.text[end : end + 1] == "]":
            return found, end + 1
        while True:
            value, end = self._value(end, (*path, len(found)), depth + 1)
            found.append(value)
            end, closed = self._next(end, at, "]")
            if closed:
                return found, end

    def _next(self, at: int, opened: int, bracket: str) -> tuple[int, bool]:
        """Past a comma (and on to the next member) or past the closing bracket."""
        before, at = at, self._space(at)
        char = self.text[at : at + 1]
        if char == bracket:
            return at + 1, True
        if char != ",":
            if char == "" or char in "]}":
                what = "the file ends" if not char else f"{char} stands"
                opener = "{" if bracket == "}" else "["
                raise self._stop(
                    at,
                    f"{what} where {bracket} is needed",
                    f"write {bracket}",
                    also=(f"{opener} is opened on", opened),
                )
            if char in "/#":
                raise self._unexpected(at, "a comma")
            raise self._stop(
                at,
                "a comma is missing before this",
                "add it",
                also=("the value before it ends on", before),
            )
        comma, at = at, self._space(at + 1)
        if self.text[at : at + 1] == bracket:
            raise self._stop(
                comma,
                f"a comma before {bracket} is not allowed in JSON",
                "delete the comma",
                edit=(comma, ",", ""),
            )
        return at, False

    def _string(self, at: int) -> tuple[str, int]:
        try:
            value, end = _scan(self.text, at + 1, True)
        except ValueError as exc:
            position = getattr(exc, "pos", at)
            message = getattr(exc, "msg", str(exc))
            if "control character" in message:
                char = self.text[position : position + 1]
                what = (
                    "a line break"
                    if char in "\r\n"
                    else "a tab"
                    if char == "\t"
                    else "a control character"
                )
                raise self._stop(
                    position, f"{what} inside a string", r"write \n or \t, or close the string"
                ) from exc
            if "Unterminated" in message:
                raise self._stop(at, "this string never ends", 'close it with "') from exc
            raise self._stop(position, message[:1].lower() + message[1:], "") from exc
        if found := _SURROGATE.search(value):
            raise self._stop(
                at, f"a lone surrogate (\\u{ord(found[0]):04x}) is no character", "write the pair"
            )
        return value, end

    def _token(self, at: int) -> tuple[str, int] | None:
        """A template's token in the place of a value."""
        found = _TOKEN.match(self.text, at)
        if found is None:
            return None
        problem = Problem(
            self._point(at),
            f"{found[0]} stands where a value belongs: no JSON until a template engine replaces it",
            "quote it where it becomes a string",
        )
        severity = Severity.ERROR if self._final else Severity.INFO
        self.flaws.append(Flaw("G005", problem, severity))
        return found[0], found.end()

    def _twice(self, key: str, at: int, path: Path) -> None:
        if len(self.flaws) >= ENOUGH:
            return
        problem = Problem(
            self._point(at),
            f'"{key}" is given twice in one object: the last one wins silently',
            "delete one of the two",
            also=(("the first is on", self._point(self.places[path][0])),),
        )
        self.flaws.append(Flaw("G004", problem, Severity.WARNING))

    def _space(self, at: int) -> int:
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def _word(self, at: int, word: str) -> _Stop:
        if word in ("NaN", "Infinity"):
            return self._stop(at, f"{word} is no JSON number", "write a number or null")
        if word.lower() in ("true", "false", "null", "none"):
            right = {"none": "null"}.get(word.lower(), word.lower())
            return self._stop(
                at, f"JSON spells it {right}", f"write {right}", edit=(at, word, right)
            )
        return self._stop(at, f"a value without quotes: {word[:40]}", f'write "{word[:40]}"')

    def _unexpected(self, at: int, wanted: str) -> _Stop:
        char = self.text[at : at + 1]
        if comment := _COMMENT.match(self.text, at):
            return self._stop(
                at, "JSON has no comments", "delete the comment", edit=(at, comment[0], "")
            )
        if char == "#":
            return self._stop(at, "JSON has no comments", "delete the comment")
        if char in ("'", "’", "“", "”", "`"):
            return self._stop(at, f"{char} is no quote in JSON", 'use double quotes: "')
        if not char:
            return self._stop(at, "the file ends too early", "close what is still open: } and ]")
        if self._token(at):
            self.flaws.pop()
            return self._stop(at, "a template's directive stands here", "render it first")
        if word := _WORD.match(self.text, at):
            return self._stop(
                at, f"{wanted} is needed here, not {word[0][:40]}", f'write "{word[0]}"'
            )
        return self._stop(at, f"{wanted} is needed here, not {char}", "")

    def _stop(
        self,
        at: int,
        message: str,
        fix: str,
        *,
        edit: tuple[int, str, str] | None = None,
        also: tuple[str, int] | None = None,
    ) -> _Stop:
        place = self._point(at)
        places = ((also[0], self._point(also[1])),) if also else ()
        replacement = Replacement(self._point(edit[0]), edit[1], edit[2]) if edit else None
        return _Stop(Flaw("G003", Problem(place, message, fix, also=places, edit=replacement)))
