"""Third-party clients, as published, against the simulated host (upm-protocol.md §9).

`.ci/clients` installs them. Where they are not installed the tests are skipped, but never in CI.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from ports import free_port
from simulator.conftest import LogIn, Start
from simulator.people import App, connect_json
from simulator.zips import jar

from devserver.simulator import SimulatedHost

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("UPM_DEV_CLIENTS", ROOT / ".venv" / "clients"))
HERE = Path(__file__).parent / "clients"


def needs(what: str, *, found: bool) -> pytest.MarkDecorator:
    """Skip, visibly, where a client is missing; in CI it has to be there."""
    return pytest.mark.skipif(
        not found and not os.environ.get("CI"), reason=f"needs {what}: run .ci/clients"
    )


ace = needs(
    "atlassian-connect-express",
    found=(FOLDER / "ace" / ".installed-11.5.3").exists() and shutil.which("node") is not None,
)
api = needs("atlassian-python-api", found=(FOLDER / "api" / ".installed-5.0.5").exists())
curl = needs("curl", found=shutil.which("curl") is not None)


async def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program to its end; its output. Fails where it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def ace_app(host: SimulatedHost, folder: Path) -> AsyncIterator[str]:
    """atlassian-connect-express with the app of `clients/app.js`; its base URL."""
    port = free_port()
    base = f"http://localhost:{port}"
    target = host.url.replace("://", "://admin:admin@")
    development = {
        "port": port,
        "localBaseUrl": base,
        "store": {"adapter": "mem"},
        "hosts": [target],
    }
    config = {"product": "jira", "development": development}
    (folder / "config.json").write_text(json.dumps(config))
    write_descriptor(folder, "1.0")
    shutil.copy(HERE / "app.js", folder / "app.js")
    (folder / "node_modules").symlink_to((FOLDER / "ace" / "node_modules").resolve())
    environment = {
        **os.environ,
        "NODE_ENV": "development",
        "CONNECT_KEYS_CDN_URL": f"{host.origin}/keys",
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "node", "app.js", cwd=folder, env=environment, stdout=log, stderr=log
        )
    try:
        yield base
    except TimeoutError as error:
        raise AssertionError((folder / "log").read_text("utf-8", "replace")[-2000:]) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 10)


def write_descriptor(folder: Path, version: str) -> None:
    text = connect_json(
        "{{localBaseUrl}}",
        version,
        apiMigrations={"signed-install": True},
        lifecycle={"installed": "/installed", "uninstalled": "/uninstalled"},
    )
    (folder / "atlassian-connect.json").write_text(text)


def seen_through(host: SimulatedHost) -> int:
    """How many installations the client has followed to their end: to the plugin."""
    return sum(each.method == "GET" and each.path.endswith("-key") for each in host.journal)


@ace
async def test_atlassian_connect_express(start: Start, tmp_path: Path) -> None:
    """It registers, answers a signed install, registers again on a change, and deregisters."""
    host = await start(profile="connect", install_time=0.03)
    key = "com.example.connect"

    async with ace_app(host, tmp_path):
        first = await host.installed(key, within=20)
        assert first.app.version == "1.0"
        await host.wait(lambda: seen_through(host) == 1)
        write_descriptor(tmp_path, "2.0")
        second = await host.installed(key, "2.0", within=10)
        await host.wait(lambda: seen_through(host) == 2)
        assert second.secret != first.secret

    await host.wait(lambda: key not in host.state.plugins, within=5)
    calls = [each for each in host.callbacks if each.event == "installed"]
    assert {each.status for each in calls} == {204}, (tmp_path / "log").read_text()
    asked = [(each.method, each.stage, each.status) for each in host.journal]
    assert asked[0] == ("GET", "other", 200)  # its settings, before anything else
    assert ("POST", "install", 202) in asked
    assert ("GET", "poll", 303) in asked
    assert asked[-1] == ("DELETE", "other", 204)


API_SCRIPT = """
import json, sys, time
from atlassian import Jira
jira = Jira(url=sys.argv[1], username="admin", password="admin")
before = [each["key"] for each in jira.get_plugins_info()["plugins"]]
jira.upload_plugin(sys.argv[2])
for _ in range(50):
    try:
        found = jira.get_plugin_info("com.example.jar")
        break
    except Exception:
        time.sleep(0.05)
