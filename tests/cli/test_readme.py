"""The README says nothing that is not so."""

import re
from pathlib import Path

from devserver.cli import COMMANDS
from devserver.settings import load

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_settings_file_is_one(tmp_path: Path) -> None:
    """The example is read without a mistake, and every key of it reaches its setting."""
    (example,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "upm-dev.toml").write_text(example, encoding="utf-8")
    (tmp_path / "ca.pem").write_bytes(b"")  # named in it

    settings = load(tmp_path, {}, {})

    assert settings.descriptor == "atlassian-plugin.xml.j2"
    assert settings.targets[0].variables == {"key_suffix": "-dev"}
    assert settings.public_url == "https://abc.example.org"


def test_the_commands_are_those_there_are() -> None:
    """Each in the table, and no other."""
    table = README.partition("## Commands")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `upm-dev ([a-z-]+)", table, flags=re.MULTILINE) == list(COMMANDS)


def test_the_two_commands_stand_at_the_top() -> None:
    """A newcomer finds them on the first screen."""
    first_screen = "\n".join(README.splitlines()[:12])

    assert "make serve" in first_screen
    assert "make test" in first_screen
