"""The REST surface: gates in their order, users, plugins, settings, safe mode, licences, log."""

import aiohttp
import pytest
from simulator.conftest import LogIn, Start
from simulator.people import PLUGIN_TYPE, URI_TYPE, App, Client
from simulator.zips import jar

from devserver.simulator import SimulatedHost

PLAIN = "application/vnd.atl.plugins+json"
SAFE = "application/vnd.atl.plugins.safe.mode.flag+json"
UPM = "com.atlassian.upm.atlassian-universal-plugin-manager-plugin-key"


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": aiohttp.encode_basic_auth(user, password)}


async def test_no_login(host: SimulatedHost, log_in: LogIn) -> None:
    """401 as XML, or JSON where that is asked for; `os_authType=basic` adds the challenge."""
    nobody = await log_in(host, "")

    plain = await nobody("GET", "")
    challenged = await nobody("GET", "?os_authType=basic")
    cookie = await nobody("GET", "?os_authType=cookie")
    stale = await nobody("GET", "?os_authType=any", headers={"Cookie": "JSESSIONID=old"})

    assert plain.type.startswith("application/xml")
    assert "<status-code>401</status-code>" in plain.text
    assert "WWW-Authenticate" not in plain.headers
    assert challenged.headers["WWW-Authenticate"] == 'Basic realm="Jira"'
    assert [plain.status, challenged.status, cookie.status, stale.status] == [401] * 4


@pytest.mark.parametrize("value", ["Basic !!", "Basic YWRtaW4=", "Basic ", "Bearer x", "Digest x"])
async def test_credentials_that_are_none(host: SimulatedHost, log_in: LogIn, value: str) -> None:
    """Broken credentials are a 401, whatever they are."""
    nobody = await log_in(host, "")

    assert (await nobody("GET", "", headers={"Authorization": value})).status == 401


async def test_a_wrong_password_and_the_captcha(host: SimulatedHost, log_in: LogIn) -> None:
    """The third failure asks for a CAPTCHA, which only a person at the login page answers."""
    nobody = await log_in(host, "")

    wrong = [await nobody("GET", "", headers=basic("admin", "no")) for _ in range(3)]
    denied = await nobody("GET", "", headers=basic("admin", "admin"))

    assert {each.headers["X-Seraph-LoginReason"] for each in wrong} == {"AUTHENTICATED_FAILED"}
    assert {each.status for each in wrong} == {401}
    assert (denied.status, denied.headers["X-Seraph-LoginReason"]) == (403, "AUTHENTICATION_DENIED")
    assert denied.headers["X-Authentication-Denied-Reason"] == (
        f"CAPTCHA_CHALLENGE; login-url={host.url}/login.jsp"
    )
    page = await nobody(
        "POST",
        "/login.jsp",
        data={"os_username": "admin", "os_password": "admin", "form_token": host.form_token},
        headers={"Origin": host.origin},
    )
    assert page.status == 303
    assert (await nobody("GET", "", headers=basic("admin", "admin"))).status == 200


async def test_rights(host: SimulatedHost, log_in: LogIn, app: App) -> None:
    """401 or 403 by endpoint, and `OK` as the login's reason: the password was right (§5.2)."""
    user, manager = await log_in(host, "user"), await log_in(host, "manager")

    listing, head = await user("GET", ""), await user("HEAD", "")
    post = await user("POST", "?token=1", json={"pluginUri": "http://x/y"}, headers=URI)
    upload = await manager(
        "POST",
        "?token=1",
        data=b"--x--",
        headers={
            "X-Atlassian-Token": "no-check",
            "Content-Type": "multipart/form-data; boundary=x",
        },
    )
    delete = await manager("DELETE", UPM)

    assert (listing.status, head.status, post.status) == (401, 403, 403)
    assert listing.headers["X-Seraph-LoginReason"] == "OK"
    assert listing.type == "application/vnd.atl.plugins.error+json;charset=UTF-8"
    assert post.text == "Cannot access this resource on this system."
    assert delete.status == 401
    assert (upload.status, upload.headers["X-Seraph-LoginReason"]) == (401, "OK")
    assert (await manager("GET", "")).status == 200


