"""The project's files, read into one digested value: the edge between the disk and everything pure.

Only regular files inside the project are read, and of each no more than `LIMIT`: a pipe, a device
or a link that leads out is a diagnostic, never a wait and never a leak.
"""

import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from devserver import git
from devserver.descriptor.references import references
from devserver.descriptor.utf8 import text_of
from devserver.model import Diagnostic, Position, Severity

if TYPE_CHECKING:
    from devserver.descriptor.document import Context
    from devserver.descriptor.examine import Examined

LIMIT: Final = 8 * 1024 * 1024
"""Bytes of one file, at most."""
TOGETHER: Final = 32 * 1024 * 1024
"""Bytes of all files of a look."""
FILES: Final = 2000
"""Names that one look follows."""
YOUNG: Final = 0.075
"""Seconds: a file that is empty and younger than this is being written."""
_LINKS: Final = 40
_NOWHERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look found.

    A name that `diagnostics` are about is in `missing` where its bytes could not be had.
    """

    descriptor: str
    """The descriptor's file, relative to the project, with `/`, as every name here."""
    files: Mapping[str, bytes]
    """Everything read: the descriptor, the templates it needs, variables files, pom.xml."""
    missing: frozenset[str]
    """Asked for, and not there."""
    diagnostics: tuple[Diagnostic, ...]
    digest: str
    """SHA-256 over names, contents, what is missing and what is wrong."""
    unsettled: bool
    """Somebody is writing: a file is empty and new, or git holds its index."""
    stamps: Mapping[str, str] = field(default_factory=dict)
    """Files that are not read at each look, by name: what tells one content from another."""


class Along(Protocol):
    """What belongs to a descriptor beside its own files, and judges it together with them."""

    def stamps(self) -> Mapping[str, str]:
        """Its files by name: what tells one content from another."""

    def folders(self) -> Iterable[Path]:
        """Folders to watch for all of these."""

    def context(self) -> "Context":
        """What the rules are to know."""

    def awaited(self, errors: tuple[Diagnostic, ...]) -> str:
        """What a build is just making, in words, where *errors* are that it is not there yet."""

    def judged(self, examined: "Examined") -> "Examined":
        """*examined* with what follows from the rest of the project."""


class Sources:
    """Reads a project's files again and again."""

    def __init__(
        self,
        root: Path,
        descriptor: str,
        variables_files: Sequence[str] = (),
        along: Along | None = None,
    ) -> None:
        self.along = along
        self._root = root.resolve()
        self._descriptor = Path(descriptor).as_posix()
        self._variables = tuple(Path(each).as_posix() for each in variables_files)
        self._wanted: dict[str, None] = {}
        self._asked: tuple[str, ...] = (self._descriptor, *self._variables)

    @property
    def path(self) -> str:
        """The path that the descriptor is served at: the name that hosts know its kind by."""
        is_json = self._descriptor.removesuffix(".j2").endswith(".json")
        return "/atlassian-connect.json" if is_json else "/atlassian-plugin.xml"

    def want(self, names: Iterable[str]) -> None:
        """Read these templates too from now on: a rendering turned out to need them."""
        self._wanted.update(dict.fromkeys(names))

    def look(self) -> Snapshot:
        """Read everything as it is now; templates that templates name are read along."""
        look = _Look(self._root, self._descriptor)
        look.needed(self._descriptor)
        for name in self._variables:
            look.needed(name)
        look.optional("pom.xml")
        if self._descriptor.endswith(".j2"):
            look.template(self._descriptor)
        for name in self._wanted:
            look.template(name)
        if self.along is not None:
            look.stamps = self.along.stamps()
        look.repository()
        self._asked = tuple(look.asked)
        return look.snapshot()

    @property
    def folders(self) -> frozenset[Path]:
        """The folders to watch, not recursively, for every file that the last look asked for.

        Real ones, inside the project: from its root down to the file, or to where the path ends;
        where a link leads elsewhere, the link's folder and those on the way to its target.
        """
        found: set[Path] = {self._root}
        if self.along is not None:
            found.update(self.along.folders())
        for name in self._asked:
            found.update(each for each in _way(self._root, name) if _within(self._root, each))
        return frozenset(found)


