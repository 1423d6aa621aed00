"""`validate` and its sisters as a user calls them, in this process: what they write and answer."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from devserver.cli import main

GOOD = """\
<atlassian-plugin key="com.acme.app" name="Acme" plugins-version="2">
  <plugin-info>
    <version>1.0.0</version>
    <vendor name="Acme" url="https://acme.example"/>
  </plugin-info>
  <web-section key="s" location="l" weight="10"/>
</atlassian-plugin>
"""

Run = Callable[..., Result]


@pytest.fixture
def good() -> str:
    return GOOD


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run upm-dev in a fresh folder."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, input: bytes | None = None) -> Result:
        return CliRunner().invoke(main, arguments, input=input)

    return invoke


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file of the fresh folder."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
