"""The pages that a descriptor declares, asked of the app."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from ports import free_port
from processes import environment, upm_dev
from projects import PAGE, SETTINGS, TEMPLATE, Project

from devserver import probe
from devserver.backend import Answer, Backend, BackendUnavailable
from devserver.events import AppChanged, AppState, Bus, Event, Probed
from devserver.model import Descriptor, Kind, Module, Revision, digest_of
from devserver.publish import Published
from devserver.simulator import simulated_host
from devserver.web.listen import open_sockets, serving

DECOY = '<general-page key="other" name="Other" url="/hello/other"/>\n'


def app(*paths: str, asked: list[str]) -> web.Application:
    """Answers for *paths* alone, and notes what it was asked."""

    async def anything(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        if request.path.endswith("/broken"):
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=200 if request.path in paths else 404)

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", anything)
    return made


def descriptor(*urls: str) -> Descriptor:
    modules = tuple(Module("general-page", each, (("@url", each),)) for each in urls)
    body = repr(urls).encode()
    return Descriptor(
        kind=Kind.REMOTE_XML,
        key="com.acme.hello",
        name="Hello",
        version="1.0",
        body=body,
        canonical=digest_of(body),
        modules=modules,
    )


async def test_what_is_missing_is_told_at_its_url(tmp_path: Path) -> None:
    """Whatever path the base URL has, and whatever begins like it.

    A page that breaks off is no app that is away.
    """
    project = Project(tmp_path / "hello")
    project.save(TEMPLATE.replace("{{ base_url }}", "{{ base_url }}/ctx"))
    broken = '<general-page key="broken" name="Broken" url="/broken"/>\n'
    project.save(DECOY + PAGE + broken, project.include)
    asked: list[str] = []
    there = app("/ctx/hello/other", asked=asked)
    env = environment(UPM_DEV_PASSWORD="admin")
    async with (
        serving(there, open_sockets(None, 0)) as port,
        simulated_host(port=0) as host,
    ):
        backend = f'[app]\nbackend = "http://127.0.0.1:{port}"\n'
        project.save(SETTINGS.replace("[app]\n", backend), project.settings)
        given = ("--target", host.url, "--json", "--port", "0")
        async with upm_dev("serve", project.root, *given, env=env) as serve:
            probed = await serve.seen("probed")

    assert probed["asked"] == 3
    assert asked.count("HEAD /ctx/hello") == 1
    missing, dead = probed["diagnostics"]
    assert missing["message"] == "the app answers 404 for /ctx/hello"
    assert (missing["file"], missing["line"]) == ("page.xml.j2", 2)
    assert "closed the connection without an answer for /ctx/broken" in dead["message"]
    assert (dead["file"], dead["line"]) == ("page.xml.j2", 3)


class Tried(Backend):
    """Says when something was asked of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.tried = asyncio.Event()

    async def send(
        self, method: str, raw_path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Answer:
        try:
            return await super().send(method, raw_path, headers, body)
        finally:
            self.tried.set()


async def test_an_app_that_was_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every app is started by us; and once it is started anew, what was missing may be there.

    What was there is asked for once a revision.
    """
    monkeypatch.setattr(probe, "AWAY", 0.1)
    port = free_port()
    backend, bus, published = Tried(f"http://127.0.0.1:{port}"), Bus(), Published()
    published.add(Revision(1, {"jira": descriptor("/hello")}))
    asked: list[str] = []
    ready = AppChanged(state=AppState.READY)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(probe.run(published, bus, backend, lambda: None))
        with bus.reading() as events:
            await backend.tried.wait()
            async with serving(app(asked=asked), open_sockets(None, port)):
                first = await probed(events)
            async with serving(app("/hello", asked=asked), open_sockets(None, port)):
                bus.publish(ready)
                second = await probed(events)
                bus.publish(ready)
                published.add(Revision(2, {"jira": descriptor("/hello", "/more")}))
                bus.publish(ready)
                third = await probed(events)
        running.cancel()
    await backend.close()

    assert [len(each.diagnostics) for each in (first, second, third)] == [1, 0, 1]
    assert [each.revision for each in (first, second, third)] == ["r1", "r1", "r2"]
    assert asked.count("HEAD /hello") == 3


async def test_what_counts_as_missing() -> None:
    """What fails by HEAD is asked by GET; whatever is not there, or fails, is told."""
    asked: list[str] = []

    async def anything(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        status = int(request.path[1:])
        by_get = request.method == "GET" and status in (405, 501)
        return web.Response(status=200 if by_get else status)

    there = web.Application()
    there.router.add_route("*", "/{path:.*}", anything)
    async with serving(there, open_sockets(None, 0)) as port:
        backend = Backend(f"http://127.0.0.1:{port}")
        pages = [probe.Page(f"/{status}", "") for status in (200, 302, 401, 404, 405, 500, 501)]
        found = await probe.probe(pages, backend, None)
        await backend.close()

    assert [each.message for each in found or ()] == [
        "the app answers 404 for /404",
        "the app answers 500 for /500",
    ]
    assert "GET /200" not in asked


def test_a_plugin_has_its_pages_in_the_host() -> None:
    """The app behind us is asked for none of them."""
    assert list(probe.pages(descriptor("/hello"))) == [probe.Page("/hello", "/hello")]
    assert not list(probe.pages(replace(descriptor("/hello"), kind=Kind.P2)))


async def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is read as far as a callback's may be."""
    monkeypatch.setattr("devserver.backend.ANSWER_LIMIT", 1000)

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 100_000)

    there = web.Application()
    there.router.add_route("*", "/{path:.*}", large)
    async with serving(there, open_sockets(None, 0)) as port:
        backend = Backend(f"http://127.0.0.1:{port}")
        with pytest.raises(BackendUnavailable, match="larger than"):
            await backend.send("POST", "/x", (), b"")
        await backend.close()


async def probed(events: AsyncIterator[Event]) -> Probed:
    async for event in events:
        if isinstance(event, Probed):
            return event
    raise AssertionError("the bus is closed")
