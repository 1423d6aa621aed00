"""The pages without a browser: who may see and do what, and what protects them."""

import html
import re

import aiohttp
import pytest
from simulator.conftest import LogIn, Start
from simulator.people import PLAIN_XML, Answer, App, Client
from simulator.zips import jar

from devserver.simulator import SimulatedHost
from devserver.simulator.app import App as Described
from devserver.simulator.artefact import recognise

UPM = "/plugins/servlet/upm"


class Person:
    """Somebody at a browser: a session cookie, the page's own origin and form token."""

    def __init__(self, client: Client, host: SimulatedHost, cookie: str) -> None:
        self.host = host
        self._client = client
        self.headers = {"Cookie": cookie, "Origin": host.origin, "User-Agent": "Mozilla/5.0"}

    async def get(self, path: str) -> Answer:
        return await self._client("GET", path, headers=self.headers)

    async def post(self, path: str, **fields: str) -> Answer:
        return await self.post_as(self.headers, path, **fields)

    async def post_as(self, headers: dict[str, str], path: str, **fields: str) -> Answer:
        data = {"form_token": self.host.form_token, **fields}
        return await self._client("POST", path, data=data, headers=headers)


async def at_browser(host: SimulatedHost, log_in: LogIn, user: str = "admin") -> Person:
    nobody = await log_in(host, "")
    person = Person(nobody, host, "")
    answer = await person.post("/login.jsp", os_username=user, os_password=user)
    assert answer.status == 303, answer.text
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert cookie.startswith(f"upm-simulator-{host.port}=")
    return Person(nobody, host, cookie.split(";")[0])


async def test_log_in_and_out(host: SimulatedHost, log_in: LogIn) -> None:
    """Pages ask for a login and lead back; never to another site."""
    nobody = await log_in(host, "")
    asked = await nobody("GET", UPM)
    assert asked.headers["Location"] == "/jira/login.jsp?os_destination=/jira/plugins/servlet/upm"
    person = Person(nobody, host, "")
    wrong = await person.post("/login.jsp", os_username="admin", os_password="no")
    assert (wrong.status, "incorrect" in wrong.text) == (401, True)
    for there, then in [("/jira/x", "/jira/x"), ("//evil", "/jira/"), ("http://evil", "/jira/")]:
        answer = await person.post(
            "/login.jsp", os_username="admin", os_password="admin", os_destination=there
        )
        assert answer.headers["Location"] == then
    admin = await at_browser(host, log_in)
    assert (await admin.get(UPM)).status == 200
    await admin.post("/logout")
    assert (await admin.get(UPM)).status == 303


async def test_forms_are_protected(host: SimulatedHost, log_in: LogIn) -> None:
    """Without our origin, our token, our name, nothing changes."""
    admin = await at_browser(host, log_in)
    form = {"enabled": "true"}

    foreign = {**admin.headers, "Origin": "http://localhost:1"}
    rebound = {**admin.headers, "Host": f"evil.example:{host.port}"}
    none = {name: value for name, value in admin.headers.items() if name != "Origin"}
    for headers, status in [(foreign, 403), (rebound, 421), (none, 403)]:
        assert (await admin.post_as(headers, f"{UPM}/safe-mode", **form)).status == status
    assert (await admin.post(f"{UPM}/safe-mode", form_token="x", **form)).status == 403
    assert host.state.safe_mode is False
    assert (await admin.post(f"{UPM}/safe-mode", **form)).status == 303
    assert host.state.safe_mode is True
    assert (await admin.get(UPM)).headers["X-Frame-Options"] == "DENY"
    seen = await admin._client("GET", UPM, headers={**admin.headers, "Host": "evil.example"})
    assert seen.status == 421


async def test_the_pages_and_the_right_to_see_them(host: SimulatedHost, log_in: LogIn) -> None:
    """A user sees no administration, a manager uploads nothing."""
    user, manager = (
        await at_browser(host, log_in, "user"),
        await at_browser(host, log_in, "manager"),
    )

    assert (await user.get("/")).status == 200
    for path in ("/admin", UPM, f"{UPM}/log", f"{host.origin}/_simulator/"):
        assert (await user.get(path)).status == 403
        assert (await manager.get(path)).status == 200
    assert 'role="dialog"' not in (await manager.get(f"{UPM}?dialog=upload")).text
    assert 'role="dialog"' in (await manager.get(f"{UPM}?dialog=settings")).text
    assert (await manager.post(f"{UPM}/upload", url="http://x/y")).status == 403


