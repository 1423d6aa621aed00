"""The variables that every template has: what it may know of the world it is rendered for.

`base_url` (also `localBaseUrl`, for descriptors written for atlassian-connect-express), `app`
(`name`: the project's folder), `target` (`name`, `url`), `git` (`branch`, `commit`; empty outside a
repository), `env` (only the names allowed by `[app] env`, never `UPM_DEV_*`), then the project's
own from the variables files and the settings, then the target's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devserver.descriptor.variables import merged
from devserver.model import Diagnostic, Target
from devserver.settings import Settings


def for_target(
    settings: Settings,
    target: Target | None,
    *,
    base_url: str,
    files: Mapping[str, bytes],
    environ: Mapping[str, str],
) -> dict[str, Any] | tuple[Diagnostic, ...]:
    """The variables of one rendering, or what is wrong with the variables files among *files*.

    A later one wins: built in, variables files, settings, target.
    """
    own = merged(files, settings.variables_files)
    if isinstance(own, tuple):
        return own
    return {
        "base_url": base_url,
        "localBaseUrl": base_url,
        "app": {"name": settings.root.name},
        "target": {"name": target.name if target else "", "url": target.url if target else ""},
        "git": git_facts(settings.root),
        "env": allowed_env(settings.env, environ),
        **own,
        **settings.variables,
        **(target.variables if target else {}),
    }


def allowed_env(names: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the environment that the settings allow; ours hold secrets, so never."""
    return {
        name: environ[name]
        for name in names
        if name in environ and not name.upper().startswith("UPM_DEV_")
    }


def git_facts(root: Path) -> dict[str, str]:
    """`branch` and `commit` of the repository *root* is in, read from its files; no git is run."""
    folder = _git_folder(root)
    if folder is None:
        return {"branch": "", "commit": ""}
    head = _first_line(folder / "HEAD")
    if not head.startswith("ref: "):
        return {"branch": "", "commit": head}
    ref = head.removeprefix("ref: ")
    common = folder
    if named := _first_line(folder / "commondir"):
        common = folder / named
    commit = _first_line(common / ref) or _packed(common / "packed-refs", ref)
    return {"branch": ref.removeprefix("refs/heads/"), "commit": commit}


def _git_folder(root: Path) -> Path | None:
    for folder in (root, *root.parents):
        entry = folder / ".git"
        if entry.is_dir():
            return entry
        if entry.is_file():  # a worktree or a submodule
            named = _first_line(entry).removeprefix("gitdir: ")
            return (folder / named) if named else None
    return None


def _first_line(file: Path) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            return lines.readline(4096).strip()
    except OSError:  # no such file: that is the answer
        return ""


def _packed(file: Path, ref: str) -> str:
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                commit, _, name = line.strip().partition(" ")
                if name == ref:
                    return commit
    except OSError:
        return ""
    return ""
