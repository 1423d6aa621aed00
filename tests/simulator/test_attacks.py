"""What hostile apps, files, pages and neighbours try: nothing runs, crashes, hangs or gets out."""

import asyncio
import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html
from simulator.conftest import LogIn, Start
from simulator.people import REMOTE_XML, URI_TYPE, App, Client, connect_json
from simulator.test_pages import UPM, at_browser
from simulator.zips import archive, jar

from devserver.errors import CannotStart
from devserver.simulator import SimulatedHost, bodies, jars, simulated_host
from devserver.simulator.app import App as Described
from devserver.simulator.app import Kind
from devserver.simulator.refusal import Refusal

KINDS = tuple(kind.value for kind in Kind)
BAD = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"
FORMS = ("settings", "upload", "switch", "module", "uninstall", "safe-mode")


@pytest.fixture(autouse=True)
def _nothing_crashes(caplog: pytest.LogCaptureFixture) -> Any:
    """No test here may end in a traceback of the host's, whatever it answered."""
    yield
    assert [each for each in caplog.get_records("call") if each.levelno >= logging.ERROR] == []


def strings(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a JSON document has a string."""
    if isinstance(document, str):
        return [path]
    items = document.items() if isinstance(document, dict) else enumerate(document)
    return [found for name, each in items for found in strings(each, (*path, name))]


def with_bad(text: str, path: tuple[Any, ...]) -> str:
    document = json.loads(text)
    place = document
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] += BAD
    return json.dumps(document)


async def all_pages(client: Client, host: SimulatedHost, key: str) -> dict[str, str]:
    apps = host.state.plugins[key].app.modules
    paths = ["/", UPM, f"{UPM}?app={key}", f"{UPM}/log", "/login.jsp?os_destination=" + "%22%3E"]
    paths += [f"{UPM}/progress/{task.id}" for task in host.state.tasks]
    paths += [f"/plugins/servlet/ac/{key}/{index}" for index, _ in enumerate(apps)]
    found = {path: await client("GET", path) for path in paths}
    found["_simulator"] = await client("GET", f"{host.origin}/_simulator/")
    found["feed"] = await client("GET", "log/feed")
    found["plugin"] = await client("GET", f"{key}-key")
    assert {each.status for each in found.values()} <= {200, 404}, found
    return {name: each.text for name, each in found.items() if "html" in each.type}


def assert_harmless(pages: dict[str, str]) -> None:
    """Nothing that was declared became an element, an attribute or a link that runs."""
    for name, text in pages.items():
        page = html.document_fromstring(text)
        assert page.xpath("//img|//script|//@*[starts-with(name(), 'on')]") == [], name
        links = page.xpath("//@href|//@src|//@action")
        assert not [link for link in links if re.match(r"(?i)\s*(javascript|data):", link)], name


async def test_every_field_of_a_connect_app(start: Start, log_in: LogIn, app: App) -> None:
    """Whatever a JSON descriptor declares is text on every page; most of it is taken."""
    host = await start(profile="connect")
    admin = await log_in(host)
    plain = connect_json(
        app.url,
        description="d",
        vendor={"name": "v", "url": "javascript:"},
        modules={
            "generalPages": [{"key": "p", "name": {"value": "n"}, "url": "/u", "location": "l"}],
            "webhooks": [{"event": "e", "url": "/w"}],
            "webPanels": [{"key": "q", "url": "/q?{x}", "name": {"value": "m"}}],
        },
    )
    app.media_type = "application/json"
    taken = 0

    for path in strings(json.loads(plain)):
        app.body = with_bad(plain, path).encode()
        ended = await admin.install(app.descriptor)
        taken += ended.status == 303
        if ended.status == 303:
            assert_harmless(await all_pages(admin, host, "com.example.connect"))

    assert taken > 10


async def test_every_attribute_of_an_xml_app(host: SimulatedHost, admin: Client, app: App) -> None:
    """The same for XML: every attribute and text but those that make it an app."""
    attribute = BAD.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    plain = REMOTE_XML.format(base=app.url, version="1.0")
    places = [found.end(1) for found in re.finditer(r'="([^"{}]*)"', plain)]
    places += [found.end(1) for found in re.finditer(r">([^<>\s][^<>]*)</", plain)]
    app.serve_xml()
    taken = 0

    for place in places:
        app.body = (plain[:place] + attribute + plain[place:]).encode()
        ended = await admin.install(app.descriptor)
        if ended.status != 303:
            continue
        taken += 1
        key = ended.headers["Location"].rsplit("/", 1)[-1].removesuffix("-key")
        if key == "com.example.hello":
            assert_harmless(await all_pages(admin, host, key))
        else:
            assert_harmless({"manage": (await admin("GET", UPM)).text})

    assert taken > 15


@pytest.mark.parametrize(
    "more",
    [
        {"name": "x\ud800"},
        {"modules": {"generalPages": [{"key": "\udfff", "url": "/"}]}},
        {"lifecycle": {"installed": "/in\ud800"}},
        {"baseUrl": "http://[bad"},
        {"baseUrl": "http://localhost:99999"},
        {"baseUrl": "http://local\nhost"},
        {"baseUrl": "http://localhost\u0000"},
        {"baseUrl": "javascript://alert(1)"},
        {"baseUrl": "http://:80"},
    ],
)
async def test_texts_that_no_page_can_hold(
    start: Start, log_in: LogIn, app: App, more: dict[str, Any]
) -> None:
    """Half a surrogate and an address that is none are refused; every page goes on working."""
    host = await start(profile="connect")
    admin = await log_in(host)
    app.serve_json(**more)

    assert (await admin.refused(app.descriptor)).startswith("connect.")
    for path in ("/", UPM, "log/feed", ""):
        assert (await admin("GET", path)).status == 200


@pytest.mark.parametrize("base", ["http://[bad", "http://localhost:99999", "http://a b", "ftp://a"])
async def test_display_urls_that_are_none(admin: Client, app: App, base: str) -> None:
    """The XML era's `display-url` too."""
    app.serve_xml()
    app.body = app.body.replace(app.url.encode(), base.encode())

    assert await admin.refused(app.descriptor) == "upm.pluginInstall.error.install.failed"


@pytest.mark.parametrize("path", ["/in stalled", "/é?ü=%zz", "/in\r\nX-Evil: 1", "/a?b#c", "//x"])
async def test_odd_callback_paths(start: Start, log_in: LogIn, app: App, path: str) -> None:
    """An odd path is called as well as may be; it adds no header, and the task ends."""
    host = await start(profile="connect")
    admin = await log_in(host)
    app.serve_json(lifecycle={"installed": path}, modules={"generalPages": [{"url": path}]})

    assert (await admin.install(app.descriptor)).status in (200, 303)
    assert not any("X-Evil" in each.headers for each in app.received)
    shown = await admin("GET", "/plugins/servlet/ac/com.example.connect/generalPages-0")
    assert shown.status in (200, 404)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [jar("a", modules='<m key="m"/>' * 100), archive({"obr.xml": b"", "a.jar": jar("a")})]
    ),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
)
def test_any_damaged_jar(data: bytes, damage: list[tuple[int, int]]) -> None:
    """A file that is damaged anywhere is an app or a refusal, never an exception."""
    broken = bytearray(data)
    for place, byte in damage:
        broken[place % len(broken)] = byte

    assert isinstance(jars.read(io.BytesIO(bytes(broken)), KINDS), Described | Refusal)