async def test_upload_switch_uninstall(host: SimulatedHost, log_in: LogIn, app: App) -> None:
    """Everything the page offers does what the REST does."""
    admin = await at_browser(host, log_in)
    done = await admin.post(f"{UPM}/upload", url=app.descriptor)
    page = await admin.get(done.headers["Location"].removeprefix("/jira"))
    assert "Installed and ready to go" in page.text
    key = "com.example.hello"
    await admin.post(f"{UPM}/switch", key=key, enabled="false")
    assert host.state.plugins[key].enabled is False
    assert "disabled" in (await admin.get(f"/plugins/servlet/ac/{key}/hello")).text
    await admin.post(f"{UPM}/switch", key=key, enabled="true")
    await admin.post(f"{UPM}/module", key=key, module="hello", enabled="false")
    assert [each.enabled for each in host.state.plugins[key].app.modules][1] is False
    assert (await admin.post(f"{UPM}/module", key=key, module="none")).status == 404
    fired = await admin.post(
        f"{host.origin}/_simulator/fire-form", key=key, event="jira:issue_created"
    )
    assert fired.status == 303
    assert "/issue?a=b%20c" in app.paths()
    fire = f"{host.origin}/_simulator/fire-form"
    assert (await admin.post(fire, key=key, event="other")).status == 404
    assert (await admin.post(fire, key="none", event="other")).status == 404
    await admin.post(f"{UPM}/uninstall", key=key)
    assert key not in host.state.plugins
    system = await admin.post(f"{UPM}/uninstall", key=next(iter(host.state.plugins)))
    assert system.status == 409


async def test_upload_that_fails(host: SimulatedHost, log_in: LogIn, app: App) -> None:
    """The dialog says why, in the words and the code of the task."""
    admin = await at_browser(host, log_in)
    for url, code in [
        ("", "invalid.relative.uri"),
        ("file:///etc/passwd", "unsupported.protocol"),
        (f"{app.url}/<script>", "unknown.plugin.type"),
    ]:
        app.body, app.media_type = b"?", "text/plain"
        done = await admin.post(f"{UPM}/upload", url=url)
        page = await admin.get(done.headers["Location"].removeprefix("/jira"))
        assert code in page.text
        assert "<script>" not in page.text
    assert (await admin.get(f"{UPM}/progress/none")).status == 404


async def test_a_slow_installation(start: Start, log_in: LogIn, app: App) -> None:
    """The page shows progress and asks again by itself."""
    host = await start(install_time=30)
    admin = await at_browser(host, log_in)

    done = await admin.post(f"{UPM}/upload", url=app.descriptor)
    page = await admin.get(done.headers["Location"].removeprefix("/jira"))

    assert '<meta http-equiv="refresh" content="1">' in page.text
    assert "<progress" in page.text


async def test_upload_a_file(host: SimulatedHost, log_in: LogIn) -> None:
    """A JAR from this computer."""
    admin = await at_browser(host, log_in)
    form = aiohttp.FormData({"form_token": host.form_token, "url": ""})
    form.add_field("plugin", jar("a.b"), filename="a.jar")

    done = await admin._client("POST", f"{UPM}/upload", data=form, headers=admin.headers)

    assert done.status == 303
    await host.installed("a.b")


async def test_settings_and_safe_mode(host: SimulatedHost, log_in: LogIn) -> None:
    """What is ticked is on, what is not is off; enabling waits for the end of safe mode."""
    admin = await at_browser(host, log_in)
    assert "checked" in (await admin.get(f"{UPM}?dialog=settings")).text
    await admin.post(f"{UPM}/settings", requestsDisabled="true")
    assert host.state.settings.private_listings is False
    assert host.state.settings.values["requestsDisabled"] is True
    assert "Private listings are switched off" in (await admin.get(f"{UPM}?dialog=upload")).text
    host.state.settings.private_listings = True
    host.state.install(app_of(PLAIN_XML), user="admin", now=0)
    await admin.post(f"{UPM}/safe-mode", enabled="true")
    assert "safe mode" in (await admin.get(UPM)).text
    switch = await admin.post(f"{UPM}/switch", key="com.example.plain", enabled="true")
    uninstall = await admin.post(f"{UPM}/uninstall", key="com.example.plain")
    assert (switch.status, uninstall.status) == (409, 409)
    await admin.post(f"{UPM}/safe-mode", enabled="false", keep="false")
    assert host.state.plugins["com.example.plain"].enabled


def app_of(template: str) -> Described:
    found = recognise(template.format(version="1").encode(), "x.xml", "", ("xml",))
    assert isinstance(found, Described)
    return found