safe = jira.check_plugin_manager_status().json()
jira.delete_plugin("com.example.jar")
after = jira.get_plugins_info()["plugins"]
print(json.dumps({
    "before": before,
    "found": found["key"],
    "safe": safe["enabled"],
    "after": [each["key"] for each in after],
}))
"""


@api
@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
async def test_atlassian_python_api(start: Start, tmp_path: Path, profile: str) -> None:
    """It lists, uploads, reads, asks for safe mode, deletes."""
    host = await start(profile=profile, install_time=0.03)
    path = tmp_path / "app.jar"
    path.write_bytes(jar("com.example.jar"))
    python = str(FOLDER / "api" / "bin" / "python")

    told = json.loads(await run(python, "-c", API_SCRIPT, host.url, str(path)))

    assert told["found"] == "com.example.jar"
    assert told["safe"] is False
    assert told["before"] == told["after"]
    assert "com.atlassian.upm.atlassian-universal-plugin-manager-plugin" in told["before"]


TWICE = """
set -eu
T=$(curl -sI -u admin:admin "$B/rest/plugins/1.0/?os_authType=basic" | tr -d '\\r' \
    | sed -n 's/^upm-token: //Ip')
curl -si -u admin:admin -H 'Accept: application/json' \
  -H 'Content-Type: application/vnd.atl.plugins.install.uri+json' \
  -d '{"pluginUri":"'"$D"'","pluginName":"the app name"}' "$B/rest/plugins/1.0/?token=$T"
"""

COOKIES = """
set -eu
curl -s -c "$C" -o /dev/null -D "$H" -u admin:admin \
  -H 'Accept: application/vnd.atl.plugins.installed+json' "$B/rest/plugins/1.0/?os_authType=basic"
T=$(grep -i upm-token "$H" | cut -c 12- | tr -d '\\r ')
curl -si -b "$C" -H 'Content-Type: application/vnd.atl.plugins.install.uri+json' \
  -d '{"pluginUri":"'"$D"'"}' "$B/rest/plugins/1.0/?token=$T"
"""

FILE = """
set -eu
T=$(curl -sI -u admin:admin "$B/rest/plugins/1.0/?os_authType=basic" | tr -d '\\r' \
    | sed -n 's/^upm-token: //Ip')
curl -si -u admin:admin -H 'X-Atlassian-Token: no-check' -F "plugin=@$J" \
  "$B/rest/plugins/1.0/?token=$T"
"""


@curl
@pytest.mark.parametrize("script", [TWICE, COOKIES], ids=["credentials-twice", "cookies"])
async def test_curl_as_the_tutorial_says(
    host: SimulatedHost, app: App, tmp_path: Path, script: str
) -> None:
    """The tutorial's steps register the app, both ways it tells of."""
    settings = (
        f"B={host.url}; D={app.descriptor}; C={tmp_path / 'cookies'}; H={tmp_path / 'headers'}"
    )

    answer = await run("bash", "-c", f"{settings}\n{script}")

    assert answer.startswith("HTTP/1.1 202 ")
    await host.installed("com.example.hello")
    await host.wait(lambda: "/installed" in app.paths())


@curl
async def test_curl_uploads_a_file(host: SimulatedHost, tmp_path: Path) -> None:
    """`-F plugin=@x.jar` gets its answer in a textarea, as curl accepts anything."""
    path = tmp_path / "x.jar"
    path.write_bytes(jar("com.example.jar"))

    answer = await run("bash", "-c", f"B={host.url}; J={path}\n{FILE}")

    assert answer.startswith("HTTP/1.1 202 ")
    assert answer.rstrip().endswith("</textarea>")
    await host.installed("com.example.jar")


@curl
async def test_curl_meets_web_sudo(start: Start, log_in: LogIn, app: App, tmp_path: Path) -> None:
    """On Data Center the cookies alone are not enough: that is what web-sudo is."""
    host = await start(profile="dc")
    settings = (
        f"B={host.url}; D={app.descriptor}; C={tmp_path / 'cookies'}; H={tmp_path / 'headers'}"
    )

    answer = await run("bash", "-c", f"{settings}\n{COOKIES}")

    assert answer.startswith("HTTP/1.1 401 ")
    assert '{"subCode":"upm.websudo.error"}' in answer
