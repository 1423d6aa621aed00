"""Callbacks on their whole way: a simulated host, `upm-dev serve` in a process, and the app."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from processes import Process, environment, upm_dev
from projects import SETTINGS, TEMPLATE, Project
from yarl import URL

from devserver.simulator import SimulatedHost, simulated_host
from devserver.simulator.lab import Lab
from devserver.web.listen import open_sockets, serving

CONNECT = """\
{
  "key": "com.acme.hello", "name": "Hello", "version": "{{ version }}", "baseUrl": "{{ base_url }}",
  "authentication": {"type": "jwt"},
  "apiMigrations": {"signed-install": true},
  "lifecycle": {"installed": "/installed", "enabled": "/enabled", "uninstalled": "/uninstalled"},
  "modules": {"generalPages": [{"key": "page", "url": "/page", "name": {"value": "Page"}}]}
}
"""


@dataclass
class App:
    """The app behind; keeps what it is asked, and answers as it is told to."""

    url: str = ""
    asked: list[tuple[str, list[tuple[str, str]], bytes]] = field(default_factory=list)
    answer: Callable[[web.Request], web.Response] = lambda _: web.Response(status=204)

    async def hear(self, request: web.Request) -> web.Response:
        headers = list(request.headers.items())
        self.asked.append((request.raw_path, headers, await request.read()))
        return self.answer(request)

    @property
    def paths(self) -> list[str]:
        return [path.partition("?")[0] for path, _, _ in self.asked]


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App()
    behind = web.Application()
    behind.add_routes([web.post("/{path:.*}", app.hear)])
    async with serving(behind, open_sockets("127.0.0.1", 0)) as port:
        app.url = f"http://127.0.0.1:{port}"
        yield app


@dataclass
class Home:
    process: Process
    host: SimulatedHost
    public: str

    def lab(self) -> Lab:
        """The target itself, with calls that it did not make by itself."""
        (plugin,) = (each for each in self.host.state.plugins.values() if each.app.base_url)
        return Lab(self.host, plugin.app, rs256=True, secret=plugin.secret or "")


@asynccontextmanager
async def home(
    root: Path,
    host: SimulatedHost,
    app: App | None = None,
    *,
    template: str = TEMPLATE,
    state: str = "confirmed",
) -> AsyncIterator[Home]:
    project = Project(root / "hello")
    if template.startswith("{"):
        project.template.unlink(missing_ok=True)
        project.save(template, project.root / "atlassian-connect.json.j2")
    else:
        project.save(template)
    if app is not None:
        settings = SETTINGS.replace("[app]\n", f'[app]\nbackend = "{app.url}"\n')
        project.settings.write_text(settings, encoding="utf-8")
    given = ("--target", host.url, "--json", "--port", "0")
    env = environment(XDG_STATE_HOME=str(root / "state"))
    async with upm_dev("serve", project.root, *given, env=env) as process:
        started = await process.seen("started")
        await process.seen("target", state=state, revision="r1", within=20)
        yield Home(process, host, started["urls"]["descriptor"].rpartition("/")[0])


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_the_app_gets_what_the_host_sent(tmp_path: Path, app: App) -> None:
    """Path, query, signature, body; beside it, under which address the host asked."""
    async with simulated_host(port=0) as host, home(tmp_path, host, app) as our:
        ((path, headers, body),) = app.asked
        said = dict(headers)
        assert path == "/installed"
        assert said["Authorization"].startswith("OAuth ")
        assert said["Host"] == said["X-Forwarded-Host"] == URL(our.public).authority
        assert said["Content-Type"] == "application/json"
        assert json.loads(body)["clientKey"] == host.identity.client_key


@pytest.mark.parametrize(
    ("profile", "event", "template"),
    [("xml-era", "remote_plugin_installed", TEMPLATE), ("connect", "installed", CONNECT)],
)
async def test_what_no_host_sent(
    tmp_path: Path, app: App, profile: str, event: str, template: str
) -> None:
    """Every forgery that the callback lab knows is answered 401, shown, and kept from the app."""
    async with (
        simulated_host(port=0, profile=profile) as host,
        home(tmp_path, host, app, template=template) as our,
    ):
        sent = await our.lab().all(event, "/installed?user_key=a%20b")

        assert [each.answer.status for each in sent] == [204] + [401] * (len(sent) - 1)
        while len(our.process.of("callback", verdict="forged", status=401)) < len(sent) - 1:
            await our.process.seen("callback")
        assert len(app.asked) == len(our.process.of("callback", verdict="genuine"))


async def test_another_way_to_write_a_path(
    tmp_path: Path, app: App, client: aiohttp.ClientSession
) -> None:
    """Routers take many for the same; a forged call does not get by for a slash more."""
    async with simulated_host(port=0) as host, home(tmp_path, host, app) as our:
        before = len(app.asked)
        for path in (
            "/installed/",
            "//installed",
            "/INSTALLED",
            "/./installed",
            "/x/../installed",
            "/%69nstalled",
            "/installed%2f",
            "/installed;a=b",
            "/installed%20",
            "/installed%00.html",
            "/x/..%5cinstalled",
            "/installed%09/",
            "/installed%0a",
            "/installed%2500",
            "/installed%e2%80%8b",
        ):
            url = URL(our.public + path, encoded=True)
            async with client.post(url, json={"key": "com.acme.hello"}) as answer:
                assert answer.status == 401, path
        for method, name in (("PUT", "X-HTTP-Method-Override"), ("GET", "X_Method_Override")):
            headers = {name: "POST"}
            async with client.request(method, f"{our.public}/installed", headers=headers) as answer:
                assert answer.status == 401, method
        async with client.post(f"{our.public}/elsewhere", json={}) as answer:
            assert answer.status == 204
        assert app.paths[before:] == ["/elsewhere"]


HALF = base64.urlsafe_b64encode(b'{"alg":"\\ud800","iss":"\\ud800"}').rstrip(b"=")


async def test_what_is_no_text(tmp_path: Path, app: App) -> None:
    """Bytes and halves of characters are refused like any other forgery, and leave no trace that
    a terminal, a page or the record could stumble over.
    """
    now = int(time.time())
    said = b'OAuth oauth_consumer_key="%b", oauth_signature_method="RSA-SHA1", oauth_nonce="\xff", '
    said += b'oauth_timestamp="%d", oauth_signature="AAAA"' % now
    half = b'{"key": "\\ud800", "clientKey": "\\ud800", "baseUrl": "\\ud800"}'
    async with simulated_host(port=0) as host, home(tmp_path, host, app) as our:
        for authorization, body in (
            (said.replace(b"%b", b"\xff"), b"{}"),
            (said.replace(b"%b", b"%ff"), half),
            (b"JWT \xff.\xff.\xff", half),
            (b"JWT " + HALF + b"." + HALF + b".AAAA", half),
            (b"\xff", b"{" * 100_000),
        ):
            answer = await bytes_sent(
                our.public,
                b"POST /installed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                b"User-Agent: \xff\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n%b"
                % (authorization, len(body), body),
            )
            assert answer.startswith(b"HTTP/1.1 401 "), answer
        for header in (b"Expect: \xff", b"Expect: tea"):
            head = b"POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            answer = await bytes_sent(our.public, head + header + b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 417 "), answer
        await our.process.stop()
    assert len(our.process.of("callback", verdict="forged")) == 5
    assert our.process.errors == ""
    assert app.paths == ["/installed"]


async def bytes_sent(to: str, request: bytes) -> bytes:
    """Everything that comes back for these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(to).port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_events_at_one_path(tmp_path: Path) -> None:
    """They are told apart by what the call says; a silent one is the one that proves."""
    template = CONNECT.replace('"/installed"', '"/life"').replace('"/enabled"', '"/life"')
    async with (
        simulated_host(port=0, profile="connect") as host,
        home(tmp_path, host, template=template) as our,
    ):
        while len(told := our.process.of("callback", verdict="genuine", path="/life")) < 2:
            await our.process.seen("callback")
        assert {each["event"] for each in told} == {"installed", "enabled"}
    silent = TEMPLATE.replace(
        "</atlassian-plugin>",
        '<webhook key="off" event="remote_plugin_disabled" url="/installed"/></atlassian-plugin>',
    )
    async with (
        simulated_host(port=0) as host,
        home(tmp_path / "silent", host, template=silent) as our,
    ):
        (confirmed,) = our.process.of("target", state="confirmed")
        assert confirmed["by"] == "callback"


