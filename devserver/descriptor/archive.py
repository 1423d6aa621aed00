"""A JAR as bytes: what it holds, and a copy of it in which a few entries are others. Pure.

Everything that is not replaced is copied as it stands, still compressed and in its place, with the
data descriptors, comments and extra fields it has; so a copy is as quick as memory allows and the
same each time. Format: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.3 (zip64).
"""

import re
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

LARGEST: Final = 256 * 1024 * 1024
"""Bytes of a JAR that is patched: it is held in memory twice."""
MOST_ENTRIES: Final = 200_000
LARGEST_ENTRY: Final = 8 * 1024 * 1024
"""Bytes that one entry may unpack to when it is looked into."""

_LOCAL = struct.Struct("<4s5H3I2H")
_RECORD = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_FULL, _FULL16 = 0xFFFFFFFF, 0xFFFF
_ENCRYPTED, _DESCRIPTOR, _UTF8 = 0x1, 0x8, 0x800
_STORED, _DEFLATED = 0, 8
_EPOCH = (0, 0x21)
"""DOS time and date of new entries: 1980-01-01, so that the same content is the same JAR."""

SIGNATURE = re.compile(r"META-INF/(?:[^/]+\.(?:SF|RSA|DSA|EC)|SIG-[^/]*)", re.IGNORECASE)
"""The files by which a JAR is signed."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why bytes cannot be used as a JAR, and what to do."""

    reason: str
    fix: str = "build it again"


class Entry(NamedTuple):
    """One entry; `start` to `end` is everything of it before the directory."""

    name: str
    flags: int
    method: int
    compressed: int
    size: int
    start: int
    end: int
    record: int
    """Where its record stands in the directory."""
    length: int
    """Bytes of that record."""


class Archive:
    """The directory of a JAR, read once; its entries are unpacked when they are asked for."""

    def __init__(self, data: bytes, entries: list[Entry], end: "_End") -> None:
        self.data = data
        self._entries = entries
        self._end = end

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(each.name for each in self._entries)

    @cached_property
    def _by_name(self) -> dict[str, Entry]:
        return {each.name: each for each in self._entries}

    @cached_property
    def twice(self) -> tuple[str, ...]:
        """The names that several entries have: which one counts is up to the reader."""
        counted = Counter(each.name for each in self._entries)
        return tuple(name for name, count in counted.items() if count > 1)

    @property
    def signature(self) -> tuple[str, ...]:
        """The entries by which it is signed."""
        return tuple(sorted(each for each in self.names if SIGNATURE.fullmatch(each)))

    def read(self, name: str, limit: int = LARGEST_ENTRY) -> bytes | None:
        """What an entry holds; None where there is none, or none that can be unpacked so far."""
        entry = self._by_name.get(name)
        if entry is None or entry.size > limit or entry.flags & _ENCRYPTED:
            return None
        header = _LOCAL.unpack_from(self.data, entry.start)
        begin = entry.start + _LOCAL.size + header[9] + header[10]
        packed = memoryview(self.data)[begin : begin + entry.compressed]
        if entry.method == _STORED:
            return bytes(packed)
        if entry.method != _DEFLATED:
            return None
        try:
            return zlib.decompressobj(-15).decompress(packed, limit + 1)[: entry.size]
        except zlib.error:
            return None

    def patched(
        self, replaced: Mapping[str, bytes], dropped: Collection[str] = ()
    ) -> bytes | Unfit:
        """A copy with these entries, new ones at its end, and without those that are *dropped*."""
        for name in replaced:
            if name in self.twice:
                return Unfit(f"holds {name} twice: which one counts is up to the reader")
        touched = frozenset(replaced) | frozenset(dropped)
        data = memoryview(self.data)
        first = self._end.start
        directory = bytearray(data[first : first + self._end.size])
        pieces: list[bytes | memoryview] = []
        records: dict[int, tuple[int, bytes]] = {}
        copied = shift = 0
        base = self._end.base
        for each in self._in_order:
            name, _, _, _, _, start, end, record, length = each
            if name not in touched:
                if shift:
                    _move(directory, record - first, start + shift - base)
                continue
            pieces.append(data[copied:start])
            copied = end
            local, new = b"", b""
            if name in replaced:
                fixed = _RECORD.unpack_from(directory, record - first)
                local, new = _made(
                    name,
                    replaced[name],
                    start + shift - base,
                    stamp=(fixed[5], fixed[6]),
                    attributes=(fixed[14], fixed[15]),
                    deflated=each.method != _STORED,
                )
                pieces.append(local)
            records[record - first] = (length, new)
            shift += len(local) - (end - start)
        pieces.append(data[copied:first])
        at = first + shift
        added = b""
        for name in sorted(replaced.keys() - self.names):
            local, new = _made(name, replaced[name], at - base)
            pieces.append(local)
            added += new
            at += len(local)
        listed = b"".join(_exchanged(directory, records)) + added
        gone = sum(not new for _, new in records.values())
        count = len(self._entries) - gone + len(replaced.keys() - self.names)
        end_of_file = self._end.moved(count, len(listed), at)
        if end_of_file is None:
            return Unfit("has as many entries as a JAR can have without zip64: none can be added")
        return b"".join([*pieces, listed, end_of_file])

    @cached_property
    def _in_order(self) -> list[Entry]:
        """The entries as they follow one another in the file."""
        return sorted(self._entries, key=lambda entry: entry.start)


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


