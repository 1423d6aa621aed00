"""From bytes to text: encodings, byte order marks, and where a byte is wrong."""

import codecs
import re
from bisect import bisect_right
from functools import cached_property

from devserver.descriptor.document import Flaw, Point, Problem
from devserver.model import Severity

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']"""
)
_DECLARED_TEXT = re.compile(
    r"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']"""
)
LINE_BREAK = re.compile(r"\r\n|\r|\n")
_NUL = "\x00"


def decode(data: bytes, *, xml: bool) -> tuple[str | None, tuple[Flaw, ...]]:
    """The text of *data* without its byte order mark, and what is odd about its encoding.

    None where it cannot be read: then one of the flaws is an error that says which byte.
    """
    encoding, data, flaws = _encoding(data, xml)
    if encoding is None:
        return None, flaws
    try:
        text = data.decode(encoding)
    except (UnicodeError, ValueError) as exc:
        start = getattr(exc, "start", 0)
        before = data[:start].decode(encoding, "replace")
        what = f"byte 0x{data[start]:02x} at offset {start}" if start < len(data) else "the end"
        return None, (_error(f"{what} is not {encoding}", point_of(before, len(before))),)
    except LookupError:  # a codec of bytes to bytes ("hex", "zlib") is no text encoding
        return None, (_error(f'"{encoding}" is no encoding of text', Point(1, 1)),)
    if (nul := text.find(_NUL)) >= 0:
        return None, (
            _error("the file holds a NUL character: it is not a text", point_of(text, nul)),
        )
    return text, flaws


def _encoding(data: bytes, xml: bool) -> tuple[str | None, bytes, tuple[Flaw, ...]]:
    """How to decode what follows the byte order mark; None where the declaration makes no sense."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            remark = _remark(f"the file starts with a byte order mark ({name})", "save it without")
            return name, data[len(mark) :], (remark,)
    if data[:2] in (b"<\x00", b"\x00<", b"{\x00", b"\x00{"):
        name = "utf-16-be" if data[:1] == b"\x00" else "utf-16-le"
        return name, data, (_remark(f"the file is {name}", "save it as UTF-8"),)
    found = _DECLARED.match(data) if xml else None
    if found is None:
        return "utf-8", data, ()
    declared = found[1].decode()
    before = data[: found.start(1)].decode("ascii", "replace")
    try:
        name = codecs.lookup(declared).name
    except LookupError:
        flaw = _error(f'unknown encoding "{declared}"', point_of(before, len(before)))
        return None, data, (flaw,)
    if name in ("utf-8", "ascii"):
        return "utf-8", data, ()
    if name.startswith(("utf-16", "utf-32")):  # it could not have been read so far if it were
        message = f"declared as {declared}, but the bytes are not"
        flaw = _error(message, point_of(before, len(before)))
        return None, data, (flaw,)
    return name, data, (_remark(f"the file is declared as {declared}", "save it as UTF-8"),)


def encoding_of(text: str) -> str:
    """The encoding that an XML text declares for itself; UTF-8 where it does not, or lies."""
    found = _DECLARED_TEXT.match(text)
    try:
        return codecs.lookup(found[1]).name if found else "utf-8"
    except LookupError:
        return "utf-8"


def point_of(text: str, offset: int) -> Point:
    """Line and column of an offset in code points."""
    line, start = 1, 0
    for found in LINE_BREAK.finditer(text, 0, offset):
        if found.end() > offset:
            break
        line, start = line + 1, found.end()
    return Point(line, offset - start + 1)


class Lines:
    """Where a text's lines start: for many offsets of it, each found without reading it again."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(found.end() for found in LINE_BREAK.finditer(self._text))]

    def point(self, offset: int) -> Point:
        """Line and column of an offset in code points."""
        line = bisect_right(self._starts, offset)
        return Point(line, offset - self._starts[line - 1] + 1)


def _remark(message: str, fix: str) -> Flaw:
    return Flaw("G006", Problem(Point(1, 1), message, fix), Severity.INFO)


def _error(message: str, at: Point) -> Flaw:
    return Flaw("G006", Problem(at, message, "save the file as UTF-8"), Severity.ERROR)
