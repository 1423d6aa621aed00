"""Whom the host calls, and how: fetching, redirects, forbidden addresses, callbacks, ports."""

import ipaddress
import json
import socket
from collections.abc import AsyncIterator

import jwt
import pytest
from aiohttp import web
from simulator.conftest import LogIn, Start
from simulator.people import App, Client
from yarl import URL

from devserver.errors import CannotStart, PortInUse, UsageError
from devserver.simulator import SimulatedHost, signing, spool
from devserver.simulator.reach import Forbidden, Reach, Resolver

UPM = "upm.pluginInstall.error."

VECTORS = [
    ("/installed?user_key=admin", "POST&/installed&user_key=admin", "4ca63d01"),
    ("", "POST&/&", "6dfb5832"),
    ("/p?b=2&a=1&a=0&c", "POST&/p&a=0,1&b=2&c=", "2cbc3607"),
    ("/p?jwt=abc&z=~*'()!", "POST&/p&z=~%2A%27%28%29%21", "780c083f"),
    ("/p&q?x=é+1", "POST&/p%26q&x=%C3%A9%201", "4db5c089"),
    ("/p?a=1,2&a=3", "POST&/p&a=1%2C2,3", "33087e36"),
    ("/p?A=1&a=2&B=3", "POST&/p&A=1&B=3&a=2", "6b924727"),
]


@pytest.mark.parametrize(("path", "canonical", "digest"), VECTORS)
@pytest.mark.parametrize("base", ["http://app", "http://app/below", "http://app/below/"])
def test_qsh(base: str, path: str, canonical: str, digest: str) -> None:
    """Every vector of §7.3, wherever the app lives."""
    url = base.rstrip("/") + path

    assert signing.canonical_request("POST", url, base) == canonical
    assert signing.qsh("post", url, base).startswith(digest)


@pytest.mark.parametrize(
    ("hops", "status", "code"),
    [
        (1, 301, None),
        (6, 302, None),
        (7, 302, "response.exception"),
        (1, 303, "response.exception"),
        (1, 307, "response.exception"),
        (1, 308, "response.exception"),
    ],
)
async def test_redirects(
    start: Start, log_in: LogIn, app: App, hops: int, status: int, code: str | None
) -> None:
    """301 and 302 are followed six times, nothing else is (§8)."""
    admin = await log_in(await start())
    seen: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(dict(request.headers))
        left = int(request.match_info["left"])
        if left:
            return web.Response(status=status, headers={"Location": f"/{left - 1}.xml"})
        return web.Response(body=app.body, content_type="text/xml")

    server = web.Application()
    server.router.add_get("/{left}.xml", answer)
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        ended = await admin.install(f"http://127.0.0.1:{runner.addresses[0][1]}/{hops}.xml")
    finally:
        await runner.cleanup()

    if code is None:
        assert ended.status == 303
        assert "X-Pac-Client-Info" in seen[0]
        assert not any("X-Pac-Client-Info" in headers for headers in seen[1:])
    else:
        assert ended.json["status"]["subCode"] == UPM + code


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("file:///etc/passwd", "unsupported.protocol"),
        ("ftp://localhost/x.xml", "unsupported.protocol"),
        ("http://169.254.169.254/latest/meta-data/", "response.exception"),
        ("http://10.0.0.1/x.xml", "response.exception"),
        ("http://0.0.0.0/x.xml", "response.exception"),
        ("http://2852039166/x.xml", "response.exception"),
        ("http://0251.0376.0251.0376/x.xml", "response.exception"),
        ("http://0xa9fea9fe/x.xml", "response.exception"),
        ("http://169.16689662/x.xml", "response.exception"),
        ("http://localhost@169.254.169.254/x.xml", "response.exception"),
        ("http://169.254.169.254#@localhost/x.xml", "response.exception"),
        ("http://[::127.0.0.1]/x.xml", "response.exception"),
        ("http://[64:ff9b::a9fe:a9fe]/x.xml", "response.exception"),
        ("http://[::ffff:10.0.0.1]/x.xml", "response.exception"),
        ("http://[fe80::1]/x.xml", "response.exception"),
        ("http://no-such-host.invalid/x.xml", "response.exception"),
        ("http://localhost:1/x.xml", "response.exception"),
    ],
)
async def test_addresses_that_are_not_fetched(admin: Client, uri: str, code: str) -> None:
    """Only this machine is asked; files never are."""
    assert await admin.refused(uri) == UPM + code


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("http://localhost:1/x.xml", "nobody listens there"),
        ("http://no-such-host.invalid/x.xml", "the name of the host is not known"),
        ("http://10.0.0.1/x.xml", "--allow-fetch"),
    ],
)
async def test_why_it_was_not_fetched(
    host: SimulatedHost, admin: Client, uri: str, says: str
) -> None:
    """The administrator reads what was wrong."""
    await admin.install(uri)

    (task,) = host.state.tasks
    assert task.refusal
    assert says in task.refusal.message


