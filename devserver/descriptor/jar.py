"""What is in a plugin's JAR or OBR: its descriptors, its manifest, and whether it can be deployed.

Only the directory and the few entries that are asked for are read, bounded; nothing is unpacked.
"""

import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO

from devserver.descriptor.project import Project
from devserver.descriptor.properties import property_names
from devserver.model import Diagnostic, Position, Severity

DESCRIPTOR = "atlassian-plugin.xml"
REMOTE_DESCRIPTOR = "atlassian-remote-app.xml"
CONNECT_DESCRIPTOR = "atlassian-connect.json"
MANIFEST = "META-INF/MANIFEST.MF"
SCANNED = "META-INF/plugin-descriptors"
LIMIT = 8 * 1024 * 1024
"""Bytes of one entry that are unpacked."""
MAX_UNPACKED = 32 * 1024 * 1024
"""Bytes that are unpacked of all the entries of one JAR."""
MAX_ENTRIES = 200_000
MAX_NESTED = 64 * 1024 * 1024
"""Bytes of a JAR inside an OBR."""
UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OSError,
)
"""What zipfile raises for an archive that is broken, encrypted or packed in another way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """The parts of a JAR that matter here.

    `descriptors` maps the names of its descriptors to their bytes, the main one first; `names` are
    all its entries; `labels` is None where they are too many to be read.
    """

    name: str
    names: frozenset[str]
    descriptors: Mapping[str, bytes]
    manifest: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, frozenset[str]] | None = field(default_factory=dict)

    @property
    def classes(self) -> frozenset[str]:
        """Fully qualified names of the classes in it."""
        return frozenset(
            each.removesuffix(".class").replace("/", ".")
            for each in self.names
            if each.endswith(".class") and not each.startswith("META-INF/")
        )

    @property
    def bundle(self) -> bool:
        """It has an OSGi manifest of its own."""
        return "Bundle-SymbolicName" in self.manifest

    @property
    def transformerless(self) -> bool:
        return "Atlassian-Plugin-Key" in self.manifest

    @property
    def scan_folders(self) -> tuple[str, ...]:
        """Where further descriptors are looked for: `Atlassian-Scan-Folders`."""
        value = self.manifest.get("Atlassian-Scan-Folders", "")
        return tuple(each.strip().strip("/") for each in value.split(",") if each.strip())


def read(file: IO[bytes], name: str) -> tuple[tuple[Jar, ...], tuple[Diagnostic, ...]]:
    """The JARs with a descriptor in *file*, a JAR or an OBR, and what is wrong with it as such."""
    try:
        with zipfile.ZipFile(file) as archive:
            return _read(archive, name)
    except UNREADABLE as exc:
        what = "is encrypted" if "password" in str(exc) else f"is no readable JAR: {exc}"
        return (), (_diagnostic("G010", Severity.ERROR, f"{name} {what}", name, "build it again"),)


def _read(archive: zipfile.ZipFile, name: str) -> tuple[tuple[Jar, ...], tuple[Diagnostic, ...]]:
    infos = archive.infolist()
    found: list[Diagnostic] = []
    if len(infos) > MAX_ENTRIES:
        words = f"{name} has {len(infos)} entries: {MAX_ENTRIES} are read at most"
        return (), (_diagnostic("G010", Severity.ERROR, words, name),)
    names = [each.filename for each in infos]
    for each in names:
        if each.startswith("/") or ".." in each.split("/"):
            words = f"{name} holds an entry outside its root: {each}"
            found.append(_diagnostic("G010", Severity.ERROR, words, name, "build it again"))
            break
    if twice := next((each for each, count in Counter(names).items() if count > 1), None):
        words = f"{name} holds {twice} twice: which one counts is up to the reader"
        found.append(_diagnostic("G010", Severity.WARNING, words, name, "build it again"))
    nested = [each for each in infos if each.filename.endswith(".jar") and "/" not in each.filename]
    if name.endswith(".obr") or ("obr.xml" in names and nested):
        return _obr(archive, name, nested, found)
    jar = _jar(archive, name, found)
    found += _deployable(jar)
    return ((jar,) if jar.descriptors else ()), tuple(found)


def _obr(
    archive: zipfile.ZipFile,
    name: str,
    nested: list[zipfile.ZipInfo],
    found: list[Diagnostic],
) -> tuple[tuple[Jar, ...], tuple[Diagnostic, ...]]:
    """An OBR is a ZIP of the plugin's JAR and, below dependencies/, of those it needs."""
    jars: list[Jar] = []
    for info in nested:
        if info.file_size > MAX_NESTED:
            words = f"{name}!/{info.filename} is too large to be looked into"
            found.append(_diagnostic("G010", Severity.WARNING, words, name))
            continue
        with zipfile.ZipFile(BytesIO(archive.read(info))) as inner:
            jar = _jar(inner, f"{name}!/{info.filename}", found)
            found += _deployable(jar)
            if jar.descriptors:
                jars.append(jar)
    if len(jars) > 1:
        words = f"{name} has {len(jars)} plugins at its root: UPM deploys one"
        fix = "put what the plugin needs below dependencies/"
        found.append(_diagnostic("G010", Severity.WARNING, words, name, fix))
    if not nested:
        words = f"{name} is an OBR without a JAR at its root"
        found.append(_diagnostic("G010", Severity.ERROR, words, name, "build it again"))
    return tuple(jars), tuple(found)