URI = {"Content-Type": URI_TYPE}


async def test_the_order_in_upm_6(start: Start, log_in: LogIn) -> None:
    """Media type, URI syntax, right, token, relative URI; the rest is found in the task."""
    host = await start(profile="dc")
    admin, user, manager = (
        await log_in(host, "admin"),
        await log_in(host, "user"),
        await log_in(host, "manager"),
    )

    async def post(who: Client, uri: str, token: str = "1", **headers: str) -> tuple[int, str]:
        body = {"pluginUri": uri}
        answer = await who("POST", f"?token={token}", json=body, headers={**URI, **headers})
        return answer.status, answer.text

    assert (await post(user, "http://[", **{"Content-Type": "application/json"}))[0] == 415
    status, text = await post(user, "http://[")
    assert (status, text) == (400, '{"subCode":"upm.pluginInstall.error.invalid.uri.syntax"}')
    assert (await post(user, "relative.xml"))[0] == 403
    assert "invalid.token" in (await post(admin, "relative.xml"))[1]
    status, text = await post(admin, "relative.xml", await admin.token())
    assert (status, text) == (400, '{"subCode":"upm.pluginInstall.error.invalid.relative.uri"}')
    accepted = await manager(
        "POST", f"?token={await manager.token()}", json={"pluginUri": "file:///x"}, headers=URI
    )
    assert accepted.status == 202


async def test_a_manager_is_refused_in_the_task(start: Start, log_in: LogIn, app: App) -> None:
    """UPM 6 finds only after the download that an administrator may not install."""
    host = await start(profile="dc")
    app.serve_xml(template='<atlassian-plugin key="k" plugins-version="2"/>')

    code = await (await log_in(host, "manager")).refused(app.descriptor)

    assert code == "upm.pluginInstall.error.install.unpermitted"


async def test_the_order_in_upm_2(admin: Client, host: SimulatedHost, log_in: LogIn) -> None:
    """Right, safe mode, token, URI."""
    manager = await log_in(host, "manager")
    body = {"pluginUri": "relative.xml"}

    assert (await manager("POST", "?token=1", json=body, headers=URI)).status == 403
    host.safe_mode(True, keep=False, user="admin")
    safe = await admin("POST", "?token=1", json=body, headers=URI)
    assert (safe.status, safe.json["subCode"]) == (409, "upm.pluginInstall.error.safe.mode")
    host.safe_mode(False, keep=False, user="admin")
    assert (await admin("POST", "?token=1", json=body, headers=URI)).status == 403
    assert (await admin.post("relative.xml")).status == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"pluginUri":1}', b"\xff", b"[" * 100_000])
async def test_a_body_that_says_nothing(admin: Client, body: bytes) -> None:
    """400 where it is no JSON, 500 with a referral where it names no URI, as on a host."""
    answer = await admin("POST", "?token=1", data=body, headers=URI)

    assert answer.status in (400, 500)
    if answer.status == 500:
        assert "admin passing attached Log''s referral number: " in answer.text


async def test_xsrf(admin: Client, host: SimulatedHost, start: Start, log_in: LogIn) -> None:
    """Forms need the header, browsers their own origin; UPM 6 lets uploads pass (§3, §5.5)."""
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    dc = await log_in(await start(profile="dc"))

    bare = await admin("POST", "?token=1", data=b"--x--", headers=form)
    spelt = await admin(
        "POST", "?token=1", data=b"--x--", headers={**form, "X-Atlassian-Token": "nocheck"}
    )
    browser = await admin("POST", "?token=1", json={}, headers={**URI, "User-Agent": "Mozilla/5.0"})
    at_home = await admin(
        "POST",
        "?token=1",
        json={"pluginUri": "http://x/y"},
        headers={**URI, "User-Agent": "Mozilla/5.0", "Referer": f"{host.url}/x"},
    )

    assert (bare.status, bare.text) == (403, "XSRF check failed")
    assert "invalid token" in spelt.text
    assert (browser.status, browser.text) == (403, "XSRF check failed")
    assert "invalid token" in at_home.text
    assert "invalid token" in (await dc("POST", "?token=1", data=b"--x--", headers=form)).text