async def test_a_redirect_to_a_forbidden_address(admin: Client, app: App) -> None:
    """Redirects obey the same rules."""
    app.status, app.headers = 302, {"Location": "http://169.254.169.254/"}
    assert await admin.refused(app.descriptor) == UPM + "response.exception"
    app.headers = {"Location": "file:///etc/passwd"}
    assert await admin.refused(app.descriptor) == UPM + "unsupported.protocol"
    app.headers = {"Location": "http://["}
    assert await admin.refused(app.descriptor) == UPM + "response.exception"


async def test_what_streams_in_is_bounded() -> None:
    """More than the limit is not kept; a stream that breaks off leaves nothing open."""

    async def chunks(count: int, *, breaks: bool = False) -> AsyncIterator[bytes]:
        for _ in range(count):
            yield b"x" * 10
        if breaks:
            raise ConnectionResetError

    kept = await spool.keep(chunks(3), limit=30)
    assert kept
    with kept:
        assert kept.read() == b"x" * 30
    assert await spool.keep(chunks(4), limit=30) is None
    with pytest.raises(ConnectionResetError):
        await spool.keep(chunks(1, breaks=True))


def test_reach() -> None:
    """Loopback always, allowed networks too, link-local and multicast never."""
    reach = Reach([ipaddress.ip_network("0.0.0.0/0")])

    for address in ("127.0.0.1", "127.8.8.8", "::1", "10.0.0.1", "::ffff:8.8.8.8"):
        assert reach.allows(address), address
    for address in (
        "169.254.1.1",
        "fe80::1%eth0",
        "::ffff:169.254.1.1",
        "224.0.0.1",
        "2001:db8::1",
    ):
        assert not reach.allows(address), address
    with pytest.raises(Forbidden, match="--allow-fetch"):
        Reach().check(URL("http://8.8.8.8/"))


async def test_names_are_judged_by_their_addresses() -> None:
    """A name that leads elsewhere is refused when it is resolved, and only then connected to."""
    resolver = Resolver(Reach())
    assert {each["host"] for each in await resolver.resolve("localhost", 80)} <= {
        "127.0.0.1",
        "::1",
    }
    try:
        found = socket.getaddrinfo(socket.gethostname(), 80)
    except OSError:
        found = []
    if any(not ipaddress.ip_address(each[4][0]).is_loopback for each in found):
        with pytest.raises(Forbidden):
            await resolver.resolve(socket.gethostname(), 80)
    await resolver.close()


async def test_connect_signs_a_reinstall_with_the_secret_before(
    start: Start, log_in: LogIn, app: App
) -> None:
    """First unsigned, then HS256 by the previous secret; `enabled` always by the last (§7.2)."""
    host = await start(profile="connect")
    admin = await log_in(host)
    app.serve_json()

    await admin.install(app.descriptor)
    await host.called_back("enabled")
    await admin.install(app.descriptor)
    await host.called_back("enabled", count=2)
    await admin("DELETE", "com.example.connect-key")
    await host.called_back("uninstalled")

    one, on, two, on_again, off, gone = app.received
    assert "Authorization" not in one.headers
    secrets = [one.body["sharedSecret"], two.body["sharedSecret"]]
    assert secrets[0] != secrets[1]
    for call, secret in [(on, 0), (two, 0), (on_again, 1), (off, 1), (gone, 1)]:
        token = call.headers["Authorization"].removeprefix("JWT ")
        claims = jwt.decode(token, secrets[secret], algorithms=["HS256"])
        assert claims["iss"] == host.identity.client_key
        assert claims["exp"] - claims["iat"] == 180
        assert call.body["eventType"] == call.path.split("?")[0].strip("/")
        assert (call is two) == ("sharedSecret" in call.body)
    assert "…" in json.dumps([each.body for each in host.callbacks], ensure_ascii=False)
    assert secrets[1] not in json.dumps([each.to_json() for each in host.callbacks])


