"""The app of a whole `upm-dev serve`: however that ends, nothing of it is left."""

import asyncio
import signal
from pathlib import Path

import pytest
from app.test_app import SERVER, lives
from callbacks.test_through_serve import CONNECT
from ports import free_port
from processes import Process, environment, upm_dev
from projects import SETTINGS, Project

from devserver.simulator import simulated_host

STUBBORN = """\
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print("stubborn", flush=True)
time.sleep(600)
"""


def descendants(pid: int) -> list[int]:
    """Everything that *pid* started, and what that started."""
    parents = {}
    for each in Path("/proc").glob("[0-9]*"):
        try:
            stat = (each / "stat").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        parents[int(each.name)] = int(stat.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are listed in /proc")
@pytest.mark.parametrize(
    "how",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
    ids=lambda each: each.name,
)
async def test_nothing_is_left(tmp_path: Path, how: signal.Signals) -> None:
    """Neither the app, nor what it started and what ignores to be asked, nor helpers of ours."""
    project = Project(tmp_path / "hello")
    port = free_port()
    (project.root / "app.py").write_text(SERVER.format(word="up", port=port), encoding="utf-8")
    (project.root / "stubborn.py").write_text(STUBBORN, encoding="utf-8")
    command = "python stubborn.py & python app.py"
    app = f'[app]\nbackend = "http://127.0.0.1:{port}"\ncommand = "{command}"\n'
    project.save(SETTINGS.replace("[app]\n", app), project.settings)
    env = environment(UPM_DEV_PASSWORD="admin")
    async with simulated_host(port=0) as host:
        given = ("--target", host.url, "--trust", "--json", "--port", "0")
        async with upm_dev("serve", project.root, *given, env=env) as serve:
            await serve.seen("target", state="confirmed")
            while not serve.of("app", state="ready"):
                await serve.seen("app")
            await told(serve, "stubborn")
            pid = serve.process.pid
            started = descendants(pid)
            assert len(started) >= 3
            secrets = [each for each in started if b"UPM_DEV_" in environ_of(each)]
            assert not secrets
            serve.process.send_signal(how)
            await serve.ended()
            async with asyncio.timeout(5):
                while any(map(lives, started)):  # noqa: ASYNC110 - they tell nobody
                    await asyncio.sleep(0.02)


def environ_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


async def told(serve: Process, text: str) -> None:
    """Wait until the app has said *text*."""
    while not any(text in line for each in serve.of("output") for line in each["lines"]):
        await serve.seen("output")


TALKS = """\
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
kept = Path("kept.txt")
print("before:", kept.read_text() if kept.exists() else "nothing", flush=True)
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "sharedSecret" in said:
            kept.write_text(said["sharedSecret"])
        print("now:", kept.read_text(), flush=True)
        self.send_response(204)
        self.end_headers()
HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
"""


async def test_what_a_host_shared_is_not_shown(tmp_path: Path) -> None:
    """An app that prints its shared secret tells it nobody: now, nor at the next start."""
    project = Project(tmp_path / "hello")
    project.template.unlink()
    project.save(CONNECT, project.root / "atlassian-connect.json.j2")
    port = free_port()
    (project.root / "app.py").write_text(TALKS.replace("PORT", str(port)), encoding="utf-8")
    app = f'[app]\nbackend = "http://127.0.0.1:{port}"\ncommand = "python app.py"\n'
    project.save(SETTINGS.replace("[app]\n", app), project.settings)
    env = environment(UPM_DEV_PASSWORD="admin", XDG_STATE_HOME=str(tmp_path / "state"))
    async with simulated_host(port=0, profile="connect") as host:
        given = ("--target", host.url, "--trust", "--json", "--port", "0")
        for before in ("before: nothing", "before: ***"):
            async with upm_dev("serve", project.root, *given, env=env) as serve:
                await serve.seen("target", state="confirmed")
                await told(serve, before)
                await told(serve, "now: ***")
                await serve.stop()
                await serve.ended()
            secret = (project.root / "kept.txt").read_text(encoding="utf-8")
            assert len(secret) > 8
            assert secret not in str(serve.events) + serve.errors
