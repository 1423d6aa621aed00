"""`upm-dev simulator`, as a process; and a state that survives it."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from simulator.conftest import LogIn, Start
from simulator.people import App

from devserver.errors import CannotStart


@contextmanager
def simulator(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The process and the lines of its banner."""
    process = subprocess.Popen(
        [sys.executable, "-m", "devserver", "simulator", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout
    assert process.stderr
    lines: list[str] = []
    try:
        while line := process.stdout.readline():
            lines.append(line)
            if "?token=$T" in line:
                break
        yield process, lines
    finally:
        process.kill()
        process.communicate()


def test_the_banner(tmp_path: Path) -> None:
    """Base URL, users, profile, and how to register by curl; SIGTERM ends it with 130."""
    log = tmp_path / "log"
    with simulator("--profile", "dc", "--product", "confluence", "--log", str(log)) as (one, lines):
        url = lines[1].split()[-1]
        assert url.endswith("/confluence")
        assert "admin/admin" in "".join(lines)
        assert "dc: " in lines[2]
        with urllib.request.urlopen(f"{url}/status") as answer:
            assert json.load(answer) == {"state": "RUNNING"}
        one.send_signal(signal.SIGTERM)
        assert one.wait(5) == 130
    (exchange,) = [json.loads(line) for line in log.read_text().splitlines()]
    assert (exchange["path"], exchange["status"]) == ("/confluence/status", 200)


def test_the_curl_line_works(tmp_path: Path) -> None:
    """What the banner says to type gets a token and an answer of the UPM, tokens included."""
    with simulator("--profile", "dc-locked") as (_, lines):
        script = "".join(lines[lines.index("to register by curl:\n") + 1 :])
        ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=20)
    assert "Plugins cannot be installed via upload" in ended.stdout


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--profile", "none"], 2, 'no profile "none"'),
        (["--allow-fetch", "x"], 2, "x is no network"),
        (["--host", "203.0.113.1"], 3, "no address of this machine"),
        (["--log", "/none/none"], 3, "cannot be written"),
    ],
)
def test_mistakes(options: list[str], code: int, says: str) -> None:
    """Each is one sentence and an exit code."""
    ended = subprocess.run(
        [sys.executable, "-m", "devserver", "simulator", "--port", "0", *options],
        capture_output=True,
        text=True,
        timeout=20,
    )

    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert says in ended.stderr.replace("none of 203.0.113.1 is an", "no")


def test_faults_and_a_warning(tmp_path: Path) -> None:
    """A file of faults is in force; listening to the world is warned of."""
    faults = tmp_path / "faults.toml"
    faults.write_text("[[fault]]\nkind='status'\nstatus=418\n")
    with simulator("--faults", str(faults), "--host", "0.0.0.0") as (process, lines):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{lines[1].split()[-1]}/status")
        caught.value.close()
        assert caught.value.code == 418
        process.terminate()
        assert process.stderr
        assert "warning: whoever reaches 0.0.0.0" in process.stderr.read()


async def test_state(start: Start, log_in: LogIn, app: App, tmp_path: Path) -> None:
    """Apps, secrets, keys, settings and the log come back; the file is its owner's alone."""
    from devserver.simulator import simulated_host

    path = tmp_path / "state.json"
    app.serve_json(enableLicensing=True)
    async with simulated_host(port=0, profile="connect", install_time=0, state=path) as before:
        admin = await log_in(before)
        await admin.install(app.descriptor)
        await admin.install(app.descriptor)
        before.state.set_setting("requestsDisabled", True, user="admin", now=0)
        pem = await before.identity.public_pem()
        await before.wait_saved()
        assert "com.example.connect" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    after = await start(profile="connect", state=path)

    assert after.state.plugins == before.state.plugins
    assert after.state.settings == before.state.settings
    assert list(after.state.log) == list(before.state.log)
    assert await after.identity.public_pem() == pem
    assert after.identity.client_key == before.identity.client_key
    app.received.clear()
    await (await log_in(after)).install(app.descriptor)
    assert "Authorization" in app.received[0].headers


@pytest.mark.parametrize("text", ["[]", '{"v": 2}', '{"v": 1}', "\0"])
async def test_a_state_that_is_none(start: Start, tmp_path: Path, text: str) -> None:
    """Told, with what to do; the file stays as it is."""
    path = tmp_path / "state.json"
    path.write_text(text)

    with pytest.raises(CannotStart) as caught:
        await start(state=path)

    assert "state.json" in caught.value.reason
    assert path.read_text() == text
    with pytest.raises(CannotStart):
        await start(state=tmp_path)


def test_it_starts_quickly() -> None:
    """Half a second is the bar; here it is only made sure that nothing slow crept in."""
    began = time.perf_counter()
    with simulator():
        assert time.perf_counter() - began < 5
