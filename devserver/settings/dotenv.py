"""`.env` files, as far as they are ours: `UPM_DEV_*` names; everything else is passed over.

Lines are `NAME=value`, `export NAME=value`, `NAME="value"` with `\\n`, `\\"` and the like, or
`NAME='value'` as it stands. `#` begins a comment at the start of a line and after a blank. Nothing
is expanded: a `$` in a password is a `$`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>UPM_DEV_[A-Za-z0-9_.-]*)[ \t]*(?P<rest>.*)")
_LINES = re.compile(r"\r\n|\r|\n")  # splitlines() takes more for line ends, which a secret may hold
_VALUE = re.compile(
    r"""=[ \t]*(?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>[^']*)')[ \t]*(?:\#.*)?"""
    r"""|=(?P<bare>(?![ \t]*["'])(?:(?![ \t]\#).)*)(?:[ \t]\#.*)?"""
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Line:
    """One setting of a `.env` file; `value` is None where the line cannot be read."""

    name: str
    value: str | None = field(repr=False)
    line: int
    column: int


def read(text: str) -> Iterator[Line]:
    """Our lines of a `.env` file, in order."""
    for number, raw in enumerate(_LINES.split(text), 1):
        found = _LINE.fullmatch(raw)
        if found is None:
            continue
        value = _VALUE.fullmatch(found["rest"])
        yield Line(found["name"], _value(value) if value else None, number, found.start("name") + 1)


def _value(found: re.Match[str]) -> str:
    if (double := found["double"]) is not None:
        return re.sub(r"\\(.)", lambda each: _ESCAPES.get(each[1], each[1]), double)
    if (single := found["single"]) is not None:
        return single
    return found["bare"].strip()