class _Entries:
    """The entries of a JAR, unpacked where they are asked for, all together not too large."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.names = frozenset(archive.namelist())
        self._archive = archive
        self._left = MAX_UNPACKED

    def read(self, entry: str) -> bytes | None:
        """The bytes of an entry, none where there is no such; None where they are too many."""
        if entry not in self.names:
            return b""
        limit = min(LIMIT, self._left)
        with self._archive.open(entry) as stream:
            data = stream.read(limit + 1)
        self._left = max(0, self._left - len(data))
        return data if len(data) <= limit else None


def _jar(archive: zipfile.ZipFile, name: str, found: list[Diagnostic]) -> Jar:
    """The JAR called *name*; what is wrong with its entries is added to *found*."""
    entries = _Entries(archive)
    names = entries.names
    manifest = parse_manifest(entries.read(MANIFEST) or b"")
    scanned = {
        each.strip().strip("/") for each in manifest.get("Atlassian-Scan-Folders", "").split(",")
    }
    wanted = [each for each in (DESCRIPTOR, REMOTE_DESCRIPTOR, CONNECT_DESCRIPTOR) if each in names]
    wanted += [
        each
        for each in sorted(names)
        if each.endswith(".xml") and each.rpartition("/")[0] in scanned and each not in wanted
    ]
    descriptors: dict[str, bytes] = {}
    for each in wanted:
        data = entries.read(each)
        if data is None:
            words = f"{name}!/{each} is too large: {LIMIT >> 20} MB are read, and of all"
            words += f" descriptors together {MAX_UNPACKED >> 20} MB"
            found.append(_diagnostic("S005", Severity.ERROR, words, name, "make it smaller"))
            continue
        descriptors[each] = data
    return Jar(
        name=name, names=names, descriptors=descriptors, manifest=manifest, labels=_labels(entries)
    )


def _labels(entries: _Entries) -> Mapping[str, frozenset[str]] | None:
    """The keys of its .properties; None where they are too many: half would be misleading."""
    labels: dict[str, frozenset[str]] = {}
    for each in sorted(entries.names):
        if not each.endswith(".properties") or each.startswith("META-INF/"):
            continue
        data = entries.read(each)
        if data is None:
            return None
        labels[each.removesuffix(".properties").replace("/", ".")] = property_names(data)
    return labels


def parse_manifest(data: bytes) -> dict[str, str]:
    """The main section of a MANIFEST.MF; a line that starts with a blank goes on with the last."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    unfolded = text.partition("\n\n")[0].replace("\n ", "")
    pairs = (line.partition(":") for line in unfolded.split("\n"))
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def _deployable(jar: Jar) -> list[Diagnostic]:
    """What an upload would be refused for: no descriptor at the root of the JAR."""
    if jar.descriptors or jar.bundle or DESCRIPTOR in jar.names:
        return []
    elsewhere = sorted(each for each in jar.names if each.endswith(f"/{DESCRIPTOR}"))
    fix = "put it at the root: src/main/resources/atlassian-plugin.xml"
    what = f": it is in {elsewhere[0]}" if elsewhere else ""
    words = f"{jar.name} has no {DESCRIPTOR} at its root{what}"
    return [_diagnostic("G007", Severity.ERROR, words, jar.name, fix)]


def project(jar: Jar) -> Project:
    """What the JAR says of itself, for the rules that look beside the descriptor."""
    classes = jar.classes
    return Project(
        labels=jar.labels,
        classes=classes,
        packages=frozenset(each.rpartition(".")[0] for each in classes),
        resources=jar.names,
        transformerless=jar.transformerless,
        scanned=bool(jar.scan_folders),
        imports=jar.manifest.get("Import-Package") if jar.bundle else None,
    )


def _diagnostic(
    code: str, severity: Severity, message: str, name: str, fix: str = ""
) -> Diagnostic:
    return Diagnostic(
        code=code, severity=severity, message=message, position=Position(name), fix=fix
    )
