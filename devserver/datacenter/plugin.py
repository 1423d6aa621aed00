"""A plugin project: its pom.xml, the JAR that its build makes, and what is exchanged in that JAR.

Maven is never run. The newest JAR is taken as the build left it; the descriptor, translations and
`META-INF/plugin-descriptors` are put in its place, `--resources` and `--classes` add the rest.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from devserver.datacenter import files
from devserver.datacenter.build import Build, Jar, content, not_now
from devserver.datacenter.files import File
from devserver.datacenter.findings import remark, warning
from devserver.datacenter.resources import Resources
from devserver.descriptor import align, carry, maven, placeholders
from devserver.descriptor.archive import LARGEST_ENTRY, Archive, Unfit
from devserver.descriptor.carry import BUILD_FIRST, Found
from devserver.descriptor.document import Context, Problem, XmlDocument
from devserver.descriptor.jar import DESCRIPTOR
from devserver.descriptor.judge import Examined
from devserver.descriptor.mark import marked
from devserver.descriptor.patch import Pieces, patched
from devserver.descriptor.project import Project
from devserver.descriptor.xml import parse_bytes
from devserver.model import Descriptor, Diagnostic, Severity, digest_of
from devserver.settings import Settings
from devserver.surroundings import read_pom, start_of

RESOURCES = "src/main/resources"
KEPT = 60
"""Revisions whose further entries are remembered: more than are offered at once."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A JAR, ready to be installed, and the file that it was made of."""

    file: File
    data: Pieces

    @property
    def name(self) -> str:
        """Under which it goes to a host."""
        return self.file.path.name


