"""A JAR as bytes: where its entries are, and whether it is one that may be deployed. Pure.

The directory is read once, as columns: of the twenty thousand entries of a large JAR only those
that are asked for become values. Format: PKWARE's APPNOTE.TXT 6.3, sections 4.3 and 4.5.3 (zip64).
`patch` makes copies.
"""

import re
import struct
import zlib
from collections import Counter
from collections.abc import KeysView
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

LARGEST: Final = 256 * 1024 * 1024
"""Bytes of a JAR that is patched: it is held in memory."""
MOST_ENTRIES: Final = 200_000
LARGEST_ENTRY: Final = 8 * 1024 * 1024
"""Bytes that one entry may unpack to when it is looked into."""

LOCAL = struct.Struct("<4s5H3I2H")
RECORD = struct.Struct("<4s6H3I5H2I")
END = struct.Struct("<4s4H2IH")
LOCATOR = struct.Struct("<4sIQI")
FULL, FULL16 = 0xFFFFFFFF, 0xFFFF
"""What stands where a number did not fit: it is in zip64's part then."""
STORED, DEFLATED = 0, 8
_END64 = struct.Struct("<4sQ2H2I4Q")
_COLUMNS = struct.Struct("<4s4xH10x2I3H8xI")
"""Of a record what every entry is looked at for: flags, both sizes, three lengths, the place."""
_ENCRYPTED = 0x1
_ENTRY = b"PK\x03\x04"
_ROOTS = ("/", "\\")

SIGNATURE = re.compile(r"META-INF/(?:[^/]+\.(?:SF|RSA|DSA|EC)|SIG-[^/]*)", re.IGNORECASE)
"""The files by which a JAR is signed."""
_CUT_OFF = "is cut off: its directory is not whole"


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why bytes cannot be used as a JAR, and what to do."""

    reason: str
    fix: str = "build it again"


class Entry(NamedTuple):
    """One entry: `start` to `end` is all of it but its `length` bytes at `record`.

    Those are its record in the directory; every place counts from the first byte.
    """

    name: str
    start: int
    end: int
    record: int
    length: int


class End(NamedTuple):
    """Where the directory is, and what stands behind it. `base`: bytes before the first entry."""

    start: int
    size: int
    base: int
    tail: bytes
    """From the end of the directory to the end of the file."""
    locator: int
    """Where zip64's locator stands in the tail; -1 where there is none."""


class Archive:
    """The directory of a JAR, read once; its entries are unpacked when they are asked for.

    *called*, *starts*, *ends* and *records* have an entry's facts at the same index, in the order
    of the file. *wide*: some of the numbers stand in zip64's extra fields.
    """

    def __init__(
        self,
        data: bytes,
        end: End,
        called: list[str],
        starts: list[int],
        ends: list[int],
        records: list[int],
        *,
        wide: bool,
    ) -> None:
        self.data = data
        self.end = end
        self.called = called
        self.starts = starts
        self.ends = ends
        self.records = records
        self.wide = wide

    @cached_property
    def index(self) -> dict[str, int]:
        """Where each name stands in the columns; of a name that is there twice, the last."""
        return {name: index for index, name in enumerate(self.called)}

    @property
    def names(self) -> KeysView[str]:
        return self.index.keys()

    @cached_property
    def twice(self) -> tuple[str, ...]:
        """The names that several entries have: which one counts is up to the reader."""
        if len(self.index) == len(self.called):
            return ()
        return tuple(name for name, count in Counter(self.called).items() if count > 1)

    @property
    def signature(self) -> tuple[str, ...]:
        """The entries by which it is signed."""
        inside = (each for each in self.names if each[:9].upper() == "META-INF/")
        return tuple(sorted(each for each in inside if SIGNATURE.fullmatch(each)))

    def entry(self, name: str) -> Entry | None:
        at = self.index.get(name)
        if at is None:
            return None
        record = self.records[at]
        fields = RECORD.unpack_from(self.data, record)
        length = RECORD.size + fields[10] + fields[11] + fields[12]
        return Entry(name, self.starts[at], self.ends[at], record, length)

    def read(self, name: str, limit: int = LARGEST_ENTRY) -> bytes | None:
        """What an entry holds; None where there is none, or none that can be unpacked so far."""
        found = self.entry(name)
        if found is None:
            return None
        fields = RECORD.unpack_from(self.data, found.record)
        at = found.record + RECORD.size + fields[10]
        extra = self.data[at : at + fields[11]]
        compressed, size, _ = _wide(extra, fields[8], fields[9], 0)
        if size > limit:
            return None
        header = LOCAL.unpack_from(self.data, found.start)
        begin = found.start + LOCAL.size + header[9] + header[10]
        packed = memoryview(self.data)[begin : begin + compressed]
        if fields[4] == STORED:
            return bytes(packed) if compressed == size else None
        if fields[4] != DEFLATED:
            return None
        try:
            return zlib.decompressobj(-15).decompress(packed, limit + 1)[:size]
        except zlib.error:
            return None


