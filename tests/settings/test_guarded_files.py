"""Settings files of a project that is somebody else's: read only where they are ordinary files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from devserver.settings import SettingsInvalid, load


def a_link_out(file: Path) -> None:
    outside = file.parent.parent / "outside"
    outside.write_text("UPM_DEV_PASSWORD=other-projects-secret\n", encoding="utf-8")
    file.symlink_to(outside)


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def too_large(file: Path) -> None:
    with file.open("wb") as out:
        out.truncate(64 << 20)


@pytest.mark.parametrize("name", [".env", "upm-dev.toml", "pyproject.toml"])
@pytest.mark.parametrize("make", [a_link_out, a_pipe, too_large])
def test_it_is_not_read(tmp_path: Path, name: str, make: Callable[[Path], None]) -> None:
    """A link that leads out, a pipe, a file without end: a mistake with its name, told at once."""
    root = tmp_path / "project"
    root.mkdir()
    make(root / name)

    with pytest.raises(SettingsInvalid) as caught:
        load(root, {}, {})

    found = caught.value.diagnostics
    assert [(each.code, each.position.file) for each in found] == [("C001", name)]
    assert "secret" not in str(caught.value) + str(caught.value.sources)
