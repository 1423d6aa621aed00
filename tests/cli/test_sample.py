"""The sample app: what newcomers see first is without a mistake, and works."""

import importlib.util
import tomllib
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner

from devserver.cli import main
from devserver.settings import load

SAMPLE = Path(__file__).parents[2] / "sample-plugin"


def test_the_sample_validates_without_a_word() -> None:
    """No error, no warning."""
    result = CliRunner().invoke(main, ["validate", str(SAMPLE), "--format", "json"])

    assert result.exit_code == 0
    assert '"diagnostics": []' in result.stdout


def test_the_sample_renders_as_the_tutorial_wants_it() -> None:
    """A page from the include, a web item, and the webhook that proves the installation."""
    result = CliRunner().invoke(main, ["render", str(SAMPLE)])

    assert result.exit_code == 0
    assert '<general-page key="hello"' in result.stdout
    assert '<remote-web-item key="greet"' in result.stdout
    assert 'event="remote_plugin_installed" url="/installed"' in result.stdout
    assert 'display-url="http://localhost:8000"' in result.stdout


def test_the_samples_settings_are_without_a_mistake() -> None:
    """They name the backend and its command; a target would keep the simulator away."""
    settings = load(SAMPLE, {}, {})

    assert not settings.warnings
    assert not settings.targets
    assert settings.backend == "http://localhost:3000"
    assert settings.command == "python app.py"
    assert tomllib.loads((SAMPLE / "upm-dev.toml").read_text(encoding="utf-8"))


async def test_the_samples_backend() -> None:
    """It serves its pages, escapes what it is given, and takes the webhook."""
    spec = importlib.util.spec_from_file_location("sample_app", SAMPLE / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    async with TestClient(TestServer(module.app())) as client:
        hello = await client.get("/hello", params={"user_id": "<b>"})
        assert "Hello, &lt;b&gt;!" in await hello.text()
        assert (await client.get("/greet")).status == 200
        payload = {"key": "org.example.hello", "baseUrl": "http://localhost:2990/jira"}
        assert (await client.post("/installed", json=payload)).status == 204
        for wrong in (b"", b"[]", b"{}", b"\xff"):
            answer = await client.post("/installed", data=wrong)
            assert answer.status == 400