class _End(NamedTuple):
    """Where the directory is, and what stands behind it. `base`: bytes before the first entry."""

    start: int
    size: int
    base: int
    tail: bytes
    """From the end of the directory to the end of the file."""
    locator: int
    """Where zip64's locator stands in the tail; -1 where there is none."""

    def moved(self, count: int, size: int, start: int) -> bytes | None:
        """The tail for a directory that is elsewhere now; None where it cannot say so."""
        tail = bytearray(self.tail)
        offset = start - self.base
        if self.locator >= 0:
            struct.pack_into("<4Q", tail, 24, count, count, size, offset)
            struct.pack_into("<Q", tail, self.locator + 8, start - self.base + size)
            at = self.locator + _LOCATOR.size
        else:
            at = 0
        fields = list(_END.unpack_from(tail, at))
        for index, value, full in ((3, count, _FULL16), (4, count, _FULL16), (5, size, _FULL),
                                   (6, offset, _FULL)):  # fmt: skip
            if self.locator >= 0 and fields[index] == full:
                continue
            if value >= full:
                return None
            fields[index] = value
        _END.pack_into(tail, at, *fields)
        return bytes(tail)


def parse(data: bytes) -> Archive | Unfit:
    """The JAR in *data*, or why it is none that may be deployed."""
    if len(data) > LARGEST:
        return Unfit(f"is larger than {LARGEST >> 20} MB", "build a smaller JAR")
    end = _find_end(data)
    if isinstance(end, Unfit):
        return end
    entries = _entries(data, end)
    if isinstance(entries, Unfit):
        return entries
    return Archive(data, entries, end)


def _entries(data: bytes, end: _End) -> list[Entry] | Unfit:
    raw: list[tuple[str, int, int, int, int, int, int, int]] = []
    try:
        for each in _records(data, end):
            if isinstance(each, Unfit):
                return each
            raw.append(each)
            if len(raw) > MOST_ENTRIES:
                return Unfit(f"has more than {MOST_ENTRIES:,} entries", "build a smaller JAR")
    except struct.error:
        return Unfit("is cut off: its directory is not whole")
    # What lies between two entries (a data descriptor, say) belongs to the first of them.
    order = sorted(range(len(raw)), key=lambda index: raw[index][5])
    ends = [0] * len(raw)
    limit = end.start
    for index in reversed(order):
        name, _, _, compressed, _, start, _, _ = raw[index]
        if start < end.base or start + _LOCAL.size + compressed > limit:
            return Unfit(f"is broken: {name} is not where the directory says")
        if data[start : start + 4] != b"PK\x03\x04":
            return Unfit(f"is broken: {name} is not where the directory says")
        ends[index] = limit
        limit = start
    return [
        Entry(name, flags, method, compressed, size, start, stop, record, length)
        for (name, flags, method, compressed, size, start, record, length), stop in zip(
            raw, ends, strict=True
        )
    ]