async def test_web_sudo(start: Start, log_in: LogIn) -> None:
    """A session meets web-sudo but for HEAD, and passes once the password was given again."""
    host = await start(profile="dc")
    nobody = await log_in(host, "")
    first = await nobody("GET", "", headers=basic("admin", "admin"))
    cookie = {"Cookie": first.headers["Set-Cookie"].split(";")[0]}

    stopped = await nobody("GET", "", headers=cookie)
    head = await nobody("HEAD", "", headers=cookie)
    wrong = await nobody(
        "POST", WEBSUDO, data={"webSudoPassword": "no"}, headers={**cookie, "Origin": host.origin}
    )
    answer = await nobody(
        "POST",
        WEBSUDO,
        data={"webSudoPassword": "admin", "webSudoDestination": "/jira/admin"},
        headers=cookie,
    )

    assert (stopped.status, stopped.json) == (401, {"subCode": "upm.websudo.error"})
    assert stopped.headers["X-Atlassian-WebSudo"] == "Require-Authentication"
    assert (head.status, wrong.status) == (200, 401)
    assert (answer.status, answer.headers["Location"]) == (302, "/jira/admin")
    assert (await nobody("GET", "", headers=cookie)).status == 200


WEBSUDO = "/secure/admin/WebSudoAuthenticate.jspa"


async def test_personal_access_tokens(start: Start, log_in: LogIn) -> None:
    """Bearer works where there are such tokens; Basic switched off says so by Accept (§5.6)."""
    host, old = await start(profile="dc"), await start()
    locked = await log_in(await start(profile="dc-locked"))
    admin, nobody = await log_in(host), await log_in(host, "")

    made = await admin("POST", "/rest/pat/latest/tokens", json={"name": "mine"})
    bearer = {"Authorization": f"Bearer {made.json['rawToken']}"}

    assert made.status == 201
    assert (await nobody("GET", "", headers=bearer)).status == 200
    assert (await nobody("GET", "", headers={"Authorization": "Bearer no"})).status == 401
    assert (await (await log_in(old))("POST", "/rest/pat/1.0/tokens", json={})).status == 404
    json, xml, text = [
        await locked("GET", "", headers={"Accept": accept})
        for accept in ("application/json", "application/xml", "text/plain")
    ]
    assert [json.status, xml.status, text.status] == [403] * 3
    assert "asic" in json.json["message"]
    assert xml.text.startswith("<warning><message>")
    assert text.type.startswith("text/plain")


async def test_plugins(admin: Client, host: SimulatedHost, app: App) -> None:
    """The listing, the summary, the whole plugin, and a key without its suffix."""
    await admin.install(app.descriptor)

    listing = (await admin("GET", "")).json
    summary = (await admin("GET", "com.example.hello-key/summary")).json
    full = (await admin("GET", "com.example.hello-key")).json
    bare = await admin("GET", "com.example.hello")

    assert listing["plugins"][-1] == summary
    assert listing["links"]["pending-tasks"] == "/jira/rest/plugins/1.0/pending"
    assert {**full, **summary} == full
    assert summary["links"]["manage"] == (
        f"{host.url}/plugins/servlet/upm#manage/com.example.hello"
    )
    assert (summary["remotable"], summary["userInstalled"], summary["version"]) == (
        True,
        True,
        "1.0",
    )
    module = full["modules"][1]
    assert (module["key"], module["completeKey"]) == ("hello", "com.example.hello:hello")
    assert module["links"]["self"].endswith("/com.example.hello-key/modules/hello-key")
    assert bare.status == 400
    assert bare.type.startswith("application/vnd.atl.plugins.task.error+json")