async def test_signed_installs(start: Start, log_in: LogIn, app: App) -> None:
    """RS256 with `kid` and `aud` where the descriptor asks for it (§7.4)."""
    host = await start(profile="connect")
    admin = await log_in(host)
    app.serve_json(apiMigrations={"signed-install": True})

    await admin.install(app.descriptor)

    token = app.received[0].headers["Authorization"].removeprefix("JWT ")
    kid = jwt.get_unverified_header(token)["kid"]
    pem = (await admin("GET", f"{host.origin}/keys/{kid}")).text
    claims = jwt.decode(token, pem, algorithms=["RS256"], audience=app.url)
    assert claims["qsh"].startswith("4ca63d01")


async def test_apps_that_cannot_be_called(start: Start, log_in: LogIn, app: App) -> None:
    """Nobody there, an unknown name, a forbidden address: each by its subCode (§7.2)."""
    admin = await log_in(await start(profile="connect"))

    for base, code in [
        ("http://localhost:1", "connect.remote.upm.install.exception"),
        ("http://no-such-host.invalid", "connect.install.error.remote.host.bad.domain"),
        ("http://10.0.0.1", "connect.remote.upm.install.exception"),
        (app.url.replace("http", "https"), "connect.install.error.remote.host.ssl"),
    ]:
        app.serve_json(baseUrl=base)
        assert await admin.refused(app.descriptor) == code


async def test_an_app_that_does_not_answer(start: Start, log_in: LogIn, app: App) -> None:
    """Silence is a timeout, by its own subCode."""
    admin = await log_in(await start(profile="connect", callback_timeout=0.05))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app.serve_json(baseUrl=f"http://127.0.0.1:{silent.getsockname()[1]}")

        code = await admin.refused(app.descriptor)

    assert code == "connect.install.error.remote.host.timeout"


async def test_a_base_url_that_is_elsewhere(start: Start, log_in: LogIn, app: App) -> None:
    """Redirects and callbacks name the configured base URL, not where the request came to."""
    host = await start(base_url="https://jira.example.com/jira/")
    admin = await log_in(host)

    accepted = await admin.post(app.descriptor)
    await host.called_back("remote_plugin_installed")

    there = accepted.headers["Location"]
    assert there.startswith("https://jira.example.com/jira/rest/plugins/1.0/pending/")
    done = await admin("GET", there.replace("https://jira.example.com", host.origin))
    assert done.headers["Location"] == (
        "https://jira.example.com/jira/rest/plugins/1.0/com.example.hello-key"
    )
    assert app.received[0].body["baseUrl"] == "https://jira.example.com/jira"


async def test_ports(start: Start) -> None:
    """A port that is taken is said to be; a free one is used only where that is asked for."""
    host = await start()

    with pytest.raises(PortInUse):
        await start(port=host.port)

    other = await start(port=host.port, or_free=True)
    assert other.port != host.port
    bare = await start(context="/")
    assert bare.url == bare.origin


async def test_places_that_are_none(start: Start) -> None:
    """A host name, a foreign address and a network that is none are told."""
    for options, error in [
        ({"hosts": ["localhost"]}, CannotStart),
        ({"hosts": ["203.0.113.1"]}, CannotStart),
        ({"allow_fetch": ["everything"]}, UsageError),
    ]:
        with pytest.raises(error):
            await start(**options)


async def test_both_loopbacks_and_the_context(host: SimulatedHost, admin: Client) -> None:
    """127.0.0.1 answers as localhost does; the root leads to the context path."""
    assert (await admin("GET", f"http://127.0.0.1:{host.port}/jira/status")).status == 200
    root = await admin("GET", f"{host.origin}/")
    assert (root.status, root.headers["Location"]) == (302, "/jira/")