class _Look:
    """One look while it is taken."""

    def __init__(self, root: Path, descriptor: str) -> None:
        self._root = root
        self._descriptor = descriptor
        self._files: dict[str, bytes] = {}
        self._missing: set[str] = set()
        self._diagnostics: list[Diagnostic] = []
        self._templates: set[str] = set()
        self._unsettled = False
        self._left = TOGETHER
        self.asked: dict[str, None] = {}
        self.stamps: Mapping[str, str] = {}

    def needed(self, name: str) -> None:
        """A file that somebody named: it is a mistake that it is not there."""
        self._read(name)
        if name in self._missing and not any(d.position.file == name for d in self._diagnostics):
            self._wrong("S003", name, "is not there", "make the file, or mend its name")

    def optional(self, name: str) -> None:
        try:
            there = (self._root / name).is_file()
        except OSError:  # a folder that must not be entered: then `_read` of another says so
            return
        if there:
            self._read(name)

    def template(self, name: str) -> None:
        """A template, and what it names: of each reference, the first file that is there."""
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name in self._templates:
                continue
            self._templates.add(name)
            if (data := self._read(name)) is None:
                continue
            text = text_of(name, data)
            if isinstance(text, Diagnostic):
                self._diagnostics.append(text)
                continue
            for alternatives in references(name, text):
                for each in alternatives:
                    if self._read(each) is not None:
                        waiting.append(each)
                        break

    def repository(self) -> None:
        """Where something read speaks of git, what a template would be told of it."""
        if any(b"git" in data for data in self._files.values()):
            said = git.facts(self._root)
            self.stamps = {**self.stamps, ".git/HEAD": f"{said['branch']} {said['commit']}"}

    def snapshot(self) -> Snapshot:
        digest = hashlib.sha256()
        for name, data in sorted(self._files.items()):
            digest.update(f"{name}\0{len(data)}\0".encode(errors="surrogateescape"))
            digest.update(data)
        rest = (sorted(self._missing), self._diagnostics, sorted(self.stamps.items()))
        digest.update(repr(rest).encode(errors="surrogateescape"))
        return Snapshot(
            descriptor=self._descriptor,
            files=self._files,
            missing=frozenset(self._missing),
            diagnostics=tuple(self._diagnostics),
            digest=digest.hexdigest(),
            unsettled=self._unsettled or git.is_busy(self._root),
            stamps=self.stamps,
        )

    def _read(self, name: str) -> bytes | None:
        """The bytes of a file; None where there are none to be had."""
        if name in self.asked:
            return self._files.get(name)
        if len(self.asked) >= FILES:
            self._missing.add(name)
            return None
        self.asked[name] = None
        try:
            real = Path(os.path.realpath(self._root / name))
            if not _within(self._root, real):
                self._wrong(
                    "S004",
                    name,
                    f"leads out of the project, to {real}",
                    "copy the file into the project: nothing outside of it is read",
                )
                return None
            data = self._bytes(name, real)
        except OSError as exc:
            if exc.errno not in _NOWHERE:
                what = (exc.strerror or str(exc)).lower()
                self._wrong("S003", name, f"cannot be read: {what}", "mend its permissions")
            data = None
        except ValueError:  # a NUL in the name: there is no such file
            data = None
        if data is None:
            self._missing.add(name)
        else:
            self._files[name] = data
        return data

    def _bytes(self, name: str, real: Path) -> bytes | None:
        if not stat.S_ISREG(real.stat().st_mode):  # before it is opened: that can wait, or act
            what = "a folder" if real.is_dir() else "no ordinary file"
            self._wrong("S003", name, f"is {what}", "put a file there")
            return None
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        with os.fdopen(os.open(real, flags), "rb") as file:
            found = os.fstat(file.fileno())
            data = file.read(LIMIT + 1) if stat.S_ISREG(found.st_mode) else b""
        self._left -= len(data)
        if len(data) > LIMIT or self._left < 0:
            much = f"larger than {LIMIT >> 20} MB"
            if len(data) <= LIMIT:
                much = f"one too many: the project's files hold more than {TOGETHER >> 20} MB"
            self._wrong("S005", name, f"is {much}", "a descriptor is far smaller")
            return None
        if not data and abs(time.time() - found.st_mtime) < YOUNG:
            self._unsettled = True
        return data

    def _wrong(self, code: str, name: str, what: str, fix: str) -> None:
        self._missing.add(name)
        shown = name.encode(errors="backslashreplace").decode()
        self._diagnostics.append(_error(code, f"{shown} {what}", Position(shown), fix))