async def test_enable_and_disable(admin: Client, host: SimulatedHost, app: App) -> None:
    """PUT switches, tells the app once, and a disabled app stays so when it is updated."""
    await admin.install(app.descriptor)
    type_ = {"Content-Type": PLUGIN_TYPE}

    whole = (await admin("GET", "com.example.hello-key")).json
    off = await admin(
        "PUT", "com.example.hello-key", json={**whole, "enabled": False}, headers=type_
    )
    again = await admin("PUT", "com.example.hello-key", json={"enabled": False}, headers=type_)
    app.serve_xml("2.0")
    await admin.install(app.descriptor)

    assert (off.status, off.json["enabled"], again.status) == (200, False, 200)
    updated = (await admin("GET", "com.example.hello-key")).json
    assert (updated["version"], updated["enabled"]) == ("2.0", False)
    assert not any(module["enabled"] for module in updated["modules"])
    await host.called_back("remote_plugin_installed", count=2)
    assert len(await host.called_back("remote_plugin_disabled")) == 1
    nothing = await admin("PUT", "com.example.hello-key", json={}, headers=type_)
    assert nothing.json["enabled"] is False
    assert (await admin("PUT", "none-key", json={}, headers=type_)).status == 404
    own = await admin("PUT", UPM, json={"enabled": False}, headers=type_)
    assert (own.status, own.json["subCode"]) == (409, "upm.plugin.error.invalid.upm.plugin.action")


async def test_modules(admin: Client, app: App) -> None:
    """A module is read and switched by its own type."""
    await admin.install(app.descriptor)
    type_ = {"Content-Type": "application/vnd.atl.plugins.plugin.module+json"}
    path = "com.example.hello-key/modules/hello-key"

    off = await admin("PUT", path, json={"enabled": False}, headers=type_)

    assert (off.status, off.json["enabled"]) == (200, False)
    assert (await admin("GET", path)).json["enabled"] is False
    assert (await admin("PUT", path, json={})).status == 415
    assert (await admin("GET", "com.example.hello-key/modules/no-key")).status == 404
    upm = await admin("PUT", f"{UPM}/modules/upm-key", json={"enabled": False}, headers=type_)
    assert upm.status == 403


async def test_what_cannot_be_deleted(start: Start, log_in: LogIn) -> None:
    """UPM itself, what the SDK bundles, and anything in safe mode."""
    host = await start(profile="dc")
    admin = await log_in(host)
    bundled = host.profile.bundled[0]

    assert (await admin("DELETE", UPM)).status == 405
    refused = await admin("DELETE", f"{bundled}-key")
    assert (refused.status, refused.json["subCode"]) == (
        403,
        "upm.pluginUninstall.error.plugin.is.system",
    )
    await admin.finish(await admin.upload(jar("a.b")))
    host.safe_mode(True, keep=False, user="admin")
    assert (await admin("DELETE", "a.b-key")).status == 409


async def test_safe_mode(admin: Client, host: SimulatedHost, app: App) -> None:
    """Entering disables apps and tells them; leaving restores them, or keeps what is."""
    await admin.install(app.descriptor)
    type_ = {"Content-Type": SAFE}

    on = await admin("PUT", "safe-mode", json={"enabled": True}, headers=type_)
    assert (on.status, on.json["enabled"]) == (200, True)
    assert (await admin("PUT", "safe-mode", json={"enabled": True}, headers=type_)).status == 409
    assert (await admin("PUT", "safe-mode", json={}, headers=type_)).status == 400
    assert (await admin("PUT", "safe-mode", json={}, headers={})).status == 415
    assert (await admin("GET", "com.example.hello-key")).json["enabled"] is False
    blocked = await admin(
        "PUT",
        "com.example.hello-key",
        json={"enabled": True},
        headers={"Content-Type": PLUGIN_TYPE},
    )
    assert blocked.status == 409
    off = await admin("PUT", "safe-mode?keepState=false", json={"enabled": False}, headers=type_)
    assert off.json == (await admin("GET", "safe-mode")).json
    assert (await admin("GET", "com.example.hello-key")).json["enabled"] is True
    await host.called_back("remote_plugin_enabled", count=2)
    host.safe_mode(True, keep=False, user="admin")
    await admin("PUT", "safe-mode?keepState=true", json={"enabled": False}, headers=type_)
    assert (await admin("GET", "com.example.hello-key")).json["enabled"] is False


