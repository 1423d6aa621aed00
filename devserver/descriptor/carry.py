"""What a descriptor that is exchanged inside a JAR cannot carry: told before it is sent. Pure.

What a host does with a new descriptor in an old JAR depends on the JAR's manifest
(descriptor-formats.md §2.1, upm-protocol.md §2.8):

- none of OSGi: the host makes the manifest, so everything counts;
- OSGi without `Atlassian-Plugin-Key`: the host adds imports for classes, but no instructions;
- with it (transformerless): what the build did not import, no module can use.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from devserver.descriptor.archive import Archive, Unfit, parse
from devserver.descriptor.document import Element, Place, Problem, XmlDocument, opaque
from devserver.descriptor.jar import DESCRIPTOR, MANIFEST, parse_manifest
from devserver.descriptor.placeholders import PROPERTY
from devserver.descriptor.xml import parse_bytes
from devserver.model import Severity

BUILD_FIRST = "build it first: atlas-package (mvn package); the new JAR is picked up by itself"
LARGEST_NESTED = 64 * 1024 * 1024
"""Bytes of the JARs inside it, together, that are looked into."""
_CLASS = re.compile(r"[A-Za-z_$][\w$]*(?:\.[A-Za-z_$][\w$]*)+")


class Manifest(StrEnum):
    """Who makes the bundle's manifest."""

    HOST = "host"
    BUNDLE = "bundle"
    TRANSFORMERLESS = "transformerless"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What is known of the JAR that the build has made. `classes` has those of nested JARs too."""

    classes: frozenset[str]
    packages: frozenset[str]
    """The packages of its own classes."""
    manifest: Mapping[str, str]
    root: Element
    """Of its descriptor."""
    signed: bool

    @property
    def kind(self) -> Manifest:
        if "Atlassian-Plugin-Key" in self.manifest:
            return Manifest.TRANSFORMERLESS
        return Manifest.BUNDLE if "Bundle-SymbolicName" in self.manifest else Manifest.HOST


def built(archive: Archive) -> Built | Unfit:
    """What *archive* is as a plugin; Unfit where no host would take it for one."""
    if DESCRIPTOR not in archive.names:
        if "obr.xml" in archive.names:
            return Unfit("is an OBR", "name the plugin's own JAR: [app] jar")
        return Unfit(
            f"has no {DESCRIPTOR} at its root", "is it the plugin's JAR? [app] jar names it"
        )
    if DESCRIPTOR in archive.twice:
        return Unfit(f"holds {DESCRIPTOR} twice: which one counts is up to the reader")
    root = parse_bytes(archive.read(DESCRIPTOR) or b"")
    if root is None:
        return Unfit(f"holds an {DESCRIPTOR} that cannot be read")
    manifest = parse_manifest(archive.read(MANIFEST) or b"")
    own = _classes(archive)
    return Built(
        classes=own.union(_nested(archive, manifest)),
        packages=frozenset(each.rpartition(".")[0] for each in own),
        manifest=manifest,
        root=root,
        signed=bool(archive.signature),
    )


def _nested(archive: Archive, manifest: Mapping[str, str]) -> Iterator[str]:
    """The classes of the JARs inside it."""
    named = [each.strip() for each in manifest.get("Bundle-ClassPath", "").split(",")]
    left = LARGEST_NESTED
    for each in dict.fromkeys(named):
        if (inner := archive.read(each, left)) is not None:
            left -= len(inner)
            if isinstance(opened := parse(inner), Archive):
                yield from _classes(opened)


Found = tuple[str, Severity, Problem]


def problems(document: XmlDocument, jar: Built, packages: frozenset[str]) -> Iterator[Found]:
    """What stands against exchanging the descriptor; *packages* are those of the sources."""
    header = jar.manifest.get("Atlassian-Plugin-Key", "").strip()
    key = document.root.key
    if header and key != header and not opaque(key):
        at = document.root.value_at("key")
        words = f'the JAR\'s manifest says Atlassian-Plugin-Key: {header}, this says "{key}"'
        yield "B004", Severity.ERROR, Problem(at, words, BUILD_FIRST)
    yield from _classes_missing(document, jar, packages)
    if jar.kind is Manifest.BUNDLE:
        yield from _instructions(document, jar)


def unfilled(document: XmlDocument) -> Mapping[str, Place]:
    """The names of Maven's placeholders that are left in values, and where each is first."""
    found: dict[str, Place] = {}
    for element in document.elements:
        for attribute, value in element.attributes.items():
            for name in PROPERTY.findall(value):
                found.setdefault(name, element.value_at(attribute))
        for name in PROPERTY.findall(element.text):
            found.setdefault(name, element.text_at)
    return found


def _classes_missing(
    document: XmlDocument, jar: Built, packages: frozenset[str]
) -> Iterator[Found]:
    own = {each for each in (*jar.packages, *packages) if "." in each}
    before = {name for _, name in _named(jar.root)}
    for place, name in _named(document.root):
        if name in jar.classes:
            continue
        package = name.rpartition(".")[0]
        if any(package == each or package.startswith(f"{each}.") for each in own):
            words = f"the JAR has no class {name}"
            yield "B005", Severity.ERROR, Problem(place, words, BUILD_FIRST)
        elif (
            jar.kind is Manifest.TRANSFORMERLESS
            and name not in before
            and not _imported(package, jar.manifest)
        ):
            words = f"{name} is a class of the host's, and the JAR does not import {package}"
            fix = f"add {package} to Import-Package in pom.xml, and {BUILD_FIRST}"
            yield "B006", Severity.ERROR, Problem(place, words, fix)


def _instructions(document: XmlDocument, jar: Built) -> Iterator[Found]:
    written = [each for each in document.root.walk() if each.tag == "bundle-instructions"]
    old = [each for each in jar.root.walk() if each.tag == "bundle-instructions"]
    if written and [_said(each) for each in written] != [_said(each) for each in old]:
        words = "bundle-instructions have changed, but the JAR has a manifest: hosts ignore them"
        yield "B007", Severity.WARNING, Problem(written[0].here, words, BUILD_FIRST)


def _said(element: Element) -> list[tuple[str, str]]:
    return [(each.tag, "".join(each.text.split())) for each in element.walk()]


def _named(root: Element) -> Iterator[tuple[Place, str]]:
    """Every class that the descriptor names, and where."""
    for each in root.walk():
        for attribute in ("class", "interface"):
            name = each.get(attribute).removeprefix("class:")
            if _CLASS.fullmatch(name):
                yield each.value_at(attribute), name
        if each.tag in ("interface", "entity") and _CLASS.fullmatch(name := each.text.strip()):
            yield each.text_at, name


def _imported(package: str, manifest: Mapping[str, str]) -> bool:
    if package.startswith(("java.", "javax.annotation")):
        return True
    for header in ("Import-Package", "DynamicImport-Package"):
        for clause in _clauses(manifest.get(header, "")):
            if clause in ("*", package):
                return True
            if clause.endswith(".*") and package.startswith(clause[:-1]):
                return True
    return False


def _clauses(header: str) -> Iterator[str]:
    """The package names of an OSGi header, without their attributes; quotes may hold commas."""
    for clause in re.findall(r'(?:[^,"]|"[^"]*")+', header):
        for part in re.findall(r'(?:[^;"]|"[^"]*")+', clause):
            if "=" not in part:
                yield part.strip()


def _classes(archive: Archive) -> frozenset[str]:
    return frozenset(
        each.removesuffix(".class").replace("/", ".")
        for each in archive.names
        if each.endswith(".class") and not each.startswith("META-INF/")
    )