def _records(
    data: bytes, end: _End
) -> Iterator[tuple[str, int, int, int, int, int, int, int] | Unfit]:
    at, stop = end.start, end.start + end.size
    unpack, size_of = _RECORD.unpack_from, _RECORD.size
    while at < stop:
        fields = unpack(data, at)
        if fields[0] != b"PK\x01\x02":
            yield Unfit("is broken: its directory holds something else")
            return
        flags, method, compressed, size = fields[3], fields[4], fields[8], fields[9]
        start = fields[16]
        name_end = at + size_of + fields[10]
        name = data[at + size_of : name_end].decode("utf-8", "replace")
        if flags & _ENCRYPTED:
            yield Unfit(f"is encrypted ({name})", "build it without a password")
            return
        if name.startswith("/") or (".." in name and ".." in name.replace("\\", "/").split("/")):
            yield Unfit(f"holds an entry outside its root: {name}")
            return
        if _FULL in (compressed, size, start):
            compressed, size, start = _wide(
                data[name_end : name_end + fields[11]], compressed, size, start
            )
        after = name_end + fields[11] + fields[12]
        yield name, flags, method, compressed, size, start + end.base, at, after - at
        at = after
    if at != stop:
        yield Unfit("is cut off: its directory is not whole")


def _find_end(data: bytes) -> _End | Unfit:
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - _END.size - _FULL16))
    if at < 0 or at + _END.size > len(data):
        start = "is no JAR" if data[:2] != b"PK" else "is a JAR that is not whole"
        return Unfit(
            f"{start}: there is no directory at its end", "wait for the build, or repeat it"
        )
    _, disk, first, _, _, size, offset, _ = _END.unpack_from(data, at)
    if disk or first:
        return Unfit("is one part of several")
    begin, locator = at, -1
    where = at - _LOCATOR.size
    if where >= 0 and data[where : where + 4] == b"PK\x06\x07":
        begin = where - _END64.size
        if begin < 0 or data[begin : begin + 4] != b"PK\x06\x06":
            return Unfit("has a zip64 directory that cannot be found")
        size, offset = _END64.unpack_from(data, begin)[8:10]
        locator = _END64.size
    base = begin - size - offset
    if base < 0:
        return Unfit("is cut off: its directory is not where it says")
    return _End(begin - size, size, base, data[begin:], locator)


def _wide(extra: bytes, compressed: int, size: int, start: int) -> tuple[int, int, int]:
    """The three fields as zip64's extra field has them, in its order: only what did not fit."""
    at = _zip64(extra)
    values = []
    for each in (size, compressed, start):
        if each == _FULL and at is not None and at + 8 <= len(extra):
            values.append(struct.unpack_from("<Q", extra, at)[0])
            at += 8
        else:
            values.append(each)
    return values[1], values[0], values[2]


def _zip64(extra: bytes) -> int | None:
    """Where the values of zip64's extra field begin."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return at + 4
        at += 4 + length
    return None


def _move(directory: bytearray, where: int, offset: int) -> None:
    """Have the record at *where* say that its entry stands at *offset*."""
    if directory[where + 42 : where + 46] != b"\xff\xff\xff\xff":
        struct.pack_into("<I", directory, where + 42, offset)
        return
    fields = _RECORD.unpack_from(directory, where)
    begin = where + _RECORD.size + fields[10]
    at = _zip64(bytes(directory[begin : begin + fields[11]])) or 0
    at += 8 * [fields[8], fields[9]].count(_FULL)
    struct.pack_into("<Q", directory, begin + at, offset)


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
    method = _DEFLATED if deflated else _STORED
    common = (20, flags, method, *stamp, zlib.crc32(content), len(packed), len(content), len(path))
    local = _LOCAL.pack(b"PK\x03\x04", *common, 0) + path + packed
    record = _RECORD.pack(b"PK\x01\x02", 20, *common, 0, 0, 0, *attributes, offset) + path
    return local, record