async def test_settings(admin: Client, host: SimulatedHost, app: App) -> None:
    """PUT changes what there is; private listings off refuse what is not listed."""
    listed = [
        {"key": "requestsDisabled", "value": True},
        {"key": "connectDeveloperListingsEnabled", "value": False},
        {"key": "unknown", "value": True},
        {"key": "emailDisabled", "value": "yes"},
    ]

    put = await admin("PUT", "settings", json={"settings": listed}, headers={"Content-Type": PLAIN})

    assert (put.status, put.text) == (200, "")
    assert (await admin("PUT", "settings", json={})).status == 415
    now = {each["key"]: each["value"] for each in (await admin("GET", "settings")).json["settings"]}
    assert now["requestsDisabled"] is True
    assert now["emailDisabled"] is False
    code = await admin.refused(app.descriptor)
    assert code == "upm.pluginInstall.error.descriptor.not.from.marketplace"


async def test_licences(start: Start, log_in: LogIn, app: App) -> None:
    """Only an app that asks for a licence has one; on Cloud it then cannot be uninstalled."""
    admin = await log_in(await start(profile="connect"))
    app.serve_json(enableLicensing=True)
    await admin.install(app.descriptor)
    path, type_ = "com.example.connect-key/license", {"Content-Type": PLAIN}

    assert (await admin("GET", path)).json["pluginKey"] == "com.example.connect"
    put = await admin("PUT", path, json={"rawLicense": "AAABBBCCCDDD"}, headers=type_)
    assert (put.status, put.json["valid"]) == (200, True)
    short = await admin("PUT", path, json={"rawLicense": "x"}, headers=type_)
    empty = await admin("PUT", path, json={}, headers=type_)
    assert short.json["subCode"] == "upm.plugin.license.error.invalid.license"
    assert empty.json["subCode"] == "upm.plugin.license.error.setting.empty.license"
    assert (await admin("PUT", path, json={})).status == 415
    assert "valid" not in (await admin("DELETE", path)).json
    assert (await admin("DELETE", f"{UPM}/license")).status == 412
    assert (await admin("GET", "none-key/license")).status == 404


async def test_licence_tokens(start: Start, log_in: LogIn, app: App) -> None:
    """Cloud's: an app that has one cannot be uninstalled until it is taken away (§4.5)."""
    admin = await log_in(await start(profile="cloud-2025", allow_loopback=True))
    app.serve_json(enableLicensing=True)
    await admin.install(app.descriptor)
    key, type_ = "com.example.connect", {"Content-Type": PLAIN}
    body = {"pluginKey": key, "token": "a-long-enough-token"}

    assert (await admin("GET", "license-tokens")).json == {"tokens": []}
    bad = await admin("POST", "license-tokens", json={**body, "token": "x"}, headers=type_)
    assert (bad.status, bad.json["subCode"]) == (400, "upm.license.token.invalid.error")
    unknown = await admin("POST", "license-tokens", json={**body, "pluginKey": "x"}, headers=type_)
    assert (unknown.status, (await admin("POST", "license-tokens", json=body)).status) == (404, 415)
    made = await admin("POST", "license-tokens", json=body, headers=type_)
    assert (made.json["state"], made.json["valid"]) == ("ACTIVE_SUBSCRIPTION", True)
    refused = await admin("DELETE", f"{key}-key")
    assert refused.json["subCode"] == "upm.pluginUninstall.error.plugin.not.uninstallable"
    assert len((await admin("GET", "license-tokens")).json["tokens"]) == 1
    assert (await admin("DELETE", f"license-tokens/{key}-key")).status == 204
    assert (await admin("GET", f"license-tokens/{key}-key")).json["state"] == "NONE"
    assert (await admin("DELETE", f"{key}-key")).status == 204


