"""Templates and variables are UTF-8: the text of a file, or where it stops being one."""

import codecs

from devserver.model import Diagnostic, Position, Severity

_OTHERS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


def text_of(name: str, data: bytes) -> str | Diagnostic:
    """The text of the file *name*, without its byte order mark; S006 where it is no UTF-8 text."""
    for mark, encoding in _OTHERS:
        if data.startswith(mark):
            return _unreadable(name, f"the file is {encoding}", Position(name, 1, 1))
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        place = _place(name, data[: exc.start].decode())
        return _unreadable(
            name, f"byte 0x{data[exc.start]:02x} at offset {exc.start} is not UTF-8", place
        )
    if (at := text.find("\0")) >= 0:
        place = _place(name, text[:at])
        return _unreadable(name, f"a NUL at character {at}: this is no text", place)
    return text


def _place(name: str, before: str) -> Position:
    return Position(name, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _unreadable(name: str, what: str, position: Position) -> Diagnostic:
    return Diagnostic(
        code="S006",
        severity=Severity.ERROR,
        message=f"{name} cannot be read as text: {what}",
        position=position,
        fix="save the file as UTF-8",
    )