@pytest.mark.parametrize(
    "entries",
    [
        {"obr.xml": b"", **{f"{number}.jar": b"x" for number in range(101)}},
        {"/etc/passwd": b""},
        {"..\\x": b""},
        {"\\x": b""},
        {"C:\\x": b""},
        {"a/../../x": b""},
        {"atlassian-plugin.xml": b" " * (8 << 20) + b"<atlassian-plugin/>"},
    ],
)
async def test_archives_that_are_traps(admin: Client, entries: dict[str, bytes]) -> None:
    """Too many plugins in one, names that leave the archive, a descriptor without end."""
    made = archive({"atlassian-plugin.xml": b"<atlassian-plugin key='a'/>", **entries})

    ended = await admin.finish(await admin.upload(made))

    assert ended.json["status"]["subCode"] == "upm.pluginInstall.error.install.failed"


BODIES = [
    ("application/x-www-form-urlencoded; charset=bogus", b"a=b"),
    ("application/x-www-form-urlencoded; charset=ascii", b"\xff=\xff"),
    ("multipart/form-data", b"x"),
    ("multipart/form-data; boundary=x", b"--x\r\nX"),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="plugin"; filename="a"\r\n\r\nx',
    ),
    (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y",
    ),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="url"\r\n'
        b"Content-Transfer-Encoding: what\r\n\r\nx\r\n--x--",
    ),
]


