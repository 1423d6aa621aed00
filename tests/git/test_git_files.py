"""What is told of a repository: from its files alone, and only what looks like it."""

import os
import subprocess
from pathlib import Path

import pytest

from devserver.git import facts, is_busy


def run_git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip()


def test_git_is_read_from_its_files(tmp_path: Path) -> None:
    """Branch and commit, loose or packed, in a worktree, detached, and nothing elsewhere."""
    assert facts(tmp_path / "nowhere") == {"branch": "", "commit": ""}
    repo = tmp_path / "repo"
    repo.mkdir()
    run_git(repo, "init", "-b", "trunk")
    run_git(repo, "commit", "--allow-empty", "-m", "one")
    commit = run_git(repo, "rev-parse", "HEAD")
    assert {"branch": "trunk", "commit": commit} == facts(repo)

    run_git(repo, "pack-refs", "--all")
    assert {"branch": "trunk", "commit": commit} == facts(repo)

    run_git(repo, "worktree", "add", "-b", "feature/a", "../tree")
    assert {"branch": "feature/a", "commit": commit} == facts(tmp_path / "tree")

    run_git(repo, "checkout", "--detach")
    assert {"branch": "", "commit": commit} == facts(repo)


COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOTHING = {"branch": "", "commit": ""}


def repository(root: Path, head: str) -> Path:
    folder = root / ".git"
    folder.mkdir()
    (folder / "HEAD").write_text(head, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "head",
    [
        "ref: /etc/passwd",
        "ref: ../../outside",
        "ref: refs/heads/../../../outside",
        "ref: refs/heads//x",
        "root:x:0:0:root",
        "",
        "ref: refs/heads/a b",
    ],
)
def test_what_is_no_reference_is_nothing(tmp_path: Path, head: str) -> None:
    """A HEAD made to lead elsewhere tells nothing of what is there."""
    (tmp_path / "outside").write_text("secret", encoding="utf-8")
    root = tmp_path / "a"
    root.mkdir()
    repository(root, head)

    assert facts(root) == NOTHING


def test_only_a_commit_is_told(tmp_path: Path) -> None:
    """What a branch's file holds is told where it is hexadecimal, and as nothing else."""
    folder = repository(tmp_path, "ref: refs/heads/feature/a-1")
    branch = folder / "refs" / "heads" / "feature" / "a-1"
    branch.parent.mkdir(parents=True)
    branch.write_text("secret\n", encoding="utf-8")
    assert facts(tmp_path) == {"branch": "feature/a-1", "commit": ""}

    branch.write_text(COMMIT + "\n", encoding="utf-8")
    assert facts(tmp_path) == {"branch": "feature/a-1", "commit": COMMIT}


def test_nothing_waits_for_a_pipe(tmp_path: Path) -> None:
    """A FIFO, a folder or a name with a NUL where a file should be: nothing is told, at once."""
    folder = repository(tmp_path, COMMIT)
    (folder / "HEAD").unlink()
    os.mkfifo(folder / "HEAD")
    assert facts(tmp_path) == NOTHING

    other = tmp_path / "other"
    other.mkdir()
    (other / ".git").write_bytes(b"gitdir: a\0b\n")
    assert facts(other) == NOTHING
    assert not is_busy(other)


def test_a_lock_says_that_git_is_at_work(tmp_path: Path) -> None:
    """The index.lock of the repository, wherever in it the project lies."""
    folder = repository(tmp_path, COMMIT)
    inner = tmp_path / "inner"
    inner.mkdir()
    assert not is_busy(inner)

    (folder / "index.lock").touch()
    assert is_busy(inner)
