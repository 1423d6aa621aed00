"""From bytes to text: encodings, byte order marks, and where a byte is wrong."""

import codecs
import re

from devserver.descriptor.document import Flaw, Point, Problem
from devserver.model import Severity

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
_DECLARED_TEXT = re.compile(
    r"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']"""
)
LINE_BREAK = re.compile(r"\r\n|\r|\n")
_NUL = "\x00"


def decode(data: bytes, *, xml: bool) -> tuple[str | None, tuple[Flaw, ...]]:
    """The text of *data* without its byte order mark, and what is odd about its encoding.

    None where it cannot be read: then one of the flaws is an error that says which byte.
    """
    encoding, flaws = "utf-8", []
    for mark, name in _MARKS:
        if data.startswith(mark):
            encoding, data = name, data[len(mark) :]
            flaws.append(
                _remark(f"the file starts with a byte order mark ({name})", "save it without")
            )
            break
    else:
        if data[:2] in (b"<\x00", b"\x00<", b"{\x00", b"\x00{"):
            encoding = "utf-16-be" if data[:1] == b"\x00" else "utf-16-le"
        elif xml and (found := _DECLARED.match(data)):
            declared = found[1].decode()
            try:
                encoding = codecs.lookup(declared).name
            except LookupError:
                column = found.start(1) - (data.rfind(b"\n", 0, found.start(1)) + 1) + 1
                line = data.count(b"\n", 0, found.start(1)) + 1
                return None, (_error(f'unknown encoding "{declared}"', Point(line, column)),)
    if not encoding.startswith(("utf-16", "utf-32")) and encoding not in ("utf-8", "ascii"):
        flaws.append(_remark(f"the file is declared as {encoding}", "save it as UTF-8"))
    elif encoding.startswith(("utf-16", "utf-32")) and len(flaws) == 0:
        flaws.append(_remark(f"the file is {encoding}", "save it as UTF-8"))
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
    if xml and encoding in ("utf-8", "ascii") and (found_text := _DECLARED_TEXT.match(text)):
        declared = found_text[1].lower()
        if declared not in ("utf-8", "utf8", "us-ascii", "ascii") and data[:1] == b"<":
            flaws += _mismatch(declared, encoding, point_of(text, found_text.start(1)))
    return text, tuple(flaws)


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


def _mismatch(declared: str, encoding: str, at: Point) -> list[Flaw]:
    if codecs.lookup(declared).name == encoding:
        return []
    problem = Problem(
        at, f"declared as {declared}, but the bytes are {encoding}", "declare UTF-8"
    )
    return [Flaw("G006", problem, Severity.INFO)]


def _remark(message: str, fix: str) -> Flaw:
    return Flaw("G006", Problem(Point(1, 1), message, fix), Severity.INFO)


def _error(message: str, at: Point) -> Flaw:
    return Flaw("G006", Problem(at, message, "save the file as UTF-8"), Severity.ERROR)
