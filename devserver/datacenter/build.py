"""What a build has made of a module: its JAR, the classes in it, and what is newer than it.

The newest JAR is read once for as long as it is the same. Nothing is ever built here.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from devserver.datacenter import files
from devserver.datacenter.files import File
from devserver.datacenter.findings import error
from devserver.descriptor import carry
from devserver.descriptor.archive import LARGEST, LARGEST_ENTRY, Archive, Unfit, parse
from devserver.descriptor.carry import BUILD_FIRST, Built
from devserver.descriptor.jar import DESCRIPTOR
from devserver.errors import TargetUnavailable
from devserver.model import Diagnostic

LANGUAGES = ("java", "kotlin", "groovy", "scala")
COMPILED = ("target/classes", *(f"build/classes/{each}/main" for each in LANGUAGES))
"""Where Maven, and Gradle, put classes."""
LARGEST_ENTRIES = 64 * 1024 * 1024
"""Bytes of the JAR that are unpacked to be compared with the sources."""
SAME_TIME = 1.0
"""Seconds within which two JARs are equally new."""
WRITTEN_SECONDS = 3.0
"""A JAR that is not whole and younger than this is being written."""
BUILD_SECONDS = 60.0
"""How long a build may leave us without a JAR before we say that there is none."""


@dataclass(frozen=True, slots=True)
class Jar:
    """The JAR that counts, and the `names` of its entries.

    `entries` is what it holds of the files that may be exchanged, as far as it was `unpacked`; None
    stands for what is too large to be compared.
    """

    file: File
    built: Built
    names: frozenset[str]
    entries: dict[str, bytes | None]

    def unpack(self, wanted: Iterable[str]) -> None:
        """Have these among the `entries`, as far as the JAR has them: it is read again for them.

        Sources come while we run, by a checkout say, and what is not wanted at first is not kept.
        """
        missing = [each for each in wanted if each in self.names and each not in self.entries]
        if not missing:
            return
        archive = _archive(self.file)
        found = _entries(archive, missing) if isinstance(archive, Archive) else {}
        self.entries.update({each: found.get(each) for each in missing})


class Build:
    """What lies in the output folders of *module*, a folder of the project in *root*.

    *pattern* is the user's word for the JAR; *wanted* gives the entries of it that matter.
    """

    def __init__(
        self, root: Path, module: Path, pattern: str | None, wanted: Callable[[], Iterable[str]]
    ) -> None:
        self._root = root
        self._module = module
        self._pattern = pattern
        self._wanted = wanted
        self._read: tuple[str, Jar] | None = None
        self._was_whole = False
        self._gone_at: float | None = None
        """Since when there is no JAR, by `time.monotonic()`."""

    def jars(self) -> list[File]:
        """Those that may be the plugin's, newest first."""
        return files.jars(self._root, self._module, self._pattern)

    def folders(self) -> Iterator[Path]:
        """Those in which a JAR may come to be."""
        yield from (self._module / each for each in files.OUTPUTS)
        if self._pattern is not None:
            yield (self._root / self._pattern).parent

    def jar(self) -> Jar | Diagnostic:
        """The newest one, or why there is none that can be used."""
        found = self.jars()
        stamp = " ".join(f"{each.name} {each.stamp}" for each in found[:2])
        if self._read is None or self._read[0] != stamp:
            jar = self._look_into(found)
            if not isinstance(jar, Jar):
                return jar  # why it cannot be used may end without a change of it
            self._read = (stamp, jar)
        self._was_whole, self._gone_at = True, None
        return self._read[1]

    def open(self) -> tuple[File, Archive]:
        """The newest one as it is now.

        Raises TargetUnavailable where it is just being written: the next try has a whole one.
        """
        for file in self.jars()[:1]:
            archive = _archive(file)
            if isinstance(archive, Unfit):
                raise not_now(f"{file.name} {archive.reason}", archive.fix)
            if DESCRIPTOR not in archive.names:
                raise not_now(f"{file.name} has no {DESCRIPTOR} at its root", BUILD_FIRST)
            return file, archive
        raise not_now("there is no JAR any more", BUILD_FIRST)

    def awaited(self, errors: tuple[Diagnostic, ...]) -> str:
        """What a build is just making, where *errors* are that it is not there.

        A JAR is being written, or it is gone since the build has begun with cleaning up.
        """
        if not {each.code for each in errors} <= {"B001", "B003"}:
            return ""
        if newest := next(iter(self.jars()), None):
            young = abs(time.time() - newest.changed) < WRITTEN_SECONDS
            return f"{newest.name} is being written: waiting for it" if young else ""
        now = time.monotonic()
        self._gone_at = now if self._gone_at is None else self._gone_at
        if self._was_whole and now - self._gone_at < BUILD_SECONDS:
            return "the JAR is gone: waiting for the build to make a new one"
        return ""

    def newer_classes(self) -> Iterator[File]:
        """Those that were compiled after the JAR was made, by an IDE say."""
        if newest := next(iter(self.jars()), None):
            for folder in COMPILED:
                for each in files.below(self._module / folder, _is_class):
                    if each.changed > newest.changed:
                        yield each

    def sources(self, since: float) -> tuple[list[str], frozenset[str]]:
        """The sources changed after *since*, by their names in the project, and all packages."""
        newer, packages = [], set()
        for language in LANGUAGES:
            folder = self._module / "src/main" / language
            for each in files.below(folder, _is_source):
                packages.add(each.name.rpartition("/")[0].replace("/", "."))
                if each.changed > since:
                    newer.append(each.path.relative_to(self._root).as_posix())
        return newer, frozenset(packages)

    def _look_into(self, found: list[File]) -> Jar | Diagnostic:
        if not found:
            output = (self._module / files.OUTPUTS[0]).relative_to(self._root).as_posix()
            where = self._pattern or output
            return error("B001", f"there is no JAR in {where} yet", where, BUILD_FIRST)
        newest = found[0]
        if len(found) > 1 and newest.changed - found[1].changed < SAME_TIME:
            names = f"{newest.name} and {found[1].name}"
            fix = f'name one in upm-dev.toml: [app] jar = "{newest.name}"'
            return error("B002", f"{names} are equally new", newest.name, fix)
        archive = _archive(newest)
        built = archive if isinstance(archive, Unfit) else carry.built(archive)
        match archive, built:
            case Archive(), Built():
                entries = _entries(archive, self._wanted())
                return Jar(newest, built, frozenset(archive.names), entries)
            case (Unfit() as unfit, _) | (_, Unfit() as unfit):
                return error("B003", f"{newest.name} {unfit.reason}", newest.name, unfit.fix)
        raise AssertionError  # for the type checker: there is no third


def _is_class(name: str) -> bool:
    return name.endswith(".class")


def _is_source(name: str) -> bool:
    return name.endswith((".java", ".kt", ".groovy", ".scala"))


def not_now(reason: str, remedy: str) -> TargetUnavailable:
    return TargetUnavailable(reason, remedy=remedy, code="B003")


def content(file: File) -> bytes | Unfit:
    """What *file* holds, as long as it is no larger than a JAR may be."""
    if file.size > LARGEST:
        return Unfit(f"is larger than {LARGEST >> 20} MB", "build a smaller JAR")
    try:
        return file.path.read_bytes()
    except OSError as exc:
        return Unfit(f"cannot be read: {(exc.strerror or str(exc)).lower()}", "is a build running?")


def _archive(file: File) -> Archive | Unfit:
    data = content(file)
    return data if isinstance(data, Unfit) else parse(data)


def _entries(archive: Archive, names: Iterable[str]) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    left = LARGEST_ENTRIES
    for name in dict.fromkeys(names):
        if name in archive.names:
            data = archive.read(name, min(left, LARGEST_ENTRY))
            left -= len(data or b"")
            found[name] = data
    return found
