"""Read a plugin's JAR or OBR: its descriptor, within bounds (upm-protocol.md §8)."""

import io
import lzma
import zipfile
import zlib
from typing import IO

from lxml import etree

from devserver.simulator import refusal
from devserver.simulator.app import App, Kind
from devserver.simulator.artefact import parse_plugin, unknown_type
from devserver.simulator.refusal import Refusal

DESCRIPTOR = "atlassian-plugin.xml"
LARGEST_DESCRIPTOR = 8 * 1024 * 1024
LARGEST_INNER = 64 * 1024 * 1024
LARGEST_TOTAL = 2 * 1024 * 1024 * 1024
MOST_ENTRIES = 100_000
MOST_INNER = 100
"""Plugins in an OBR: each is unpacked in memory, one after the other."""


BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(OSError, ValueError, NotImplementedError, RuntimeError, EOFError),
)
"""What `zipfile` raises for bytes that are no archive, or one that it cannot unpack."""


def read(file: IO[bytes], kinds: tuple[str, ...]) -> App | Refusal:
    """The app in the JAR; a Refusal where it is none, or where it is a trap.

    Nothing is unpacked to disk: an entry whose name climbs out of the archive is refused because a
    host would have to, and one that unpacks to more than it says is cut off by `zipfile`.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive, kinds)
    except BROKEN:
        return _invalid()


def _read(archive: zipfile.ZipFile, kinds: tuple[str, ...]) -> App | Refusal:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES or sum(each.file_size for each in entries) > LARGEST_TOTAL:
        return refusal.install("install.failed", "The file unpacks to too much.")
    for each in entries:
        name = each.filename.replace("\\", "/")
        if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/") or "\0" in name:
            return refusal.install("install.failed", f"{each.filename!r} leaves the archive.")
    names = {each.filename for each in entries}
    if "obr.xml" in names:
        return _inner(archive, names, kinds)
    if Kind.JAR not in kinds:
        return unknown_type("A JAR")
    if DESCRIPTOR not in names:
        return _invalid()
    if archive.getinfo(DESCRIPTOR).file_size > LARGEST_DESCRIPTOR:
        return refusal.install("install.failed", "The descriptor is too large.")
    with archive.open(DESCRIPTOR) as entry:
        data = entry.read(LARGEST_DESCRIPTOR + 1)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError):
        return _invalid()
    if etree.QName(root).localname != "atlassian-plugin":
        return _invalid()
    signed = any(
        name.startswith("META-INF/") and name.upper().endswith((".SF", ".RSA")) for name in names
    )
    return parse_plugin(root, Kind.JAR, signed=signed)


def _inner(archive: zipfile.ZipFile, names: set[str], kinds: tuple[str, ...]) -> App | Refusal:
    """An OBR: a JAR that holds plugins. The first that is no dependency is the app."""
    if Kind.OBR not in kinds:
        return unknown_type("An OBR")
    inner = sorted(
        (name for name in names if name.endswith(".jar")), key=lambda name: (name.count("/"), name)
    )
    if len(inner) > MOST_INNER:
        return refusal.install("install.failed", "The OBR holds too many plugins.")
    for name in inner:
        if archive.getinfo(name).file_size > LARGEST_INNER:
            continue
        with archive.open(name) as entry, zipfile.ZipFile(io.BytesIO(entry.read())) as jar:
            if "obr.xml" not in jar.namelist():
                app = _read(jar, kinds)
                if isinstance(app, App):
                    return app
    return _invalid()


def _invalid() -> Refusal:
    return refusal.install(
        "install.failed", "Could not install the file. Check that the file is valid."
    )