async def test_web_sudo_on_pages(start: Start, log_in: LogIn) -> None:
    """A session that is no longer secure is asked for the password again."""
    host = await start(profile="dc")
    admin = await at_browser(host, log_in)
    host.skew = 3600

    asked = await admin.get(UPM)
    assert asked.headers["Location"].startswith("/jira/secure/admin/WebSudoAuthenticate.jspa")
    question = await admin.get(asked.headers["Location"].removeprefix("/jira"))
    assert "Confirm the password" in question.text
    answer = await admin.post(
        "/secure/admin/WebSudoAuthenticate.jspa", os_password="admin", os_destination=f"/jira{UPM}"
    )
    assert answer.headers["Location"] == f"/jira{UPM}"
    assert (await admin.get(UPM)).status == 200
    nobody = await log_in(host, "")
    assert (await nobody("GET", "/secure/admin/WebSudoAuthenticate.jspa")).status == 303


@pytest.mark.parametrize("profile", ["xml-era", "connect"])
async def test_the_frame(start: Start, log_in: LogIn, app: App, profile: str) -> None:
    """Signed as the era signed it, sandboxed, and the page's policy lets this origin in alone."""
    host = await start(profile=profile)
    client = await log_in(host)
    if profile == "connect":
        app.serve_json()
    await client.install(app.descriptor)
    key = app_key = "com.example.connect" if profile == "connect" else "com.example.hello"
    user = await at_browser(host, log_in, "user")

    page = await user.get(f"/plugins/servlet/ac/{key}/hello")

    frame = re.search(r'<iframe [^>]*src="([^"]*)"[^>]*sandbox="([^"]*)"', page.text)
    assert frame, app_key
    src = html.unescape(frame[1])
    assert src.startswith(f"{app.url}/hello?x=")
    assert ("jwt=" in src) == (profile == "connect")
    assert ("oauth_signature=" in src) == (profile == "xml-era")
    assert "user_id=user" in src
    assert "allow-top-navigation" not in frame[2]
    assert f"frame-src {app.url};" in page.headers["Content-Security-Policy"]
    assert (await user.get("/plugins/servlet/ac/none/hello")).status == 404
    assert (await user.get(f"/plugins/servlet/ac/{key}/installed")).status == 404
    nobody = await log_in(host, "")
    assert (await nobody("GET", f"/plugins/servlet/ac/{key}/hello")).status == 303


async def test_the_page_of_requests_and_faults(host: SimulatedHost, log_in: LogIn) -> None:
    """Faults are added and removed, the host is restarted, requests are listed."""
    admin, client = await at_browser(host, log_in), await log_in(host)
    page = f"{host.origin}/_simulator"
    await client("GET", "<script>")

    added = await admin.post(f"{page}/fault-form", kind="status", stage="poll", times="2", ms="")
    wrong = await admin.post(f"{page}/fault-form", kind="lost", stage="poll")
    shown = await admin.get(f"{page}/")

    assert (added.status, wrong.status, shown.status) == (303, 400, 200)
    assert "2 times" in shown.text
    assert "&lt;script&gt;" in shown.text
    assert "<script>" not in shown.text
    await admin.post(f"{page}/clear-faults-form")
    assert host.faults.listed() == []
    assert (await client("GET", f"{page}/style.css")).type == "text/css"
    assert (await client("GET", f"{page}/icon.svg")).type == "image/svg+xml"
    await admin.post(f"{page}/restart-form", memory="false")
    assert (await admin.get(f"{page}/")).status == 303


async def test_the_endpoints(host: SimulatedHost, log_in: LogIn, app: App) -> None:
    """Callbacks are read, events fired and the host restarted over HTTP too."""
    client = await log_in(host)
    await client.install(app.descriptor)
    await host.called_back("remote_plugin_enabled")
    page = f"{host.origin}/_simulator"
    told = (await client("GET", f"{page}/token")).json
    ours = {"Origin": told["origin"], told["header"]: told["token"]}
    event = {"key": "com.example.hello", "event": "jira:issue_created", "body": {"issue": 1}}

    fired = await client("POST", f"{page}/fire", json=event, headers=ours)
    assert fired.json["callbacks"][0]["status"] == 204
    assert app.received[-1].body == {"issue": 1}
    unknown = await client("POST", f"{page}/fire", json={"key": 1}, headers=ours)
    unwanted = await client("POST", f"{page}/fire", json={**event, "event": "x"}, headers=ours)
    assert (unknown.status, unwanted.status) == (400, 404)
    callbacks = (await client("GET", f"{page}/callbacks")).json["callbacks"]
    assert callbacks[-1]["event"] == "jira:issue_created"
    assert (await client("DELETE", f"{page}/journal", headers=ours)).status == 204
    assert (await client("GET", f"{page}/journal")).json == {"exchanges": []}
    wrong = await client("POST", f"{page}/restart", json={"memory": 1}, headers=ours)
    assert wrong.status == 400
    gone = await client("POST", f"{page}/restart", json={"memory": False}, headers=ours)
    assert gone.status == 204
    assert "com.example.hello" not in host.state.plugins