@pytest.mark.parametrize(("kind", "body"), BODIES)
async def test_broken_forms(host: SimulatedHost, admin: Client, kind: str, body: bytes) -> None:
    """A body that is no form is a 400 or a missing token, on every form and in REST."""
    headers = {"Origin": host.origin, "Content-Type": kind, "X-Atlassian-Token": "no-check"}
    paths = ["/login.jsp", "/logout", "/rest/remotable-plugins/latest/installer"]
    paths += [f"{UPM}/{name}" for name in FORMS]
    paths += [f"{host.origin}/_simulator/{name}-form" for name in ("fault", "fire", "restart")]
    for path in paths:
        answer = await admin("POST", path, data=body, headers=headers)
        assert answer.status in (400, 403), (path, answer.status, answer.text)
    posted = await admin("POST", f"?token={await admin.token()}", data=body, headers=headers)
    assert posted.status in (400, 415, 500), posted.text
    assert posted.status != 500 or "No part named plugin" in posted.text


@pytest.mark.parametrize("cookie", ["", "upm-simulator-{port}=FORGED"])
@pytest.mark.parametrize("path", ["/jira/login.jsp", "/jira/plugins/servlet/upm/upload"])
async def test_nobody_fills_the_disk(host: SimulatedHost, path: str, cookie: str) -> None:
    """Who is not allowed to upload is told so before a byte of the file is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{host.port}\r\nContent-Length: 150000000\r\n"
        f"Cookie: {cookie.format(port=host.port)}\r\nContent-Type: multipart/form-data; boundary=x"
    )
    writer.write(f"{head}\r\n\r\n--x\r\n".encode())

    async with asyncio.timeout(5):
        status = await reader.readline()

    assert status.split()[1] in (b"303", b"403")
    writer.close()


async def test_a_body_that_never_ends(host: SimulatedHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a byte a minute is hung up on."""
    monkeypatch.setattr(bodies, "SLOWEST", 0.05)
    token = host.state.tokens.current("admin", host.now())
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(
        f"POST /jira/rest/plugins/1.0/?token={token} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Basic YWRtaW46YWRtaW4=\r\nContent-Type: {URI_TYPE}\r\n"
        'Content-Length: 100\r\n\r\n{"plug'.encode()
    )

    async with asyncio.timeout(5):
        assert (await reader.readline()).split()[1] == b"408"
    writer.close()


@pytest.mark.parametrize("there", ["/\t/evil", "/x\r\nSet-Cookie: a=b", "/\\evil", "/\x00", "/é"])
async def test_where_a_login_leads(host: SimulatedHost, log_in: LogIn, there: str) -> None:
    """Never to another site, and into no header of its own."""
    admin = await at_browser(host, log_in)

    answer = await admin.post(
        "/login.jsp", os_username="admin", os_password="admin", os_destination=there
    )

    assert (answer.status, answer.headers["Location"]) == (303, "/jira/")


async def test_a_login_is_a_new_session(host: SimulatedHost, log_in: LogIn) -> None:
    """A session id that somebody put there is not the one that is logged in."""
    fixed = f"{host.cookie}=00000000000000000000000000000000"
    admin = await at_browser(host, log_in)
    person = type(admin)(await log_in(host, ""), host, fixed)

    answer = await person.post("/login.jsp", os_username="admin", os_password="admin")

    assert fixed not in answer.headers["Set-Cookie"]
    assert (await person.get(UPM)).status == 303


async def test_a_name_that_was_made_to_lead_here(host: SimulatedHost, admin: Client) -> None:
    """A page of another site cannot install, though its name and its Origin agree."""
    headers = {
        "Host": f"evil.example:{host.port}",
        "Origin": f"http://evil.example:{host.port}",
        "User-Agent": "Mozilla/5.0",
    }

    refused = await admin.post("http://localhost:1/x.xml", **headers)
    assert (refused.status, refused.text) == (403, "XSRF check failed")
    own = {**headers, "Host": f"127.0.0.1:{host.port}", "Origin": f"http://127.0.0.1:{host.port}"}
    assert (await admin.post("http://localhost:1/x.xml", **own)).status == 202
    foreign = {**own, "Origin": "", "Referer": "http://[bad"}
    assert (await admin.post("http://localhost:1/x.xml", **foreign)).status == 403


@pytest.mark.parametrize("fault", ["restart", "clock-skew; ms=99999999"])
async def test_one_request_cannot_disturb_the_others(
    host: SimulatedHost, log_in: LogIn, fault: str
) -> None:
    """Faults by header concern their request alone: nobody is asked who sends them."""
    nobody = await log_in(host, "")

    answer = await nobody("GET", "", headers={"X-Upm-Simulator-Fault": fault})

    assert answer.status == 400
    assert host.skew == 0