def find_descriptor(root: Path) -> str | Diagnostic:
    """The project's descriptor, where the settings name none: templates first, then plain files.

    S001 where there is none, S002 where there are several to choose from.
    """
    for names in _tiers(root):
        there = [name for name in names if os.path.exists(root / name)]  # noqa: PTH110 - never raises
        if len(there) == 1:
            return there[0]
        if there:
            return _error(
                "S002",
                f"there are several descriptors: {', '.join(there)}",
                Position("upm-dev.toml"),
                f'name one in upm-dev.toml: [app] descriptor = "{there[0]}"',
            )
    return _error(
        "S001",
        f"no descriptor in {root}: no *.xml.j2 or *.json.j2, no atlassian-plugin.xml, no"
        " atlassian-connect.json, no src/main/resources/atlassian-plugin.xml",
        Position("upm-dev.toml"),
        "name it in upm-dev.toml, [app] descriptor, or run upm-dev init for a new project",
    )


IN_RESOURCES = "src/main/resources/atlassian-plugin.xml"
_MODULE = re.compile(rb"<module>\s*([^<\s]+)\s*</module>")
MODULES = 200
"""Modules of a build that are looked into for a descriptor."""


def _modules(root: Path) -> list[str]:
    """The modules that pom.xml names, and those that their pom.xml name, inside the project."""
    found: dict[str, None] = {}
    waiting = [""]
    while waiting and len(found) < MODULES:
        at = waiting.pop(0)
        try:
            with (root / at / "pom.xml").open("rb") as file:
                pom = file.read(1 << 20)
        except OSError:  # no build of Maven's
            continue
        for each in _MODULE.findall(pom):
            name = os.path.normpath(os.path.join(at, each.decode("utf-8", "replace")))  # noqa: PTH118
            if not name.startswith(("..", "/")) and name not in found:
                found[name] = None
                waiting.append(name)
    return list(found)


def _tiers(root: Path) -> Iterator[list[str]]:
    yield ["atlassian-plugin.xml.j2", "atlassian-connect.json.j2"]
    try:
        listed = sorted(each.name for each in root.iterdir())
    except OSError:  # then nothing else is there either
        listed = []
    yield [name for name in listed if name.endswith((".xml.j2", ".json.j2"))]
    yield ["atlassian-plugin.xml", "atlassian-connect.json"]
    yield [IN_RESOURCES]
    yield [f"{module}/{IN_RESOURCES}" for module in _modules(root)]


def _error(code: str, message: str, position: Position, fix: str) -> Diagnostic:
    return Diagnostic(
        code=code, severity=Severity.ERROR, message=message, position=position, fix=fix
    )


def _within(root: Path, path: Path) -> bool:
    return path == root or root in path.parents


def _way(root: Path, name: str) -> Iterator[Path]:
    """Every folder that is passed on the way from *root* to the file *name*, links followed."""
    at, parts, links = root, list(Path(name).parts), 0
    while parts:
        yield at
        part = parts.pop(0)
        if part == "..":
            at = at.parent
            continue
        step = at / part
        try:
            target = step.readlink()
        except (OSError, ValueError):  # no link, or nothing at all
            if not os.path.isdir(step):  # noqa: PTH112 - never raises
                return
            at = step
            continue
        links += 1
        if links > _LINKS:
            return
        parts = [*target.parts, *parts]
        if target.is_absolute():
            at, parts = Path(parts[0]), parts[1:]
