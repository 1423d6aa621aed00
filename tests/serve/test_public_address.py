"""How targets reach us: the public URL is tried by ourselves, and exposure is said."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from ports import free_port
from processes import upm_dev
from projects import Project

from devserver.addresses import served_at
from devserver.interfaces import reached
from devserver.simulator import SimulatedHost, simulated_host


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "hello")


@asynccontextmanager
async def tunnel(kind: str) -> AsyncIterator[tuple[str, list[int]]]:
    """What stands between a target and us: hands requests on, or answers something else.

    Yields its address, and a list that takes the port to hand on to.
    """
    behind: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        if kind == "page":
            return web.Response(text="<html>Are you sure?</html>", content_type="text/html")
        if kind == "redirect":
            raise web.HTTPFound("https://login.example.org/in")
        headers = {**request.headers, "Host": f"localhost:{behind[0]}"}
        added = "?via=proxy" if kind == "adds" and request.method == "POST" else ""
        async with (
            ClientSession() as session,
            session.request(
                request.method,
                f"http://localhost:{behind[0]}{request.raw_path}{added}",
                headers=headers,
                data=await request.read(),
            ) as answer,
        ):
            return web.Response(
                status=answer.status,
                body=await answer.read() if answer.status != 204 else None,
                content_type=answer.content_type,
            )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", behind
    finally:
        await runner.cleanup()


async def test_a_working_tunnel_is_confirmed_without_a_word(project: Project) -> None:
    """The descriptor names the public URL, callbacks come through it, and nothing is warned of."""
    port = free_port()
    async with simulated_host(port=0) as host, tunnel("through") as (public, behind):
        behind.append(port)
        async with upm_dev(
            "serve", project.root, "--json", "--port", str(port), "--public-url", public,
            "--target", host.url,
        ) as serve:  # fmt: skip
            started = await serve.seen("started")
            assert started["urls"]["descriptor"].startswith(public)
            await serve.seen("target", state="confirmed", by="callback")
            assert await serve.stop() == 130
            await serve.ended()
            assert not serve.of("notice", severity="warning")


async def test_a_proxy_that_spoils_the_callback_is_named(project: Project) -> None:
    """What became of the target's own call is the reason, whatever strangers send after it."""
    port = free_port()
    async with simulated_host(port=0) as host, tunnel("adds") as (public, behind):
        behind.append(port)
        async with upm_dev(
            "serve", project.root, "--json", "--port", str(port), "--public-url", public,
            "--target", host.url, "--timeout", "6",
        ) as serve, ClientSession() as stranger:  # fmt: skip
            (name,) = (await serve.seen("started"))["targets"]
            own = await serve.seen("callback")
            for sign in ({}, {"Authorization": 'OAuth oauth_consumer_key="a"'}):
                body = {"key": "com.acme.hello"}
                url = f"http://localhost:{port}/installed"
                async with stranger.post(url, json=body, headers=sign) as answer:
                    assert answer.status == 401
            ended = await serve.seen("target", state="unconfirmed")

    cause = "it was changed on its way: a proxy added the query"
    assert (own["verdict"], own["target"], own["reason"]) == ("forged", name, cause)
    assert ended["reason"].endswith(cause)
    assert "pass requests on as they are" in ended["remedy"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("page", ("text/html", "Are you sure?")),
        ("redirect", ("302", "login.example.org")),
        ("nothing", ("nothing answers",)),
    ],
)
async def test_a_public_url_that_does_not_lead_here_is_told(
    project: Project, kind: str, words: tuple[str, ...]
) -> None:
    """A tunnel's warning page, a login or nothing at all: what came instead is said once."""
    async with simulated_host(port=0) as host, tunnel(kind) as (public, _):
        if kind == "nothing":
            public = f"http://127.0.0.1:{free_port()}"
        async with upm_dev(
            "serve", project.root, "--json", "--port", "0", "--public-url", public,
            "--target", host.url,
        ) as serve:  # fmt: skip
            notice = await serve.seen("notice", severity="warning", within=15)
            assert public in notice["message"]
            for word in words:
                assert word in notice["message"]
            assert "--public-url" in notice["remedy"]


async def test_listening_beyond_this_machine_is_warned_of(project: Project) -> None:
    """`--host 0.0.0.0` works and says who can read along."""
    async with (
        simulated_host(port=0) as host,
        upm_dev(
            "serve", project.root, "--json", "--port", "0", "--host", "0.0.0.0",
            "--target", host.url,
        ) as serve,
    ):  # fmt: skip
        notice = await serve.seen("notice", severity="warning")
        assert "0.0.0.0" in notice["message"]
        await serve.seen("target", state="confirmed")


async def test_each_target_gets_its_own_rendering(project: Project) -> None:
    """Variables of a target: another key there, one revision, each confirmed for itself."""
    async with simulated_host(port=0) as one, simulated_host(port=0) as two:
        project.save(
            f"""\
[app]
variables = {{ key = "com.acme.hello", name = "Hello", version = "1.0" }}
[targets.one]
url = "{one.url}"
[targets.two]
url = "{two.url}"
variables = {{ key = "com.acme.hello-dev" }}
""",
            project.settings,
        )
        async with upm_dev("serve", project.root, "--json", "--port", "0") as serve:
            seen = {
                (await serve.seen("target", state="confirmed", by="callback"))["target"]
                for _ in range(2)
            }
            assert seen == {"one", "two"}
            assert ours(one) == ["com.acme.hello"]
            assert ours(two) == ["com.acme.hello-dev"]
            assert len(serve.of("published")) == 1
            assert await serve.stop() == 130
        assert not ours(one)
        assert not ours(two)


def ours(host: SimulatedHost) -> list[str]:
    return [key for key in host.state.plugins if key.startswith("com.acme.")]


async def test_an_address_of_ones_own_is_what_targets_are_told(project: Project) -> None:
    """With --host alone: localhost does not lead there, so nobody is sent to it."""
    address = reached("http://localhost").outward
    if address is None:
        pytest.skip("this machine has no address but loopback")
    async with simulated_host(port=0, allow_fetch=[f"{address}/32"]) as host:
        arguments = (str(project.root), "--json", "--port", "0", "--target", host.url)
        async with upm_dev("serve", *arguments, "--host", address) as serve:
            started = await serve.seen("started")
            confirmed = await serve.seen("target", state="confirmed")

    assert started["urls"]["descriptor"].startswith(f"http://{address}:")
    assert confirmed["by"] == "callback"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (None, "http://localhost:8000"),
        ("localhost", "http://localhost:8000"),
        ("127.0.0.1", "http://localhost:8000"),
        ("::1", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),
        ("::", "http://localhost:8000"),
        ("172.17.0.1", "http://172.17.0.1:8000"),
        ("fd00::1", "http://[fd00::1]:8000"),
        ("Workstation", "http://workstation:8000"),
    ],
)
def test_where_a_host_is_served(host: str | None, url: str) -> None:
    """As whoever is on this machine would open it."""
    assert served_at(host, 8000) == url