def parse(data: bytes) -> Archive | Unfit:
    """The JAR in *data*, or why it is none that may be deployed."""
    if len(data) > LARGEST:
        return Unfit(f"is larger than {LARGEST >> 20} MB", "build a smaller JAR")
    end = _find_end(data)
    if isinstance(end, Unfit):
        return end
    try:
        return _laid_out(data, end, _rows(data, end))
    except _Broken as broken:
        return broken.unfit
    except struct.error:
        return Unfit(_CUT_OFF)


_Row = tuple[int, str, int, int, bool]
"""Of an entry its place, name, packed size, its record's place, and whether that is zip64's."""


class _Broken(Exception):
    def __init__(self, reason: str, fix: str = "build it again") -> None:
        self.unfit = Unfit(reason, fix)


def _rows(data: bytes, end: End) -> list[_Row]:
    """The directory, in its own order. Raises _Broken, and struct.error where it is cut off."""
    at, stop, base = end.start, end.start + end.size, end.base
    unpack, head = _COLUMNS.unpack_from, RECORD.size
    rows: list[_Row] = []
    while at < stop:
        magic, flags, compressed, size, name, extra, comment, start = unpack(data, at)
        if magic != b"PK\x01\x02":
            raise _Broken("is broken: its directory holds something else")
        name_end = at + head + name
        called = data[at + head : name_end].decode("utf-8", "replace")
        if flags & _ENCRYPTED:
            raise _Broken(f"is encrypted ({called})", "build it without a password")
        if called[:1] in _ROOTS or (".." in called and _climbs(called)):
            raise _Broken(f"holds an entry outside its root: {called}")
        wide = start == FULL or compressed == FULL or size == FULL
        if wide:
            said = data[name_end : name_end + extra]
            compressed, _, start = _wide(said, compressed, size, start)
        rows.append((start + base, called, compressed, at, wide))
        if len(rows) > MOST_ENTRIES:
            raise _Broken(f"has more than {MOST_ENTRIES:,} entries", "build a smaller JAR")
        at = name_end + extra + comment
    if at != stop:
        raise _Broken(_CUT_OFF)
    return rows


def _laid_out(data: bytes, end: End, rows: list[_Row]) -> Archive:
    """The entries in the order of the file, each up to where the next one begins.

    What lies between two of them (a data descriptor, say) belongs to the first.
    """
    rows.sort()
    starts = [row[0] for row in rows]
    ends = [*starts[1:], end.start] if rows else []
    head, is_entry = LOCAL.size, data.startswith
    for (start, name, compressed, _, _), stop in zip(rows, ends, strict=True):
        if start < end.base or start + head + compressed > stop or not is_entry(_ENTRY, start):
            raise _Broken(f"is broken: {name} is not where the directory says")
    called, records = [row[1] for row in rows], [row[3] for row in rows]
    return Archive(data, end, called, starts, ends, records, wide=any(row[4] for row in rows))


def _climbs(name: str) -> bool:
    return ".." in name.replace("\\", "/").split("/")


def _find_end(data: bytes) -> End | Unfit:
    at = data.rfind(b"PK\x05\x06", max(0, len(data) - END.size - FULL16))
    if at < 0 or at + END.size > len(data):
        start = "is no JAR" if data[:2] != b"PK" else "is a JAR that is not whole"
        return Unfit(
            f"{start}: there is no directory at its end", "wait for the build, or repeat it"
        )
    _, disk, first, _, _, size, offset, _ = END.unpack_from(data, at)
    if disk or first:
        return Unfit("is one part of several")
    begin, locator = at, -1
    where = at - LOCATOR.size
    if where >= 0 and data[where : where + 4] == b"PK\x06\x07":
        begin = where - _END64.size
        if begin < 0 or data[begin : begin + 4] != b"PK\x06\x06":
            return Unfit("has a zip64 directory that cannot be found")
        size, offset = _END64.unpack_from(data, begin)[8:10]
        locator = _END64.size
    base = begin - size - offset
    if base < 0:
        return Unfit("is cut off: its directory is not where it says")
    return End(begin - size, size, base, data[begin:], locator)


def _wide(extra: bytes, compressed: int, size: int, start: int) -> tuple[int, int, int]:
    """The three numbers as zip64's extra field has them, in its order: only what did not fit."""
    at = zip64(extra)
    values = []
    for each in (size, compressed, start):
        if each == FULL and at is not None and at + 8 <= len(extra):
            values.append(struct.unpack_from("<Q", extra, at)[0])
            at += 8
        else:
            values.append(each)
    return values[1], values[0], values[2]


def zip64(extra: bytes) -> int | None:
    """Where the values of zip64's extra field begin."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return at + 4
        at += 4 + length
    return None
