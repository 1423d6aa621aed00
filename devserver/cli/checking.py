"""Checks what `validate` is given: each descriptor with its own settings and surroundings."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from devserver.addresses import is_cloud
from devserver.cli.options import settings_of
from devserver.cli.reading import read
from devserver.cli.search import descriptors
from devserver.descriptor.decode import decode
from devserver.descriptor.document import Context
from devserver.descriptor.examine import looks_like_json
from devserver.descriptor.judge import Placer, judge
from devserver.descriptor.selection import Selection
from devserver.errors import UsageError
from devserver.model import Diagnostic, Position, Severity
from devserver.settings import Settings
from devserver.sources import find_descriptor
from devserver.surroundings import survey

STDIN = "<stdin>"
ARCHIVES = (".jar", ".obr")
LIMIT = 8 * 1024 * 1024
"""Bytes that are read from standard input."""
MAX_JAR = 2 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for; the settings of a project are added to it."""

    strict: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    built: bool = False
    product: str | None = None
    profile: str | None = None
    target: str | None = None
    quiet: bool = False

    def selection(self, settings: Settings | None) -> Selection:
        if settings is None:
            return Selection(select=self.select, ignore=self.ignore, strict=self.strict)
        return Selection(
            select=self.select or settings.select,
            ignore=(*self.ignore, *settings.ignore),
            per_file=settings.per_file_ignores,
            strict=self.strict or settings.strict,
        )

    def context(self, settings: Settings | None) -> Context:
        product = self.product or (settings.product if settings else None)
        profile = self.profile or (settings.profile if settings else None)
        if self.target:
            known = {each.name: each.url for each in settings.targets} if settings else {}
            guessed, kind = host_of(known.get(self.target, self.target))
            product, profile = product or guessed, profile or kind
        name, _, version = (product or "").partition(":")
        major = version.partition(".")[0]
        if version and not major.isdecimal():
            raise UsageError(
                f"{version!r} is no version of {name}", remedy=f"write it like {name}:10"
            )
        return Context(
            product=name.lower() or None,
            profile=profile.lower() if profile else None,
            platform=int(major) if major else None,
            built=self.built,
            whole=self.built or bool(product or profile),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found: `files` are the sources by the name they have in the diagnostics' positions.

    `names` are the descriptors that were checked, `paths` where each source is on disk.
    """

    diagnostics: tuple[Diagnostic, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    paths: Mapping[str, Path] = field(default_factory=dict)


PORTS = {2990: "jira", 1990: "confluence", 5990: "refapp", 6990: "bamboo", 7990: "bitbucket"}
"""Where the SDK starts the products."""


def host_of(target: str) -> tuple[str | None, str | None]:
    """Product and profile, as far as an address tells; `jira:10` is a product as well."""
    from urllib.parse import urlsplit

    if "://" not in target:
        return target, None
    parts = urlsplit(target)
    cloud = is_cloud(target)
    last = parts.path.strip("/").rpartition("/")[2].lower()
    if cloud:
        return ("confluence" if last == "wiki" else "jira"), "cloud"
    if last in PORTS.values():
        return last, None
    try:
        return PORTS.get(parts.port or 0), None
    except ValueError as exc:
        raise UsageError(f"{target} is no address", remedy="write http://host:port/path") from exc


def check(paths: Iterable[Path], asked: Asked) -> Checked:
    """Check every path that was given, and every descriptor below a folder.

    Raises:
        SettingsInvalid: the settings of one of the projects have mistakes.
    """
    done: list[Checked] = []
    seen: set[Path] = set()
    for path in paths:
        if str(path) == "-":
            done.append(_stdin(asked))
        elif path.suffix in ARCHIVES and not path.is_dir():
            done.append(_archive(path, asked))
        elif path.is_dir():
            done.extend(_folder(path, asked, seen))
        else:
            done.append(_one(path, asked, seen))
    return Checked(
        diagnostics=tuple(each for part in done for each in part.diagnostics),
        files={name: text for part in done for name, text in part.files.items()},
        names=tuple(name for part in done for name in part.names),
        paths={name: file for part in done for name, file in part.paths.items()},
    )


def _folder(folder: Path, asked: Asked, seen: set[Path]) -> Iterator[Checked]:
    """The project that the folder is, if it is one, and every descriptor below it."""
    settings = settings_of(folder, {"quiet": True})
    own = settings.descriptor or find_descriptor(settings.root)
    below = [*descriptors(folder)]
    if isinstance(own, str):
        yield _one(folder / own, asked, seen)
    elif not below or own.code != "S001":
        yield Checked(diagnostics=(own,), names=(str(folder),))
        if own.code == "S001":
            return
    for each in below:
        if each.resolve() not in seen:
            yield _one(each, asked, seen)


def _one(path: Path, asked: Asked, seen: set[Path]) -> Checked:
    seen.add(path.resolve())
    settings = settings_of(path, {"quiet": asked.quiet})
    name = settings.descriptor or ""
    context = replace(
        asked.context(settings),
        project=survey(settings.root, name),
        fragment=path.parent.match("META-INF/plugin-descriptors"),
    )
    result = read(settings, context)
    found = asked.selection(settings).apply(result.diagnostics)
    shown = _shown(settings.root)
    return Checked(
        diagnostics=tuple(_moved(each, shown) for each in found),
        files={shown + each: text for each, text in result.files.items()},
        names=(shown + result.name,),
        paths={shown + each: settings.root / each for each in result.files},
    )


def _shown(root: Path) -> str:
    """What to put before a project-relative name so that it leads there from the current folder."""
    relative = os.path.relpath(root)
    return "" if relative == "." else Path(relative).as_posix() + "/"


def _moved(each: Diagnostic, before: str) -> Diagnostic:
    if not before:
        return each
    edit = each.edit
    if edit is not None:
        edit = replace(edit, position=_placed(edit.position, before))
    return replace(each, position=_placed(each.position, before), edit=edit)


def _placed(position: Position, before: str) -> Position:
    return replace(position, file=before + position.file)


def _stdin(asked: Asked) -> Checked:
    data = sys.stdin.buffer.read(LIMIT + 1)
    if len(data) > LIMIT:
        return Checked(
            diagnostics=(_wrong("S005", f"more than {LIMIT >> 20} MB came on standard input"),),
            names=(STDIN,),
        )
    diagnostics, text = _judged(data, STDIN, asked.context(None))
    found = asked.selection(None).apply(diagnostics)
    return Checked(diagnostics=tuple(found), files={STDIN: text}, names=(STDIN,))


def _archive(path: Path, asked: Asked) -> Checked:
    """The descriptors inside a JAR or OBR, against what else is in it."""
    from devserver.descriptor import jar  # zipfile and what it brings

    name = Path(os.path.relpath(path)).as_posix()
    if path.exists() and not path.is_file():
        return Checked(
            diagnostics=(_wrong("S003", f"{name} is no ordinary file", name),), names=(name,)
        )
    try:
        with path.open("rb") as file:
            jars, diagnostics = jar.read(file, name)
    except OSError as exc:
        reason = (exc.strerror or str(exc)).lower()
        diagnostics = (_wrong("S003", f"{name} cannot be read: {reason}", name),)
        return Checked(diagnostics=diagnostics, names=(name,))
    found, files = list(diagnostics), {}
    for each in jars:
        known = jar.project(each)
        for entry, data in each.descriptors.items():
            inside = f"{each.name}!/{entry}"
            context = replace(
                asked.context(None),
                built=True,
                whole=entry == jar.DESCRIPTOR,
                fragment=entry.startswith(each.scan_folders) if each.scan_folders else False,
                project=known,
            )
            more, files[inside] = _judged(data, inside, context)
            found += more
    selected = asked.selection(None).apply(found)
    return Checked(diagnostics=tuple(selected), files=files, names=(name, *files))


def _judged(data: bytes, name: str, context: Context) -> tuple[tuple[Diagnostic, ...], str]:
    is_json = looks_like_json(name, data)
    text, flaws = decode(data, xml=not is_json)
    if text is None:
        problem = flaws[-1].problem
        return (_wrong("G006", problem.message, name, problem.fix),), ""
    result = judge(text, data, is_json, flaws, Placer(name), context)
    return result.diagnostics, text


def _wrong(code: str, message: str, name: str = STDIN, fix: str = "") -> Diagnostic:
    return Diagnostic(
        code=code, severity=Severity.ERROR, message=message, position=Position(name), fix=fix
    )