class Plugin:
    """One plugin project. *resources* and *classes*: what else goes along."""

    def __init__(
        self,
        root: Path,
        descriptor: str,
        *,
        jar: str | None = None,
        resources: bool = False,
        classes: bool = False,
    ) -> None:
        self.root = root.resolve()
        self.descriptor = descriptor
        self.module = module_of(self.root, descriptor)
        self._resources = Resources(self.module / RESOURCES, everything=resources)
        self.build = Build(self.root, self.module, jar, self._resources.entries)
        self._classes = classes
        self._packs: OrderedDict[str, Mapping[str, bytes]] = OrderedDict()

    # -- what belongs to a look -------------------------------------------------------------------

    def stamps(self) -> Mapping[str, str]:
        found = {each.name: each.stamp for each in self.build.jars()}
        found.update((each.name, each.stamp) for each in self._poms())
        for each in self._resources.files():
            found[f"{self._prefix()}{RESOURCES}/{each.name}"] = each.stamp
        if self._classes:
            classes = " ".join(f"{each.name} {each.stamp}" for each in self.build.newer_classes())
            found[f"{self._prefix()}target/classes"] = digest_of(classes.encode())
        return found

    def folders(self) -> Iterator[Path]:
        """Those that are there; what is to come is seen in the ones above it, or by the tick."""
        wanted = (self.root, self.module, *self.build.folders())
        yield from (each for each in wanted if each.is_dir())
        yield from files.folders(self.module / RESOURCES)

    def context(self) -> Context:
        jar = self.build.jar()
        properties = self.properties()
        known = Project(properties=properties)
        if isinstance(jar, Jar):
            kind = jar.built.kind
            known = replace(known, transformerless=kind is carry.Manifest.TRANSFORMERLESS)
        return Context(development=True, packed=isinstance(jar, Jar), project=known)

    def properties(self) -> dict[str, str]:
        """Of pom.xml and its parents; what they do not say is read off the JAR's descriptor."""
        pom = read_pom(self.module)
        properties = dict(pom.properties) if pom else {}
        jar = self.build.jar()
        source = self.module / RESOURCES / DESCRIPTOR
        if isinstance(jar, Jar) and source.is_file():
            data = start_of(source, LARGEST_ENTRY)
            text = placeholders.fill(data.decode("utf-8", "replace"), properties)
            if "${" in text and (root := parse_bytes(data)) is not None:
                properties = {**align.recovered(root, jar.built.root), **properties}
        return properties

    def awaited(self, errors: tuple[Diagnostic, ...]) -> str:
        return self.build.awaited(errors)

    def judged(self, examined: Examined) -> Examined:
        """What follows from the JAR: may this descriptor be in it, and what goes along."""
        descriptor, document = examined.descriptor, examined.document
        if descriptor is None or not isinstance(document, XmlDocument):
            return examined
        jar = self.build.jar()
        if isinstance(jar, Diagnostic):
            return examined.also((), [jar], descriptor=None)
        properties = self.properties()
        replaced, told = self._along(jar, properties)
        newer, packages = self.build.sources(jar.file.changed)
        told += self._remarks(jar, newer)
        carried = hashlib.sha256(jar.file.stamp.encode())
        for name, data in sorted(replaced.items()):
            carried.update(f"\0{name}\0{digest_of(data)}".encode())
        self._packs[carried.hexdigest()] = replaced
        self._packs.move_to_end(carried.hexdigest())
        while len(self._packs) > KEPT:
            self._packs.popitem(last=False)
        whole = replace(
            descriptor,
            carried=carried.hexdigest(),
            canonical=digest_of(f"{descriptor.canonical} {carried.hexdigest()}".encode()),
        )
        found = (*carry.problems(document, jar.built, packages), *self._unfilled(document))
        return examined.also(found, told, descriptor=whole)

    # -- what is sent -----------------------------------------------------------------------------

    @property
    def file_name(self) -> str:
        """The name under which the JAR goes to a host."""
        newest = next(iter(self.build.jars()), None)
        return newest.path.name if newest else "plugin.jar"

    @property
    def unfit(self) -> Diagnostic | None:
        """Why there is no JAR that a descriptor could be put into; None where there is one."""
        jar = self.build.jar()
        return None if isinstance(jar, Jar) else jar

    @property
    def packages(self) -> frozenset[str]:
        """The packages of the plugin's own classes."""
        jar = self.build.jar()
        return jar.built.packages if isinstance(jar, Jar) else frozenset()

    def pack(self, descriptor: Descriptor, mark: str) -> Packed:
        """The JAR with *descriptor*, marked, and with what goes along with it.

        Raises TargetUnavailable where the JAR is just being written: the next try has a whole one.
        """
        replaced = {
            **self._packs.get(descriptor.carried, {}),
            DESCRIPTOR: marked(descriptor.body, mark),
        }
        return _with(*self.build.open(), replaced)

    def as_built(self, mark: str, version: str | None) -> Packed:
        """The JAR as the build has made it, but for the mark, and for the *version*."""
        file, archive = self.build.open()
        body = archive.read(DESCRIPTOR) or b""
        if parse_bytes(body) is None:
            raise not_now(f"{file.name} holds an {DESCRIPTOR} that cannot be read", BUILD_FIRST)
        return _with(file, archive, {DESCRIPTOR: marked(body, mark, version)})

    # -- what goes along --------------------------------------------------------------------------

    def _along(
        self, jar: Jar, properties: Mapping[str, str]
    ) -> tuple[dict[str, bytes], list[Diagnostic]]:
        """The entries beside the descriptor that differ from what the JAR has; what cannot go."""
        replaced, kept = self._resources.against(jar, properties)
        told = [
            warning("B009", why, f"{self._prefix()}{RESOURCES}/{name}", BUILD_FIRST)
            for name, why in kept.items()
        ]
        if self._classes:
            for each in self.build.newer_classes():
                if isinstance(compiled := content(each), bytes):
                    replaced[each.name] = compiled
        return replaced, told

    def _remarks(self, jar: Jar, newer: list[str]) -> list[Diagnostic]:
        told = []
        if newer and not self._classes:
            more = f", like {len(newer) - 1} more" if newer[1:] else ""
            words = f"newer than {jar.file.name}{more}: build it to have that in what is installed"
            told.append(remark("B010", words, newer[0], BUILD_FIRST))
        if jar.built.signed:
            words = "the signature is left out, since the descriptor is another one"
            fix = (
                "a host that checks signatures needs -Datlassian.upm.signature.check.disabled=true"
            )
            told.append(remark("B011", words, jar.file.name, fix))
        if read_pom(self.module) is None and (self.module / maven.POM).is_file():
            words = "no good XML, or with a DTD: what it says of properties is not known"
            told.append(warning("B012", words, f"{self._prefix()}{maven.POM}", "mend it"))
        return told

    def _unfilled(self, document: XmlDocument) -> Iterator[Found]:
        """The placeholders that nobody knows; those without a dot may be the product's own."""
        places = {name: at for name, at in carry.unfilled(document).items() if "." in name}
        if not places:
            return
        pom = read_pom(self.module)
        absent = f", and the parent {pom.absent[0]} is not on disk" if pom and pom.absent else ""
        words = (
            f"${{{'}, ${'.join(places)}}} goes to the product as it stands: neither pom.xml nor "
            f"the JAR says what that is{absent}"
        )
        first, at = next(iter(places.items()))
        fix = f"add <{first}> to <properties> in pom.xml"
        yield "B008", Severity.WARNING, Problem(at, words, fix)

    # -- names ------------------------------------------------------------------------------------

    def _prefix(self) -> str:
        """The module's folder below the project's, with its slash."""
        name = self.module.relative_to(self.root).as_posix()
        return "" if name == "." else f"{name}/"

    def _poms(self) -> Iterator[File]:
        """pom.xml of the module and of the folders above it, up to the project's."""
        folder = self.module
        while True:
            if found := files.of(folder / maven.POM, self.root):
                yield found
            if folder == self.root or self.root not in folder.parents:
                return
            folder = folder.parent


def _with(file: File, archive: Archive, replaced: Mapping[str, bytes]) -> Packed:
    data = patched(archive, replaced, archive.signature)
    if isinstance(data, Unfit):
        raise not_now(f"{file.name} {data.reason}", data.fix)
    return Packed(file, data)


def plugin_of(settings: Settings, descriptor: str) -> Plugin | None:
    """The plugin project that *descriptor* belongs to; None where no JAR is to be made of it."""
    root = settings.root.resolve()
    module = module_of(root, descriptor)
    builds = any(
        (module / each).is_file() for each in (maven.POM, "build.gradle", "build.gradle.kts")
    )
    in_resources = f"/{RESOURCES}/" in f"/{descriptor}"
    if settings.jar is None and not (builds and in_resources):
        return None
    source = root / descriptor
    if not source.name.removesuffix(".j2").endswith(".xml") or _is_remote(source):
        return None
    return Plugin(
        root,
        descriptor,
        jar=settings.jar,
        resources=settings.resources,
        classes=settings.classes,
    )


def module_of(root: Path, descriptor: str) -> Path:
    """The folder of the module whose resources *descriptor* is among; else the project's."""
    before, found, _ = f"/{descriptor}".partition(f"/{RESOURCES}/")
    return (root / before.lstrip("/")) if found else root


def _is_remote(source: Path) -> bool:
    content = start_of(source)
    return b"<remote-plugin-container" in content or b"<remote-app" in content
