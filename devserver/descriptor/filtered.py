"""Whether a file of the sources may take the place of what the build made of it. Pure.

The build may have copied it, put in properties, minified it or made it anew: only in the first two
cases is what would be sent what a build would have made.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from devserver.descriptor.placeholders import PROPERTY, fill

MINIFIED = (".js", ".css")


class How(StrEnum):
    """What the build does with a file."""

    COPIED = "copied"
    FILTERED = "filtered"


def how(source: bytes, entry: bytes, properties: Mapping[str, str]) -> How | None:
    """What the build did with *source* to get *entry*; None: neither, or *source* is newer."""
    if entry == source:
        return How.COPIED
    return How.FILTERED if entry == made(source, How.FILTERED, properties) else None


def likely(name: str, source: bytes, entry: bytes, properties: Mapping[str, str]) -> How | None:
    """The same for a *source* that was edited since the build; None: the two have too little alike.

    A file that was minified or generated shares hardly a line with its source. XML is compared tag
    by tag: the SDK takes comments and white space out of it, and a host reads it all the same.
    """
    names = {found[1] for found in PROPERTY.finditer(_text(source)) if found[1] in properties}
    how = How.FILTERED if any(f"${{{name}}}" not in _text(entry) for name in names) else How.COPIED
    lines = _tags if name.endswith(".xml") else bytes.splitlines
    if lines is bytes.splitlines and source != entry and _bare(source) == _bare(entry):
        return None  # the same but for white space: that is what a minifier takes away
    mine = set(map(bytes.strip, lines(made(source, how, properties)))) - {b""}
    theirs = set(map(bytes.strip, lines(entry))) - {b""}
    if len(theirs) < 3 or len(mine) < 3:
        return how if len(theirs) * 3 >= len(mine) or len(mine) < 3 else None
    return how if 2 * len(mine & theirs) >= min(len(mine), len(theirs)) else None


def _bare(data: bytes) -> bytes:
    return b"".join(data.split())


def _tags(data: bytes) -> list[bytes]:
    """The tags and texts of XML, as the SDK's minifier would leave them."""
    first, *comments = data.split(b"<!--")  # a pattern would look for each one's end for ever
    without = first + b"".join(each.partition(b"-->")[2] for each in comments)
    spaced = (b" ".join(each.split()) for each in re.split(rb"(<[^<>]*>)", without))
    return [re.sub(rb" ?(/?>)$", rb"\1", each) for each in spaced]


def made(source: bytes, how: How, properties: Mapping[str, str]) -> bytes:
    """What the build would make of *source*."""
    if how is How.COPIED:
        return source
    return fill(_text(source), properties).encode("utf-8", "surrogateescape")


def twins(name: str) -> tuple[str, ...]:
    """The names under which the build puts a minified copy beside the file."""
    for ending in MINIFIED:
        if name.endswith(ending) and not name.endswith((f"-min{ending}", f".min{ending}")):
            stem = name.removesuffix(ending)
            return f"{stem}-min{ending}", f"{stem}.min{ending}"
    return ()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