async def test_audit_log(admin: Client, app: App) -> None:
    """An Atom feed, newest first, with an ETag."""
    await admin.install(app.descriptor)
    await admin("DELETE", "com.example.hello-key")

    feed = await admin("GET", "log/feed?max-results=1&start-index=1")

    assert feed.type == "application/atom+xml;charset=UTF-8"
    assert "Installed app &quot;Hello World&quot;" in feed.text or "Installed app" in feed.text
    assert "Uninstalled" not in feed.text
    same = await admin("GET", "log/feed", headers={"If-None-Match": feed.headers["ETag"]})
    assert (same.status, same.text) == (304, "")
    assert (await admin("GET", "log/feed/max-entries")).json == {"maxEntries": 1000}
    assert (await admin("GET", "log/feed/purge-after")).json == {"purgeAfter": 90}


async def test_the_rest_of_the_resources(admin: Client, host: SimulatedHost) -> None:
    """What UPM's own pages ask for is there, and gives the documented shape."""
    marketplace = await admin("GET", "installed-marketplace?updates=true")

    assert marketplace.json["hostStatus"]["safeMode"] is False
    assert marketplace.headers["upm-token"] == await admin.token()
    assert (await admin("GET", "product-version")).json["version"] == host.version[0]
    assert (await admin("GET", "build-number")).json["version"] == "2.14"
    assert (await admin("GET", "pac-status")).json["reached"] is False
    assert (await admin("GET", "requires-restart")).json["changes"] == []
    assert (await admin("DELETE", f"requires-restart/{UPM}")).status == 404
    assert (await admin("GET", "notifications")).json["notifications"] == []
    assert (await admin("GET", f"{UPM}/media/plugin-icon")).type == "image/svg+xml"
    assert (await admin("GET", "pending")).json["tasks"] == []
    assert (await admin("POST", "pending", json={})).status == 412
    assert (await admin("DELETE", "pending/1")).status == 412
    assert (await admin("DELETE", "tasks")).status == 204
    assert (await admin("GET", "/status")).json == {"state": "RUNNING"}
    assert (await admin("PATCH", "")).status == 405
    missing = await admin("GET", "/rest/other")
    assert (missing.status, missing.text) == (404, "")
    assert missing.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_installer_from_before(host: SimulatedHost, admin: Client, app: App) -> None:
    """`/rest/remotable-plugins/latest/installer`: 200 without a body; `uninstaller`: 204."""
    base, header = "/rest/remotable-plugins/latest", {"X-Atlassian-Token": "no-check"}

    done = await admin("POST", f"{base}/installer", data={"url": app.descriptor}, headers=header)
    assert (done.status, done.text) == (200, "")
    app.status = 500
    failed = await admin("POST", f"{base}/installer", data={"url": app.descriptor}, headers=header)
    assert (failed.status, "answered 500" in failed.text) == (400, True)
    assert (await admin("POST", f"{base}/installer", data={}, headers=header)).status == 400
    gone = await admin("DELETE", f"{base}/uninstaller/com.example.hello")
    assert (gone.status, gone.text) == (204, "")
    assert (await admin("DELETE", f"{base}/uninstaller/com.example.hello")).status == 404


async def test_the_journal(host: SimulatedHost, admin: Client) -> None:
    """Every exchange is there, secrets as marks; what deviates from the protocol is told."""
    token = await admin.token()
    await admin("GET", f"/rest/plugins/latest/?token={token}", headers={"User-Agent": "Mozilla/5"})

    told = (await admin("GET", f"{host.origin}/_simulator/journal?after=1&deviating")).json
    (each,) = told["exchanges"]

    assert (each["method"], each["status"], each["user"], each["by"]) == (
        "GET",
        200,
        "admin",
        "password",
    )
    assert token not in str(told)
    assert each["request"]["Authorization"] == "Basic …"
    assert any("latest" in text for text in each["deviations"])
    assert any("browser" in text for text in each["deviations"])
    assert any("token" in text for text in each["deviations"])
