"""What the doctor sees of one target: byte by byte, and with each host that the simulator plays."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from upm.scripted import Request, answer, scripted, upm_of

from devserver.simulator import SimulatedHost, simulated_host
from devserver.simulator.profile import load_profile
from devserver.upm import known
from devserver.upm.check import Check, Level
from devserver.upm.checkup import WayBack, checkup
from devserver.upm.client import Upm
from devserver.upm.probing import Probe

ROOT = "/jira/rest/plugins/1.0"


def status(state: str = "RUNNING", *, ahead: float = 0.0) -> bytes:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    return answer(200, json.dumps({"state": state}), Date=date)


def upm(
    pages: Mapping[str, bytes] | None = None, *, version: str = "4.2"
) -> Callable[[Request], bytes | None]:
    """A healthy UPM; *pages*, by path, take the place of its own."""
    plugins = [{"key": known.UPM, "version": version}]
    kind = "application/vnd.atl.plugins.installed+json"
    answers: Mapping[str, bytes] = {
        "": answer(200, json.dumps({"plugins": plugins}), kind=kind, upm_token="1"),
        f"{known.UPM}-key/summary": answer(200, json.dumps(plugins[0])),
        "product-version": answer(200, '{"version":"9.12.2"}'),
        "safe-mode": answer(200, '{"enabled":false}'),
        "settings": answer(200, '{"settings":[{"key":"pacDisabled","value":false}]}'),
        "/jira/status": status(),
        **(pages or {}),
    }

    def reply(request: Request) -> bytes | None:
        path = request.path.partition("?")[0]
        return answers.get(path.removeprefix(f"{ROOT}/")) if path != "/status" else None

    return reply


async def checks(by: Callable[[Request], bytes | None], **more: object) -> dict[str, Check]:
    async with scripted(by=by, last=answer(404)) as host, upm_of(host.url) as client:
        return {check.name: check async for check in checkup(client, **more)}  # type: ignore[arg-type]


async def test_a_healthy_target() -> None:
    """Nothing to say but that all is well."""
    found = await checks(upm())

    assert {check.level for check in found.values()} == {Level.OK}
    assert list(found) == [
        "name", "proxy", "TCP", "HTTP", "product", "clock", "credentials", "web sudo", "UPM",
        "product version", "safe mode", "kinds",
    ]  # fmt: skip
    assert found["UPM"].message == "version 4.2"
    assert found["product version"].message == "9.12.2"


async def test_what_keeps_installs_away() -> None:
    """Safe mode, an old UPM, development mode that is off."""
    off = '{"settings":[{"key":"connectDeveloperListingsEnabled","value":false}]}'
    old = await checks(upm({"safe-mode": answer(200, '{"enabled":true}')}, version="2.7.1"))
    closed = await checks(upm({"settings": answer(200, off)}))

    assert old["UPM"].level is Level.WARNING
    assert "older than 2.14" in old["UPM"].message
    assert old["safe mode"].level is Level.FAILURE
    assert "Exit safe mode" in old["safe mode"].remedy
    assert closed["private apps"].level is Level.FAILURE


@pytest.mark.parametrize(
    ("state", "level", "remedy"),
    [
        ("RUNNING", Level.OK, ""),
        ("STARTING", Level.WARNING, "registers by itself"),
        ("FIRST_RUN", Level.FAILURE, "finish its setup"),
        ("MAINTENANCE", Level.FAILURE, "administrators"),
        ("ERROR", Level.FAILURE, "see its log"),
        ("SLEEPING", Level.WARNING, "http://"),
    ],
)
async def test_states_of_the_product(state: str, level: Level, remedy: str) -> None:
    """Each has what to do."""
    found = await checks(upm({"/jira/status": status(state)}))

    assert found["product"].level is level
    assert state in found["product"].message
    assert remedy in found["product"].remedy


async def test_a_proxy_that_answers_in_the_place_of_the_target() -> None:
    """Nothing behind it can be seen, and the target has not answered."""
    found = await checks(upm({"/jira/status": answer(407)}))

    assert found["HTTP"].code == "NET-PROXY-LOGIN"
    assert "credentials" not in found


async def test_a_state_that_speaks_to_the_terminal() -> None:
    """Whoever answers there may say anything."""
    found = await checks(upm({"/jira/status": status("\\u001b[2J\\rRUNNING")}))

    assert found["product"].message.isprintable()


async def test_clocks() -> None:
    """A minute is worth a word; five make signatures void."""
    near, off, far = [
        await checks(upm({"/jira/status": status(ahead=ahead)})) for ahead in (10, 120, -900)
    ]

    assert near["clock"].level is Level.OK
    assert off["clock"].level is Level.WARNING
    assert far["clock"].level is Level.FAILURE
    assert "behind" in far["clock"].message


async def test_a_clock_without_a_zone_keeps_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what -0000 says; ours need not."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        date = format_datetime(datetime.now(UTC)).replace("+0000", "-0000")
        found = await checks(upm({"/jira/status": answer(200, "{}", Date=date)}))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert found["clock"].message == "the clocks agree"


@pytest.mark.parametrize(
    ("version", "says"), [("v8.0", "version v8.0"), ("next", "does not tell its own version")]
)
async def test_versions_as_they_are_written(version: str, says: str) -> None:
    """With a letter before it, or with nothing that could be compared."""
    found = await checks(upm(version=version))

    assert says in found["UPM"].message
    assert found["UPM"].level is Level.OK


@pytest.mark.parametrize(
    ("reply", "check", "code"),
    [
        (answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED"), "credentials",
         "UPM401-CREDENTIALS"),
        (answer(403, X_Authentication_Denied_Reason="CAPTCHA_CHALLENGE"), "credentials",
         "UPM403-CAPTCHA"),
        (answer(401, "Must have permission to access this resource."), "admin right",
         "UPM401-PERMISSION"),
        (answer(401, '{"subCode":"upm.websudo.error"}'), "web sudo", "UPM401-WEBSUDO"),
        (answer(200, "<title>Log in</title>", kind="text/html"), "login page",
         "UPM200-LOGIN-PAGE"),
        (answer(302, Location="/jira/login.jsp"), "login page", "UPM30X-LOGIN"),
        (answer(301, Location="https://h/rest/plugins/1.0/"), "UPM", "UPM30X-MOVED"),
        (answer(404), "UPM", "UPM404-NOT-FOUND"),
        (answer(503), "UPM", "UPM503-STARTING"),
        (answer(200, '{"a":1}'), "UPM", "UPM200-NOT-UPM"),
    ],
)  # fmt: skip
async def test_who_does_not_let_us_in(reply: bytes, check: str, code: str) -> None:
    """The check that fails is named for what is wrong, and is the last one."""
    found = await checks(upm({"": reply}))

    assert list(found)[-1] == check
    assert found[check].level is Level.FAILURE
    assert found[check].code == code
    assert found[check].remedy


async def test_the_context_path_that_works() -> None:
    """Suggested, and asked for without credentials: those are for the configured address."""

    def elsewhere(request: Request) -> bytes | None:
        if request.path.startswith("/confluence/rest/plugins/1.0/"):
            return answer(401)
        return status() if request.path == "/jira/status" else None

    async with scripted(by=elsewhere, last=answer(404)) as host, upm_of(host.url) as client:
        found = {check.name: check async for check in checkup(client)}
        asked = [each for each in host.requests if each.path.startswith("/confluence/")]

    assert found["context path"].level is Level.FAILURE
    better = f"http://127.0.0.1:{host.port}/confluence"
    assert found["context path"].remedy == f"a UPM answers at {better}: make that the target's URL"
    assert "authorization" not in asked[0].headers


async def test_a_name_that_nobody_knows() -> None:
    """The first thing that fails is the last that is said."""
    async with upm_of("https://nobody.invalid/jira") as client:
        found = [check async for check in checkup(client)]

    assert [(check.name, check.level) for check in found] == [("name", Level.FAILURE)]


async def test_cloud_is_not_even_looked_up() -> None:
    """One line that says why, and what still works."""
    async with upm_of("https://acme.atlassian.net") as client:
        (check,) = [check async for check in checkup(client)]

    assert check.level is Level.FAILURE
    assert check.code == "CLOUD-PRIVATE-INSTALL"


async def test_a_proxy_for_this_machine_is_worth_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone through, and how to leave it out is said."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    async with scripted(by=lambda _: answer(404)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
        async with upm_of("http://jira.localhost:2990/jira") as client:
            found = {check.name: check async for check in checkup(client)}

    assert found["proxy"].level is Level.WARNING
    assert found["proxy"].remedy == "NO_PROXY=jira.localhost leaves it out"
    assert "pw" not in found["proxy"].message
    assert "TCP" not in found


async def test_one_line_for_each_step_of_the_way() -> None:
    """Name, TCP, TLS: what fails is told by itself, and ends the looking."""
    async with (
        simulated_host(port=0) as plain,
        upm_of(plain.url.replace("http:", "https:")) as client,
    ):
        speaks_no_tls = [check async for check in checkup(client)]
    async with upm_of("http://localhost:1/jira") as client:
        nobody_there = [check async for check in checkup(client)]

    assert [(each.name, each.level.value) for each in speaks_no_tls] == [
        ("name", "ok"),
        ("proxy", "ok"),
        ("TCP", "ok"),
        ("TLS", "failure"),
    ]
    assert speaks_no_tls[-1].code == "NET-TLS"
    assert "http://" in speaks_no_tls[-1].remedy
    assert [each.name for each in nobody_there] == ["name", "proxy", "TCP"]
    assert nobody_there[-1].code == "NET-CONNECTION-REFUSED"


# -- asked, of the simulated hosts ----------------------------------------------------------------


@asynccontextmanager
async def way_back() -> AsyncIterator[WayBack]:
    """A probe that listens."""
    probe = Probe()
    server = await asyncio.start_server(probe.serve, "127.0.0.1", 0)
    async with server:
        yield WayBack(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", probe)


def client_of(host: SimulatedHost, user: str = "admin") -> AbstractAsyncContextManager[Upm]:
    if not host.profile.basic:
        return upm_of(host.url, user=None, secret=host.state.users.new_personal_token(user))
    return upm_of(host.url, user=user, secret=user)


async def asked(
    profile: str, product: str = "jira", *, jars: bool = False, user: str = "admin", **other: object
) -> tuple[dict[str, Check], SimulatedHost]:
    made = replace(load_profile(profile), **other)  # type: ignore[arg-type]
    async with (
        simulated_host(port=0, profile=made, product=product) as host,
        way_back() as back,
        client_of(host, user) as client,
    ):
        before = set(host.state.plugins)
        found = {each.name: each async for each in checkup(client, asks=True, back=back, jars=jars)}
        assert set(host.state.plugins) == before, "nothing is ever installed"
    return found, host


@pytest.mark.parametrize(
    ("profile", "product", "said"),
    [
        ("xml-era", "jira",
         "takes remote apps in XML, XML plugins, JARs; not Connect JSON"),
        ("connect", "confluence",
         "takes Connect JSON, XML plugins, JARs; not remote apps in XML"),
        ("dc", "jira",
         "takes XML plugins, JARs; not Connect JSON, remote apps in XML"),
    ],
)  # fmt: skip
async def test_which_kinds_a_host_takes(profile: str, product: str, said: str) -> None:
    """By asking for an unreadable one of each; the way back and the right are seen as well."""
    found, _ = await asked(profile, product)

    assert {each.level for each in found.values()} == {Level.OK}
    assert found["kinds"].message == said
    assert found["admin right"].message == "admin is a system administrator"
    assert found["way back"].message.startswith("it fetches from http://127.0.0.1:")


async def test_an_administrator_who_installs_nothing() -> None:
    """`manager` gets a token, and no further."""
    found, _ = await asked("dc", user="manager")

    assert found["credentials"].level is Level.OK
    assert list(found)[-1] == "admin right"
    assert found["admin right"].level is Level.FAILURE
    assert "system administrator" in found["admin right"].remedy


@pytest.mark.parametrize("jars", [True, False])
async def test_uploads_that_are_switched_off(jars: bool) -> None:
    """The switch is named; what needs it decides how bad that is."""
    found, _ = await asked("dc", upload=False, jars=jars)

    assert found["upload"].level is (Level.FAILURE if jars else Level.WARNING)
    assert "-Dupm.plugin.upload.enabled=true" in found["upload"].remedy


async def test_what_a_plugin_in_a_jar_wants_to_know() -> None:
    """Uploads, signatures, QuickReload; that its host cannot fetch is no matter."""
    eight = replace(load_profile("dc-locked"), upload=True, basic=True)
    quick = replace(load_profile("dc"), bundled=(known.QUICK_RELOAD,))
    async with simulated_host(port=0, profile=eight) as host, client_of(host) as client:
        back = WayBack("http://localhost:1", Probe())
        strict = {
            each.name: each async for each in checkup(client, asks=True, back=back, jars=True)
        }
    async with simulated_host(port=0, profile=quick) as host, client_of(host) as client:
        other = {each.name: each async for each in checkup(client, asks=True, jars=True)}

    assert strict["signatures"].level is Level.WARNING
    assert "-Datlassian.upm.signature.check.disabled=true" in strict["signatures"].remedy
    assert strict["way back"].level is Level.OK
    assert "JARs are sent to it" in strict["way back"].message
    assert strict["QuickReload"].level is Level.OK
    assert other["QuickReload"].level is Level.WARNING
    assert other["signatures"].level is Level.OK


async def test_a_target_that_cannot_reach_us() -> None:
    """It says that it could not fetch, and nobody came: the address to use is named."""
    async with simulated_host(port=0) as host, client_of(host) as client:
        back = WayBack("http://localhost:1", Probe())
        found = {each.name: each async for each in checkup(client, asks=True, back=back)}

    assert found["way back"].level is Level.FAILURE
    assert found["way back"].code == "TASK-NOBODY-CAME"
    assert "response.exception" in found["way back"].message
    assert "--public-url" in found["way back"].remedy


async def test_somebody_else_on_our_port() -> None:
    """The way back is not tried then, and that is said."""
    async with simulated_host(port=0) as host, client_of(host) as client:
        found = {each.name: each async for each in checkup(client, asks=True)}

    assert found["way back"].level is Level.WARNING
    assert "not tried" in found["way back"].message
    assert "XML plugins" in found["kinds"].message


async def test_what_else_comes_to_the_probe() -> None:
    """Bytes that are no HTTP, and nobody at all."""
    async with way_back() as back:
        reader, writer = await asyncio.open_connection(*back.address[7:].split(":"))
        writer.write(b"\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
        assert not await back.probe.came("/upm-dev-probe.xml", 0.01)
