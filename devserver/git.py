"""What a repository's own files say: the branch, the commit, whether git is at work. No git is run.

The files may be somebody else's, and what they say reaches templates: so a branch is taken only
where it looks like one, a commit only where it is hexadecimal, and nothing but ordinary files is
opened.
"""

import os
import re
from pathlib import Path

from devserver.files import contents

_REF = re.compile(r"ref: (refs/(?:[\w@+=,%-]|[./](?![./]))+)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
SMALL = 4096
PACKED = 16 * 1024 * 1024


def facts(root: Path) -> dict[str, str]:
    """`branch` and `commit` of the repository *root* is in; empty where there is none to be had."""
    nothing = {"branch": "", "commit": ""}
    folder = _folder(root)
    if folder is None:
        return nothing
    head = _line(folder / "HEAD")
    if _COMMIT.fullmatch(head):
        return {"branch": "", "commit": head}
    named = _REF.fullmatch(head)
    if named is None:
        return nothing
    ref = named[1]
    common = folder / (_line(folder / "commondir") or ".")
    commit = _line(common / ref)
    if not _COMMIT.fullmatch(commit):
        commit = _packed(common / "packed-refs", ref)
    return {"branch": ref.removeprefix("refs/heads/"), "commit": commit}


def is_busy(root: Path) -> bool:
    """Whether git is changing the files of the repository that *root* is in."""
    folder = _folder(root)
    return folder is not None and os.path.lexists(folder / "index.lock")


def _folder(root: Path) -> Path | None:
    """The repository's own folder: `.git`, or where a worktree's `.git` file points."""
    for folder in (root, *root.parents):
        entry = folder / ".git"
        if entry.is_dir():
            return entry
        if os.path.lexists(entry):
            named = _line(entry).removeprefix("gitdir:").strip()
            return folder / named if named else None
    return None


def _line(file: Path) -> str:
    """The first line of a small file; empty where there is no such."""
    return _text(file, SMALL).partition("\n")[0].strip()


def _packed(file: Path, ref: str) -> str:
    for line in _text(file, PACKED).splitlines():
        commit, _, name = line.partition(" ")
        if name == ref and _COMMIT.fullmatch(commit):
            return commit
    return ""


def _text(file: Path, limit: int) -> str:
    try:
        return contents(file, limit).decode("utf-8", "replace")
    except (OSError, ValueError):  # none, not ours to read, or no name of a file: it says nothing
        return ""
