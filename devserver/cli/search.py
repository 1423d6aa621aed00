"""Descriptors below a folder, by name; `.gitignore` is honoured, builds and hidden folders left."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from devserver.surroundings import start_of

NAMES = re.compile(r"(atlassian-(plugin|remote-app)\.xml|atlassian-connect[\w.-]*\.json)(\.j2)?")
SKIPPED = frozenset({"node_modules", "target", "build", "dist", "venv", "__pycache__"})
MAX_FOLDERS = 50_000
MAX_IGNORE = 256 * 1024
"""Bytes of a .gitignore that are read."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of a .gitignore in `base`, as git reads it: a glob for each part of a path."""

    base: Path
    names: tuple[str, ...]
    folders_only: bool
    negated: bool


def descriptors(folder: Path) -> Iterator[Path]:
    """Every descriptor and template below *folder*, in order; no link is followed."""
    patterns: dict[Path, list[_Pattern]] = {}
    inherited = _above(folder)
    for count, (where, folders, files) in enumerate(os.walk(folder)):
        if count == MAX_FOLDERS:
            return
        here = Path(where)
        known = [*patterns.get(here.parent, inherited), *_read(here)]
        patterns[here] = known
        folders[:] = sorted(
            each
            for each in folders
            if each not in SKIPPED
            and not each.startswith(".")
            and not _ignored(here / each, known, is_folder=True)
        )
        for each in sorted(files):
            path = here / each
            generated = path.match("META-INF/plugin-descriptors/*.xml")
            if (NAMES.fullmatch(each) or generated) and not _ignored(path, known, is_folder=False):
                yield path


def _above(folder: Path) -> list[_Pattern]:
    """The patterns of the folders between the repository's top and *folder*."""
    absolute = folder.resolve()
    top = next((each for each in (absolute, *absolute.parents) if (each / ".git").exists()), None)
    if top is None or top == absolute:
        return []
    between = [each for each in absolute.parents if each == top or each.is_relative_to(top)]
    return [pattern for each in reversed(between) for pattern in _read(each)]


def _read(folder: Path) -> list[_Pattern]:
    lines = start_of(folder / ".gitignore", MAX_IGNORE).decode("utf-8", "replace").splitlines()
    base = folder.resolve() if lines else folder
    return [found for line in lines if (found := _pattern(base, line)) is not None]


def _pattern(base: Path, line: str) -> _Pattern | None:
    text = re.sub(r"(?<!\\)\s+$", "", line)
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text.removeprefix("!")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    names = [re.sub(r"\\(.)", r"[\1]", each) for each in text.lstrip("/").split("/")]
    if names[-1] == "**":
        names.append("*")  # what is inside, not the folder itself
    return _Pattern(base, (*(() if anchored else ("**",)), *names), folders_only, negated)


def _fits(names: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether the globs match the parts of a path one by one; `**` stands for any number.

    Only the last `**` is ever taken back, so that no pattern takes long.
    """
    name = part = 0
    star, taken = -1, 0
    while part < len(parts):
        if name < len(names) and names[name] == "**":
            star, taken = name, part
            name += 1
        elif name < len(names) and fnmatchcase(parts[part], names[name]):
            name, part = name + 1, part + 1
        elif star >= 0:
            taken += 1
            name, part = star + 1, taken
        else:
            return False
    return all(each == "**" for each in names[name:])


def _ignored(path: Path, patterns: list[_Pattern], *, is_folder: bool) -> bool:
    """The last pattern that matches decides."""
    absolute = path.parent.resolve() / path.name
    for each in reversed(patterns):
        if each.folders_only and not is_folder:
            continue
        if absolute.is_relative_to(each.base) and _fits(
            each.names, absolute.relative_to(each.base).parts
        ):
            return not each.negated
    return False