@pytest.mark.parametrize(("status", "state"), [(200, "confirmed"), (500, "refused")])
async def test_the_app_decides(tmp_path: Path, app: App, status: int, state: str) -> None:
    """What it answers to `installed` is what the host goes by; it hears of its removal too."""
    app.answer = lambda _: web.Response(status=status, text="so it is")
    async with (
        simulated_host(port=0, profile="connect") as host,
        home(tmp_path, host, app, template=CONNECT, state=state) as our,
    ):
        (told,) = our.process.of("callback", event="installed")
        assert told["status"] == status
        await our.process.stop()
    assert ("/uninstalled" in app.paths) == (status == 200)


async def test_a_call_for_another_app_does_not_get_by(
    tmp_path: Path, app: App, client: aiohttp.ClientSession
) -> None:
    """A first install need not be signed, but one that names no app of ours is none."""
    async with (
        simulated_host(port=0, profile="connect") as host,
        home(tmp_path, host, app, template=CONNECT) as our,
    ):
        body = {"key": "com.example.nobody", "eventType": "installed", "sharedSecret": "x" * 40}
        async with client.post(f"{our.public}/installed", json=body) as answer:
            assert answer.status == 401
        told = await our.process.seen("callback", verdict="forged")
        assert told["key"] == "com.example.nobody"
        assert not any(b"com.example.nobody" in each for _, _, each in app.asked)


async def test_secrets_survive_a_restart(tmp_path: Path) -> None:
    """What a host shared before a crash proves its next install, which is signed with it alone."""
    async with simulated_host(port=0, profile="connect") as host:
        async with home(tmp_path, host, template=CONNECT) as our:
            secret = our.lab().secret
            our.process.process.kill()
            await our.process.ended()
        unsigned = CONNECT.replace("true", "false")
        async with home(tmp_path, host, template=unsigned) as our:
            (told,) = our.process.of("target", state="confirmed")
            assert told["by"] == "callback"
            files = list((tmp_path / "state").glob("**/callbacks/*"))
            assert {each.suffix for each in files} == {".sqlite", ".sqlite-wal", ".sqlite-shm"}
            assert {oct(each.stat().st_mode & 0o777) for each in files} == {"0o600"}
        assert not any(
            secret.encode() in each.read_bytes()
            for each in (tmp_path / "hello").rglob("*")
            if each.is_file()
        )
