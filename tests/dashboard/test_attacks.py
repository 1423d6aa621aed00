"""What hostile pages, hosts and descriptors cannot do to the dashboard and the public port."""

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from dashboard.house import APP, House, house
from yarl import URL

from devserver.simulator import Fault
from devserver.simulator.users import Role, User

XSS = "<img src=x onerror=alert(1)>\"'</script><script>alert(1)</script>{{7*7}}"
PASSWORD = "n0t-the-default"
LOGIN = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as home:
        yield home


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_who_may_act(home: House, client: aiohttp.ClientSession) -> None:
    """Only a page of this very origin, with the token of this start, by a form, by POST."""
    token = await home.token(client)
    url, origin = f"{home.dashboard}/actions/register", home.dashboard
    good = {"Origin": origin}
    fields = {"token": token}

    async def status(headers: dict[str, str], data: object, method: str = "POST") -> int:
        async with client.request(method, url, headers=headers, data=data) as answer:
            return answer.status

    assert await status({}, fields) == 403
    assert await status({"Origin": home.public}, fields) == 403
    assert await status({"Origin": "null"}, fields) == 403
    assert await status({"Origin": "http://evil.example"}, fields) == 403
    assert await status(good, {"token": "x" * 43}) == 403
    assert await status(good, {}) == 403
    assert await status({**good, "Content-Type": "text/plain"}, f"token={token}") == 415
    assert await status(good, fields, "GET") == 405
    assert len(home.host.journal) < 30
    async with client.post(url, headers=good, data=fields, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
    await home.process.seen("target", state="confirmed")


async def test_rebinding(home: House, client: aiohttp.ClientSession) -> None:
    """A name of somebody else that leads here is answered 421, on both ports."""
    port = URL(home.dashboard).port
    for path in ("/", "/state", "/live", "/overlay", "/static/live.js"):
        for name in (f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.nip.io"):
            async with client.get(home.dashboard + path, headers={"Host": name}) as answer:
                assert answer.status == 421
    async with client.get(f"{home.public}/hello", headers={"Host": "evil.example"}) as answer:
        assert answer.status == 421


async def test_the_public_names_open_no_dashboard(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """What a tunnel is called is no name of the dashboard's, and --host does not move it."""
    async with house(
        tmp_path,
        *("--public-url", "http://localhost.localdomain:1", "--host", "0.0.0.0"),
        state="unavailable",
    ) as home:
        async with client.get(home.dashboard, headers={"Host": "localhost.localdomain"}) as answer:
            assert answer.status == 421
        async with client.get(home.dashboard) as answer:
            assert answer.status == 200
        listening = Path("/proc/net/tcp").read_text(encoding="ascii")
        assert f"00000000:{URL(home.dashboard).port:04X}" not in listening
        assert f"0100007F:{URL(home.dashboard).port:04X}" in listening
        assert any("others on the network" in each["message"] for each in home.process.of("notice"))


async def test_foreign_sockets(home: House, client: aiohttp.ClientSession) -> None:
    """A WebSocket from any other origin, the app's own included, is refused."""
    for origin in (None, "http://evil.example", home.public, "null"):
        headers = {} if origin is None else {"Origin": origin}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{home.dashboard}/live", headers=headers)
        assert refused.value.status == 403
    async with client.ws_connect(
        f"{home.dashboard}/live", headers={"Origin": home.dashboard}
    ) as socket:
        assert "now" in (await socket.receive_json())["panels"]


async def test_what_a_target_says_in_a_notice(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """What it repeats of our password is hidden on its way to the page, and its tags are text."""
    says = json.dumps({"errorMessage": f"{LOGIN} {XSS}"})
    broken = Fault(kind="status", stage="other", match="^PUT", status=500, body=says)
    env = {"UPM_DEV_PASSWORD": PASSWORD}
    users = [User("admin", PASSWORD, Role.SYSADMIN)]
    async with house(tmp_path, env=env, users=users) as home:
        home.host.script(broken)
        async with client.ws_connect(
            f"{home.dashboard}/live", headers={"Origin": home.dashboard}
        ) as socket:
            (target,) = (home.process.of("started")[0])["targets"]
            assert await asked(home, client, "enable", {"target": target}) == 303
            notice = await home.process.seen("notice", severity="warning")
            assert "***" in notice["message"]
            seen = ""
            async with asyncio.timeout(10):
                while "***" not in seen or "failed inside" not in seen:
                    seen += f"{await socket.receive_str()}\n"

    assert LOGIN not in seen
    panels = [json.loads(line)["panels"] for line in seen.splitlines()]
    assert "<img" not in json.dumps(panels)


async def test_every_answer_has_the_policy(home: House, client: aiohttp.ClientSession) -> None:
    """No inline script, no frame around it; errors too. The overlay alone may be framed."""
    for path in ("/", "/?view=traffic", "/state", "/nothing", "/static/nothing.js", "/overlay"):
        async with client.get(home.dashboard + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert "script-src 'self'" in policy
            assert ("frame-ancestors 'none'" in policy) == (path != "/overlay")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "Set-Cookie" not in answer.headers
    async with client.get(f"{home.dashboard}/overlay") as answer:
        text = await answer.text()
        assert "<form" not in text
        assert "token" not in text


async def test_traversal(home: House, client: aiohttp.ClientSession) -> None:
    """No path leads to a file, or to a revision that is not kept."""
    for path in (
        "/static/../server.py",
        "/static/..%2f..%2fserver.py",
        "/static/%2e%2e/page.html",
        "/static/page.html",
        "/revisions/../../etc/passwd",
        "/revisions/" + "0" * 64,
        "/actions/register",
    ):
        async with client.get(URL(home.dashboard + path, encoded=True)) as answer:
            assert answer.status in (404, 405)


async def test_files_of_others_are_not_opened(home: House, client: aiohttp.ClientSession) -> None:
    """The editor and the fixer take files of this descriptor alone."""
    token = await home.token(client)
    for name in ("edit", "fix"):
        for file in ("/etc/passwd", "../../etc/passwd", "app.py", "upm-dev.toml", "--help"):
            async with client.post(
                f"{home.dashboard}/actions/{name}",
                headers={"Origin": home.dashboard},
                data={"token": token, "file": file},
            ) as answer:
                assert answer.status == 400


async def test_targets_that_there_are_not(home: House, client: aiohttp.ClientSession) -> None:
    """Nothing is asked of those."""
    for name in ("agree", "register", "unregister", "enable", "forget"):
        assert await asked(home, client, name, {"target": "nobody"}) == 400


async def test_links_out_of_the_project_are_not_followed(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """What a link leads to is neither mended nor opened, seen by the loop yet or not."""
    told, outside = tmp_path / "told", tmp_path / "outside.xml"
    env = editor(tmp_path, f"#!/bin/sh\ntouch {told}\n")
    async with house(tmp_path, env=env) as home:
        bad = home.project.include.read_text(encoding="utf-8").replace('"/hello"', '"hello"')
        home.project.save(bad, home.project.include)
        (mistake,) = (await home.process.seen("checked", errors=1))["diagnostics"]
        home.project.include.rename(outside)
        home.project.include.symlink_to(outside)
        for name in ("edit", "fix"):
            status = await asked(home, client, name, mistake)
            if status == 303:
                await home.process.seen("notice", severity="warning")
            else:  # the loop has looked meanwhile, and it is no file of this descriptor any more
                assert status == 400

    assert outside.read_text(encoding="utf-8") == bad
    assert not told.exists()


async def test_an_editor_that_does_not_start(tmp_path: Path, client: aiohttp.ClientSession) -> None:
    """It is said, and the next thing that is asked for is done."""
    env = editor(tmp_path, "no program")
    async with house(tmp_path, env=env) as home:
        file = home.project.template.name
        for _ in range(2):
            assert await asked(home, client, "edit", {"file": file, "line": 1}) == 303
            notice = await home.process.seen("notice", severity="warning")
            assert notice["message"].startswith("the editor cannot be started")


def editor(folder: Path, program: str) -> dict[str, str]:
    """The environment in which *program* is the user's editor."""
    path = folder / "bin" / "code"
    path.parent.mkdir()
    path.write_text(program, encoding="utf-8")
    path.chmod(0o755)
    return {"EDITOR": "code", "PATH": f"{path.parent}{os.pathsep}{os.environ['PATH']}"}


async def asked(
    home: House, client: aiohttp.ClientSession, name: str, form: Mapping[str, object]
) -> int:
    """The status of an action that the page itself asks for."""
    async with client.post(
        f"{home.dashboard}/actions/{name}",
        headers={"Origin": home.dashboard},
        data={"token": await home.token(client), **{key: str(form[key]) for key in form}},
        allow_redirects=False,
    ) as answer:
        return answer.status


async def everything(home: House, client: aiohttp.ClientSession) -> dict[str, str]:
    """Every page there is, by its path."""
    paths = ["/", "/overlay", "/state", "/traffic.har"]
    paths += [f"/?view={view}" for view in ("descriptor", "traffic", "app")]
    paths += [f"/?view=traffic&item={kind}{n}" for n in range(1, 9) for kind in "cx"]
    found = {}
    for path in paths:
        async with client.get(home.dashboard + path) as answer:
            assert answer.status == 200, path
            found[path] = await answer.text()
    return found


async def test_stored_scripts(home: House, client: aiohttp.ClientSession) -> None:
    """Whatever apps, hosts and callers say is text: keys, names, paths, headers, bodies, errors."""
    bad = XSS.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    bad = bad.replace("{{7*7}}", "")
    template = home.project.template.read_text(encoding="utf-8")
    home.project.save(
        template.replace('name="{{ name }}"', f'name="{bad}"').replace(
            'key="installed"', 'key="i&lt;b&gt;"'
        )
    )
    await home.process.seen("published", revision="r2")
    async with client.post(
        f"{home.public}/installed?a={XSS}",
        json={"key": XSS, "x": XSS},
        headers={"X-Bad": XSS, "User-Agent": XSS},
    ) as answer:
        assert answer.status == 401
    async with client.get(f"{home.public}/{XSS}", headers={"User-Agent": XSS, "X": XSS}) as answer:
        assert answer.status in (404, 405)
    home.project.save(template.replace("{{ version }}", "{{ '" + XSS.replace("'", "") + "'.x }}"))
    await home.process.seen("withheld")

    for path, text in (await everything(home, client)).items():
        if path in ("/state", "/traffic.har"):
            json.loads(text)
            continue
        assert "<img" not in text, path
        assert "<script>alert" not in text, path
        assert "onerror=alert(1)>" not in text, path


async def test_no_secret_is_shown(home: House, client: aiohttp.ClientSession) -> None:
    """Not in pages, state, HAR or curl: tokens, shared secrets, cookies, credentials."""
    secrets = ("s3cr3t-jwt-value", "sh4red-secret-value", "c00kie-value", "b4sic-value")
    async with client.post(
        f"{home.public}/installed?jwt={secrets[0]}",
        json={"key": "k", "sharedSecret": secrets[1]},
        headers={"Cookie": f"JSESSIONID={secrets[2]}", "Authorization": f"Basic {secrets[3]}"},
    ):
        pass
    async with client.get(
        f"{home.public}/hello?jwt={secrets[0]}&token={secrets[1]}",
        headers={"Cookie": f"s={secrets[2]}", "Authorization": f"Bearer {secrets[3]}"},
    ):
        pass

    pages = await everything(home, client)
    assert any("installed" in text for text in pages.values())
    for path, text in pages.items():
        for secret in (*secrets, "YWRtaW46YWRtaW4="):
            assert secret not in text, path


async def test_bodies_are_bounded(home: House, client: aiohttp.ClientSession) -> None:
    """A callback of more than 10 MB is refused; so is a form of the dashboard's."""
    async with client.post(
        f"{home.public}/installed", data=io.BytesIO(b"x" * (11 * 2**20))
    ) as answer:
        assert answer.status == 413
    async with client.post(
        f"{home.dashboard}/actions/register",
        headers={"Origin": home.dashboard, "Content-Type": FORM},
        data=io.BytesIO(b"a=" + b"x" * (13 * 2**20)),
    ) as answer:
        assert answer.status == 413


async def test_slow_forms_are_cut(home: House) -> None:
    """Who sends a form drop by drop is let go, and nothing is done."""
    url = URL(home.dashboard)
    reader, writer = await asyncio.open_connection("127.0.0.1", url.port)
    writer.write(
        f"POST /actions/unregister HTTP/1.1\r\nHost: localhost:{url.port}\r\n"
        f"Origin: {home.dashboard}\r\nContent-Type: {FORM}\r\n"
        "Content-Length: 1000\r\n\r\ntoken=".encode()
    )
    async with asyncio.timeout(10):
        assert b" 408 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert not home.process.of("target", state="unregistered")


async def test_the_app_decides(home: House, client: aiohttp.ClientSession) -> None:
    """A forged callback gets 401 and the app never sees it; a genuine one gets the app's answer."""
    before = len(home.process.of("callback", verdict="genuine"))
    async with client.post(f"{home.public}/installed", json={"key": "com.acme.hello"}) as answer:
        assert answer.status == 401
    forged = await home.process.seen("callback", verdict="forged")
    assert forged["status"] == 401
    assert before == len(home.process.of("callback", verdict="genuine", status=200))


async def test_an_app_that_hangs_holds_nothing_up(
    tmp_path: Path, client: aiohttp.ClientSession
) -> None:
    """It may stand in a debugger: what is asked for meanwhile is done at once."""
    app = APP.replace("    body = await request.read()\n", "    await asyncio.sleep(60)\n").replace(
        "import os\n", "import asyncio, os\n"
    )
    async with house(tmp_path, app=app, state="registering") as home:
        async with client.post(f"{home.public}/installed", json={"key": "com.acme.hello"}):
            pass
        for _ in range(3):
            assert await asked(home, client, "replay", {"item": "c1"}) == 303
        assert await asked(home, client, "pause", {"paused": "yes"}) == 303
        await home.process.seen("paused", paused=True, within=5)


async def test_replay(home: House, client: aiohttp.ClientSession) -> None:
    """A callback is sent to the app again, as it was or edited; never elsewhere."""
    token = await home.token(client)
    headers = {"Origin": home.dashboard}
    url = f"{home.dashboard}/actions/replay"
    for fields in (
        {"item": "c1"},
        {"item": "c1", "path": "/other?status=418", "body": '{"edited": true}'},
    ):
        async with client.post(url, headers=headers, data={"token": token, **fields}) as answer:
            assert answer.status == 200
    for bad in ({"item": "z1"}, {"item": "c1", "path": "http://evil/"}, {"item": "../x"}):
        async with client.post(url, headers=headers, data={"token": token, **bad}) as answer:
            assert answer.status == 400
    async with asyncio.timeout(5):
        while True:
            async with client.get(f"{home.dashboard}/traffic.har?view=traffic") as answer:
                har = await answer.json()
            found = {
                (each["request"]["url"].rpartition("/")[2], each["response"]["status"])
                for each in har["log"]["entries"]
            }
            if {("installed", 200), ("other?status=418", 418)} <= found:
                break
            await asyncio.sleep(0.02)