@pytest.mark.parametrize("body", [5, "sharedSecret", [1], None, {"sharedSecret": "s3cret"}])
async def test_events_with_any_body(
    host: SimulatedHost, admin: Client, app: App, body: object
) -> None:
    """An event is fired with whatever JSON was asked for; what looks secret is not kept."""
    await admin.install(app.descriptor)
    own = {"Origin": host.origin, "X-Simulator-Token": host.form_token}
    event = {"key": "com.example.hello", "event": "jira:issue_created", "body": body}

    answer = await admin("POST", f"{host.origin}/_simulator/fire", json=event, headers=own)

    assert answer.status == 200
    assert "s3cret" not in answer.text


async def test_a_long_list_of_faults(host: SimulatedHost, admin: Client) -> None:
    """What comes in several pieces is read to its end."""
    own = {"Origin": host.origin, "X-Simulator-Token": host.form_token}
    listed = [{"kind": "latency", "stage": "token", "match": "x" * 200}] * 2000

    answer = await admin("POST", f"{host.origin}/_simulator/faults", json=listed, headers=own)

    assert answer.status == 200
    assert len(host.faults.listed()) == 2000
    huge = io.BytesIO(b" " * (2 << 20))
    answer = await admin("POST", f"{host.origin}/_simulator/faults", data=huge, headers=own)
    assert answer.status == 413


async def test_the_journal_keeps_no_secret(start: Start, log_in: LogIn, tmp_path: Path) -> None:
    """Not in a path, not in a header, in memory or in the file."""
    host = await start(log=tmp_path / "log.jsonl")
    nobody = await log_in(host, "")
    secret = "s3cr3tvalue"
    for name in ("token", "jwt", "os_password", "webSudoPassword", "X-Token", "oauth_signature"):
        await nobody("GET", f"{UPM}?{name}={secret}&a=b")  # answered by Location, encoded
        await nobody("GET", f"/status?{name}={secret}")
        await nobody("GET", "/status", headers={"Referer": f"http://x/?{name}={secret}#a"})
    await nobody("GET", "/status", headers={"Referer": f"http://admin:{secret}@localhost/"})
    await nobody("GET", "/status", headers={"Authorization": f"Bearer {secret}"})
    await nobody("GET", "/status", headers={"Cookie": f"{host.cookie}={secret}"})

    kept = json.dumps([each.to_json() for each in host.journal])
    assert secret not in kept
    assert secret not in (tmp_path / "log.jsonl").read_text("utf-8")
    assert "os_destination" in kept


TAMPERED: list[tuple[tuple[Any, ...], Any]] = [
    (("private-key",), "no key"),
    (("private-key",), None),
    (("client-key",), 5),
    (("settings",), []),
    (("plugins",), 5),
    (("plugins", 0, "app", "key"), 5),
    (("plugins", 0, "app", "name"), None),
    (("plugins", 0, "app", "kind"), "elf"),
    (("plugins", 0, "app", "modules"), [{"key": "k"}]),
    (("plugins", 0, "app", "modules", 0, "url"), 5),
    (("plugins", 0, "enabled"), "yes"),
    (("plugins", 0, "pending"), 5),
    (("plugins", 0, "extra"), 5),
    (("log",), [{"number": "x", "time": 0, "user": "", "text": ""}]),
    (("before-safe-mode",), 5),
    (("v",), 2),
]


@pytest.fixture
async def kept(tmp_path: Path, app: App, log_in: LogIn) -> Path:
    """The state of a host with an app."""
    path = tmp_path / "state.json"
    async with simulated_host(port=0, install_time=0, state=path) as host:
        await (await log_in(host)).install(app.descriptor)
    return path


async def test_a_state_that_was_tampered_with(kept: Path, start: Start) -> None:
    """What no host has written is told at the start, not by a failure later."""
    original = kept.read_text("utf-8")
    for path, value in TAMPERED:
        document = json.loads(original)
        place = document
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        kept.write_text(json.dumps(document), "utf-8")
        with pytest.raises(CannotStart, match="no state of a simulated host"):
            await start(state=kept)
    kept.write_text("[" * 100_000, "utf-8")
    with pytest.raises(CannotStart):
        await start(state=kept)

    kept.write_text(original, "utf-8")
    assert "com.example.hello" in (await start(state=kept)).state.plugins
    assert (kept.stat().st_mode & 0o777) == 0o600
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]


async def test_a_state_does_not_open_a_closed_profile(kept: Path, start: Start) -> None:
    """Private listings that one profile allows stay refused where another refuses them."""
    host = await start(profile="cloud", state=kept)

    assert host.state.settings.private_listings is False
