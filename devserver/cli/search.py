"""Descriptors below a folder, by name; `.gitignore` is honoured, builds and hidden folders left."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NAMES = re.compile(r"(atlassian-(plugin|remote-app)\.xml|atlassian-connect[\w.-]*\.json)(\.j2)?")
SKIPPED = frozenset({"node_modules", "target", "build", "dist", "venv", "__pycache__"})
MAX_FOLDERS = 50_000
MAX_IGNORE = 256 * 1024
"""Bytes of a .gitignore that are read."""


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line of a .gitignore in `base`, as git reads it."""

    base: Path
    matcher: re.Pattern[str]
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
    try:
        with (folder / ".gitignore").open("rb") as stream:
            lines = stream.read(MAX_IGNORE).decode("utf-8", "replace").splitlines()
    except OSError:  # mostly: there is none
        return []
    return [found for line in lines if (found := _pattern(folder.resolve(), line)) is not None]


def _pattern(base: Path, line: str) -> _Pattern | None:
    text = re.sub(r"(?<!\\)\s+$", "", line)
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    text = text.lstrip("/")
    matcher = _expression(text) if anchored else rf"(?:.*/)?{_expression(text)}"
    try:
        return _Pattern(base, re.compile(matcher), folders_only, negated)
    except re.error:
        return None  # git ignores a pattern that makes no sense, too


def _expression(glob: str) -> str:
    out, at = "", 0
    while at < len(glob):
        if glob.startswith("**/", at):
            out, at = out + "(?:.*/)?", at + 3
        elif glob.startswith("**", at):
            out, at = out + ".*", at + 2
        elif glob[at] == "*":
            out, at = out + "[^/]*", at + 1
        elif glob[at] == "?":
            out, at = out + "[^/]", at + 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            inner = glob[at + 1 : end].replace("\\", "\\\\")
            out, at = out + f"[{'^' + inner[1:] if inner[0] in '!^' else inner}]", end + 1
        else:
            out, at = out + re.escape(glob[at]), at + 1
    return out


def _ignored(path: Path, patterns: list[_Pattern], *, is_folder: bool) -> bool:
    """The last pattern that matches decides."""
    absolute = path.parent.resolve() / path.name
    for each in reversed(patterns):
        if each.folders_only and not is_folder:
            continue
        if absolute.is_relative_to(each.base) and each.matcher.fullmatch(
            absolute.relative_to(each.base).as_posix()
        ):
            return not each.negated
    return False
