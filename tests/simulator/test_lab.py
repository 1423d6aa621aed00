"""The callback lab, against an app that trusts everybody and one that checks as it has to."""

import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner
from simulator.conftest import Start
from simulator.people import REMOTE_XML, App
from simulator.strict import Strict

from devserver.cli.callback import FORGERIES, command
from devserver.simulator.app import App as Described
from devserver.simulator.app import Kind
from devserver.simulator.lab import Lab


def described(url: str, kind: Kind) -> Described:
    return Described(kind=kind, key="com.example.app", name="App", version="1", base_url=url)


@pytest.fixture
async def strict() -> AsyncIterator[Strict]:
    """A running app that checks."""
    checks = Strict()

    async def answer(request: web.Request) -> web.Response:
        genuine = checks.accepts(request, await request.read())
        return web.Response(status=204 if genuine else 401)

    server = web.Application()
    server.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    checks.url = f"http://localhost:{runner.addresses[0][1]}"
    yield checks
    await runner.cleanup()


CASES = [
    ("remote_plugin_installed", "/installed?a=b%20c&a=1", Kind.REMOTE_XML),
    ("installed", "/installed", Kind.CONNECT_JSON),
    ("enabled", "/enabled", Kind.CONNECT_JSON),
]


@pytest.mark.parametrize(("event", "path", "kind"), CASES)
async def test_a_strict_app(
    start: Start, strict: Strict, event: str, path: str, kind: Kind
) -> None:
    """It takes the genuine call, and none of the forgeries: each is wrong in what it says."""
    host = await start(profile="connect" if kind is Kind.CONNECT_JSON else "xml-era")
    strict.client_key = host.identity.client_key
    strict.public_key = await host.identity.public_pem()
    lab = Lab(host, described(strict.url, kind), rs256=True)
    strict.secret = lab.secret

    sent = await lab.all(event, path)

    assert {each.name: each.answer.status for each in sent if not each.as_it_should} == {}
    assert sent[0].genuine
    assert len(sent) >= 8


@pytest.mark.parametrize(("event", "path", "kind"), CASES)
async def test_a_careless_app(start: Start, app: App, event: str, path: str, kind: Kind) -> None:
    """It lets every forgery in, and the lab says so."""
    host = await start(profile="connect" if kind is Kind.CONNECT_JSON else "xml-era")
    lab = Lab(host, described(app.url, kind), rs256=True)

    sent = await lab.all(event, path)

    assert all(each.let_in for each in sent)
    assert [each.as_it_should for each in sent] == [True] + [False] * (len(sent) - 1)
    assert {each.name for each in sent} <= {"genuine", *FORGERIES}


class Careless(BaseHTTPRequestHandler):
    """Trusts everybody; for the command, which runs an event loop of its own."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.seen.append((self.path, self.rfile.read(length)))  # type: ignore[attr-defined]
        self.send_response(self.server.answer)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def careless() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        server.seen = []  # type: ignore[attr-defined]
        server.answer = 200  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def base_url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_the_command(careless: ThreadingHTTPServer) -> None:
    """A genuine call that is taken is exit 0; what is let in with --all is exit 1."""
    run = CliRunner().invoke

    one = run(command, ["installed", "--to", base_url(careless)])
    many = run(command, ["installed", "--to", base_url(careless), "--all", "--json"])
    forged = run(command, ["enabled", "--to", base_url(careless), "--forge", "alg-none"])

    assert (one.exit_code, one.stdout.split()[:2]) == (0, ["ok", "genuine"])
    assert many.exit_code == 1
    found = {each["name"]: each["let_in"] for each in json.loads(many.stdout)}
    assert found["hs256"] is True
    assert (forged.exit_code, "LET IN" in forged.stdout) == (1, True)
    assert careless.seen[0][0] == "/installed?user_key=admin"  # type: ignore[attr-defined]


def test_an_app_that_refuses_everything(careless: ThreadingHTTPServer) -> None:
    """A genuine call that is not taken is a failure too; a refused forgery is not."""
    careless.answer = 401  # type: ignore[attr-defined]
    run = CliRunner().invoke

    genuine = run(command, ["installed", "--to", base_url(careless)])
    forged = run(command, ["installed", "--to", base_url(careless), "--forge", "expired"])
    nobody = run(command, ["installed", "--to", "http://127.0.0.1:1"])

    assert (genuine.exit_code, "NOT ACCEPTED" in genuine.stdout) == (1, True)
    assert (forged.exit_code, forged.stdout.split()[0]) == (0, "ok")
    assert (nobody.exit_code, "NO ANSWER" in nobody.stdout) == (1, True)


@pytest.mark.parametrize("posted", ['{"issue": 1}', "5", "no JSON at all"])
def test_what_the_descriptor_says(
    careless: ThreadingHTTPServer, tmp_path: Path, posted: str
) -> None:
    """Key, path and dialect come from it; a body of one's own is sent as it is."""
    descriptor = tmp_path / "atlassian-plugin.xml"
    descriptor.write_text(REMOTE_XML.format(base="http://elsewhere", version="1"))
    body = tmp_path / "body.json"
    body.write_text(posted)
    run = CliRunner().invoke
    options = ["--to", base_url(careless), "--descriptor", str(descriptor)]

    result = run(command, ["jira:issue_created", *options, "--body", str(body)])

    assert result.exit_code == 0, result.output
    assert careless.seen == [("/issue?a=b%20c", posted.encode())]  # type: ignore[attr-defined]


def test_mistakes(tmp_path: Path) -> None:
    """A forgery that this dialect does not have, and a descriptor that is none, are told."""
    descriptor = tmp_path / "x.xml"
    descriptor.write_text("<nothing/>")
    run = CliRunner().invoke

    other = run(command, ["installed", "--to", "http://localhost:1", "--forge", "stale"])
    wrong = run(command, ["x", "--to", "http://localhost:1", "--descriptor", str(descriptor)])

    assert "stale" in str(other.exception)
    assert "<nothing>" in str(wrong.exception)
