"""A copy of a JAR in which a few entries are others. Pure.

Everything that is not replaced is copied as it stands, still compressed and in its place, with the
data descriptors, comments and extra fields it has. The copy is not even put together: it is pieces
of the old bytes with new ones between them, so a large JAR costs neither memory nor time, and the
same content is the same JAR each time.
"""

import hashlib
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from devserver.descriptor.archive import (
    DEFLATED,
    END,
    FULL,
    FULL16,
    LOCAL,
    LOCATOR,
    RECORD,
    STORED,
    Archive,
    End,
    Unfit,
    zip64,
)

_UTF8 = 0x800
_EPOCH = (0, 0x21)
"""DOS time and date of new entries: 1980-01-01, so that the same content is the same JAR."""
_OFFSET = 42
"""Where a record says at which place its entry stands."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes that are not put together: they are written, sent and digested one after the other."""

    parts: tuple[memoryview, ...]

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal."""
        made = hashlib.sha256()
        for each in self.parts:
            made.update(each)
        return made.hexdigest()

    def __iter__(self) -> Iterator[memoryview]:
        """At most a mebibyte at a time."""
        for each in self.parts:
            for at in range(0, len(each), _MIB):
                yield each[at : at + _MIB]

    def __bytes__(self) -> bytes:
        return b"".join(self.parts)


def patched(
    archive: Archive, replaced: Mapping[str, bytes], dropped: Collection[str] = ()
) -> Pieces | Unfit:
    """A copy with these entries, new ones at its end, and without those that are *dropped*."""
    for name in replaced:
        if name in archive.twice:
            return Unfit(f"holds {name} twice: which one counts is up to the reader")
    data, first, base = memoryview(archive.data), archive.end.start, archive.end.base
    directory = bytearray(data[first : first + archive.end.size])
    parts: list[bytes | memoryview] = []
    records: dict[int, tuple[int, bytes]] = {}
    copied = shift = moved = 0
    touched = {*replaced, *dropped} & archive.names
    for index in sorted(archive.index[name] for name in touched):
        each = archive.entry(archive.called[index])
        assert each is not None
        _move(archive, directory, moved, index, shift)
        parts.append(data[copied : each.start])
        local, new = b"", b""
        if each.name in replaced:
            fixed = RECORD.unpack_from(archive.data, each.record)
            local, new = _made(
                each.name,
                replaced[each.name],
                each.start + shift - base,
                stamp=(fixed[5], fixed[6]),
                attributes=(fixed[14], fixed[15]),
                deflated=fixed[4] != STORED,
            )
            parts.append(local)
        records[each.record - first] = (each.length, new)
        shift += len(local) - (each.end - each.start)
        copied, moved = each.end, index + 1
    _move(archive, directory, moved, len(archive.called), shift)
    parts.append(data[copied:first])
    at, added = first + shift, b""
    fresh = sorted(replaced.keys() - archive.names)
    for name in fresh:
        local, new = _made(name, replaced[name], at - base)
        parts.append(local)
        added += new
        at += len(local)
    gone = sum(not new for _, new in records.values())
    listed = [*_exchanged(directory, records), added]
    count = len(archive.called) - gone + len(fresh)
    tail = _tail(archive.end, count, sum(map(len, listed)), at)
    if tail is None:
        return Unfit("has as many entries as a JAR can have without zip64: none can be added")
    return Pieces(tuple(memoryview(each) for each in (*parts, *listed, tail) if each))


def _move(archive: Archive, directory: bytearray, begin: int, end: int, shift: int) -> None:
    """Have the records of the entries from *begin* to *end* say that these stand elsewhere."""
    if not shift:
        return
    by, at = shift - archive.end.base, _OFFSET - archive.end.start
    starts, records = archive.starts[begin:end], archive.records[begin:end]
    put = struct.Struct("<I").pack_into
    for start, record in zip(starts, records, strict=True):
        if archive.wide and directory[record + at : record + at + 4] == b"\xff\xff\xff\xff":
            _move_wide(directory, record - archive.end.start, start + by)
        else:
            put(directory, record + at, start + by)


def _move_wide(directory: bytearray, record: int, offset: int) -> None:
    """The same where zip64's extra field has the place."""
    fields = RECORD.unpack_from(directory, record)
    begin = record + RECORD.size + fields[10]
    at = zip64(bytes(directory[begin : begin + fields[11]])) or 0
    at += 8 * [fields[8], fields[9]].count(FULL)
    struct.pack_into("<Q", directory, begin + at, offset)


def _exchanged(
    directory: bytearray, records: Mapping[int, tuple[int, bytes]]
) -> Iterator[bytes | memoryview]:
    """The directory with these of its records, by where they begin, exchanged."""
    view = memoryview(directory)
    copied = 0
    for at, (length, new) in sorted(records.items()):
        yield view[copied:at]
        yield new
        copied = at + length
    yield view[copied:]


def _tail(end: End, count: int, size: int, start: int) -> bytes | None:
    """What follows a directory that is elsewhere now; None where it cannot say so."""
    tail = bytearray(end.tail)
    offset, at = start - end.base, 0
    if end.locator >= 0:
        struct.pack_into("<4Q", tail, 24, count, count, size, offset)
        struct.pack_into("<Q", tail, end.locator + 8, start - end.base + size)
        at = end.locator + LOCATOR.size
    fields = list(END.unpack_from(tail, at))
    limits = ((3, count, FULL16), (4, count, FULL16), (5, size, FULL), (6, offset, FULL))
    for index, value, full in limits:
        if end.locator >= 0 and fields[index] == full:
            continue
        if value >= full:
            return None
        fields[index] = value
    END.pack_into(tail, at, *fields)
    return bytes(tail)


def _made(
    name: str,
    content: bytes,
    offset: int,
    *,
    stamp: tuple[int, int] = _EPOCH,
    attributes: tuple[int, int] = (0, 0),
    deflated: bool = True,
) -> tuple[bytes, bytes]:
    """A new entry, and its record."""
    path = name.encode("utf-8")
    flags = 0 if name.isascii() else _UTF8
    packed = content
    if deflated:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(content) + packer.flush()
    method = DEFLATED if deflated else STORED
    common = (20, flags, method, *stamp, zlib.crc32(content), len(packed), len(content), len(path))
    local = LOCAL.pack(b"PK\x03\x04", *common, 0) + path + packed
    record = RECORD.pack(b"PK\x01\x02", 20, *common, 0, 0, 0, *attributes, offset) + path
    return local, record
