"""upm-protocol.md §10, line by line: each was needed by at least one real client."""

import re

import pytest
from simulator.conftest import LogIn, Start
from simulator.people import URI_TYPE, App, Client, unwrap
from simulator.zips import jar

from devserver.simulator import SimulatedHost


async def test_line_1_tokens(host: SimulatedHost, admin: Client, log_in: LogIn) -> None:
    """HEAD and GET have `upm-token`: the same until used or 5 minutes old, one for each user."""
    first = await admin("HEAD", "?os_authType=basic")
    again = await admin("GET", "")
    other = await (await log_in(host, "manager"))("HEAD", "")

    token = first.headers["upm-token"]
    assert (first.status, first.text, again.status) == (200, "", 200)
    assert ("upm-token", token) in first.headers.items()
    assert again.headers["upm-token"] == token != other.headers["upm-token"]
    assert re.fullmatch(r"-?\d{1,19}", token)

    host.skew = 299
    assert await admin.token() == token
    host.skew = 301
    expired = await admin.post("http://localhost/x", token=token)
    assert (expired.status, expired.json["subCode"]) == (403, "upm.error.invalid.token")
    assert await admin.token() != token


async def test_line_1_negative_numbers(host: SimulatedHost) -> None:
    """About half of the tokens begin with a minus."""
    tokens = [host.state.tokens.current(f"user {number}", 0) for number in range(64)]

    assert {token.startswith("-") for token in tokens} == {True, False}


async def test_line_1_one_use(admin: Client, app: App) -> None:
    """A token serves one POST; the next HEAD has another one."""
    token = await admin.token()

    first = await admin.post(app.descriptor, token=token)
    second = await admin.post(app.descriptor, token=token)

    assert (first.status, second.status) == (202, 403)
    assert second.json == {"errorMessage": "invalid token", "subCode": "upm.error.invalid.token"}
    assert second.type.startswith("application/json")


async def test_line_2_tolerance(admin: Client, app: App) -> None:
    """Slashes at the end, `latest`, unknown queries, no Accept, no User-Agent: all fine."""
    await admin.install(app.descriptor)
    bare = ("Accept", "User-Agent")

    answers = [
        await admin("GET", "/rest/plugins/1.0", skip=bare),
        await admin("GET", "/rest/plugins/1.0/?x=y", skip=bare, headers={"Accept": "*/*"}),
        await admin("GET", "/rest/plugins/latest/"),
        await admin("GET", "com.example.hello-key/"),
        await admin("GET", "com.example.hello-key/summary/?token=1"),
        await admin("GET", "/rest/plugins/latest/com.example.hello-key"),
    ]

    assert [answer.status for answer in answers] == [200] * 6
    assert (await admin("GET", "", headers={"Accept": "application/json"})).status == 406


@pytest.mark.parametrize("kind", ["install.uri", "remote.install"])
async def test_line_3_both_media_types(admin: Client, app: App, kind: str) -> None:
    """Both types install; a charset suffix does no harm."""
    media_type = f"application/vnd.atl.plugins.{kind}+json;charset=UTF-8"

    accepted = await admin.post(app.descriptor, **{"Content-Type": media_type})

    assert (await admin.finish(accepted)).status == 303


async def test_line_3_strict(start: Start, log_in: LogIn, app: App) -> None:
    """Data Center knows `install.uri+json` alone."""
    admin = await log_in(await start(profile="dc"))
    media_type = "application/vnd.atl.plugins.remote.install+json"

    assert (await admin.post(app.descriptor, **{"Content-Type": media_type})).status == 415


async def test_line_3_multipart(admin: Client) -> None:
    """The part `plugin` installs; a textarea where Accept has `text/html` or a star."""
    plain = await admin.upload(jar("com.example.jar"))
    wrapped = await admin.upload(jar("com.example.jar"), Accept="text/html,application/xml")
    star = await admin.upload(jar("com.example.jar"), Accept="*/*")

    assert plain.type == "application/vnd.atl.plugins.install.installing+json;charset=UTF-8"
    assert wrapped.type == star.type == "text/html;charset=UTF-8"
    assert unwrap(star.text)["status"]["source"] == "app.jar"
    done = await admin.finish(star)
    assert done.headers["Location"].endswith("/com.example.jar-key")


async def test_line_3_invalid_token_is_always_wrapped(admin: Client) -> None:
    """The multipart 403 is in a textarea whatever was asked for."""
    refused = await admin(
        "POST",
        "?token=1",
        data=b"--x--",
        headers={
            "Content-Type": "multipart/form-data; boundary=x",
            "Accept": "application/json",
            "X-Atlassian-Token": "no-check",
        },
    )

    assert refused.status == 403
    assert unwrap(refused.text)["subCode"] == "upm.error.invalid.token"


async def test_line_4_accepted(start: Start, log_in: LogIn, app: App) -> None:
    """202, absolute Location, relative links with the context path, the charset only outside."""
    host = await start(profile="connect")
    admin = await log_in(host)
    app.serve_json()

    accepted = await admin.post(app.descriptor)

    body = accepted.json
    stage = "application/vnd.atl.plugins.install.downloading+json"
    assert accepted.status == 202
    assert accepted.type == f"{stage};charset=UTF-8"
    assert body["status"]["contentType"] == stage
    assert accepted.headers["Location"] == f"{host.url}/rest/plugins/1.0/pending/{body['id']}"
    assert body["links"] == {
        "self": f"/jira/rest/plugins/1.0/pending/{body['id']}",
        "alternate": f"/jira/rest/plugins/1.0/tasks/{body['id']}",
    }
    assert list(body) == ["type", "pingAfter", "status", "links", "timestamp", "userKey", "id"]


async def test_line_5_polling(start: Start, log_in: LogIn, app: App) -> None:
    """`pingAfter` 100, one running poll at least, then 303 to the plugin with an empty body."""
    host = await start(install_time=0.01)
    admin = await log_in(host)
    accepted = await admin.post(app.descriptor)
    await host.installed("com.example.hello")
    await host.called_back("remote_plugin_installed")

    running = await admin("GET", accepted.headers["Location"])
    done = await admin("GET", accepted.headers["Location"])

    assert accepted.json["pingAfter"] == 100
    assert (running.status, running.json["status"]["done"]) == (200, False)
    assert (done.status, done.text) == (303, "")
    plugin = await admin("GET", done.headers["Location"])
    assert done.headers["Location"] == f"{host.url}/rest/plugins/1.0/com.example.hello-key"
    assert plugin.type == "application/vnd.atl.plugins.plugin+json;charset=UTF-8"
    assert plugin.json["enabled"] is True
    assert "status" not in plugin.json


async def test_line_5_failure(admin: Client, app: App) -> None:
    """A failure is a 200 that is done, with a subCode and the full URI."""
    app.status = 500

    failed = await admin.install(app.descriptor)

    status = failed.json["status"]
    assert failed.status == 200
    assert status["done"] is True
    assert status["contentType"] == "application/vnd.atl.plugins.task.install.err+json"
    assert status["subCode"] == "upm.pluginInstall.error.response.exception"
    assert status["source"] == app.descriptor


async def test_line_5_unknown_task(admin: Client) -> None:
    """A task nobody knows is a 404 without a body."""
    answer = await admin("GET", "pending/00000000-0000-4000-8000-000000000000")

    assert (answer.status, answer.text) == (404, "")


async def test_line_6_tasks_are_anonymous(
    host: SimulatedHost, admin: Client, log_in: LogIn, app: App
) -> None:
    """`/tasks/{id}` needs no login, never redirects, and tells result or error."""
    nobody = await log_in(host, "")
    accepted = await admin.post(app.descriptor)
    await admin.finish(accepted)
    path = accepted.json["links"]["alternate"].removeprefix("/jira")

    done = await nobody("GET", f"{path}?token=1")
    app.status = 404
    failed = await admin.post(app.descriptor)
    await admin.finish(failed)
    error = await nobody("GET", failed.json["links"]["alternate"].removeprefix("/jira"))

    assert done.type == "application/vnd.atl.plugins+json;charset=UTF-8"
    assert done.json["links"]["result"] == "/jira/rest/plugins/1.0/com.example.hello-key"
    assert (done.json["done"], done.json["progress"], done.json["pollDelay"]) == (True, 1.0, 100)
    assert "userKey" not in done.json
    assert error.json["error"]["code"] == "upm.pluginInstall.error.response.exception"
    assert "result" not in error.json["links"]


async def test_line_7_settings(admin: Client, start: Start, log_in: LogIn) -> None:
    """`/settings` lacks `connectDeveloperListingsEnabled`, but on Cloud."""
    cloud = await log_in(await start(profile="cloud"))

    here = await admin("GET", "settings")
    there = await cloud("GET", "settings")

    def keys(answer: object) -> dict[str, bool]:
        return {each["key"]: each["value"] for each in answer.json["settings"]}  # type: ignore[attr-defined]

    assert here.type == "application/vnd.atl.plugins+json;charset=UTF-8"
    assert set(keys(here)) == {
        "pacDisabled",
        "requestsDisabled",
        "emailDisabled",
        "autoUpdateEnabled",
    }
    assert keys(there)["connectDeveloperListingsEnabled"] is False


async def test_line_8_delete_in_the_xml_era(admin: Client, app: App) -> None:
    """DELETE answers 200 with what was removed, then 404 without a body."""
    await admin.install(app.descriptor)

    gone = await admin("DELETE", "com.example.hello-key")
    again = await admin("DELETE", "com.example.hello-key")

    assert (gone.status, gone.json["key"]) == (200, "com.example.hello")
    assert (again.status, again.text) == (404, "")
    assert (await admin("GET", "com.example.hello-key")).status == 404


async def test_line_8_delete_later(start: Start, log_in: LogIn, app: App) -> None:
    """DELETE answers 204, without a body."""
    admin = await log_in(await start(profile="connect"))
    app.serve_json()
    await admin.install(app.descriptor)

    gone = await admin("DELETE", "com.example.connect-key")

    assert (gone.status, gone.text) == (204, "")


async def test_line_8_put(admin: Client, app: App) -> None:
    """PUT wants the plugin's own media type: atlassian-python-api's is a 415."""
    await admin.install(app.descriptor)

    wrong = await admin(
        "PUT",
        "com.example.hello-key",
        data=b'{"status":"disabled"}',
        headers={"Content-Type": "application/vnd.atl.plugins+json"},
    )

    assert wrong.status == 415


async def test_line_9_identity(host: SimulatedHost, admin: Client, log_in: LogIn, app: App) -> None:
    """`consumer-info` is anonymous and says what callbacks say; `/keys/{kid}` is its PEM."""
    nobody = await log_in(host, "")
    await admin.install(app.descriptor)
    await host.called_back("remote_plugin_installed")

    info = await nobody("GET", "/plugins/servlet/oauth/consumer-info")
    key = await nobody("GET", f"{host.origin}/keys/{host.identity.kid}")

    told = app.received[0].body
    assert info.type == "application/xml;charset=UTF-8"
    assert f"<key>{told['clientKey']}</key>" in info.text
    assert f"<publicKey>{told['publicKey']}</publicKey>" in info.text
    assert key.text.strip() == told["publicKey"]
    assert (await nobody("GET", f"{host.origin}/keys/other")).status == 404


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_line_10_installed_accepted(
    start: Start, log_in: LogIn, app: App, status: int
) -> None:
    """200, 201 and 204 let the app in; `installed` came before the task was done."""
    admin = await log_in(await start(profile="connect"))
    app.serve_json()
    app.callback_status = status

    assert (await admin.install(app.descriptor)).status == 303

    assert app.paths()[0] == "/installed?user_key=admin"
    assert app.received[0].body["sharedSecret"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (302, "connect.remote.upm.install.exception"),
        (401, "connect.install.error.remote.host.bad.response.401"),
        (418, "connect.remote.upm.install.exception"),
        (503, "connect.install.error.remote.host.bad.response.503"),
    ],
)
async def test_line_10_installed_decides(
    start: Start, log_in: LogIn, app: App, status: int, code: str
) -> None:
    """Any other answer ends the installation, and what was there before is there again."""
    host = await start(profile="connect")
    admin = await log_in(host)
    app.serve_json("1.0")
    await admin.install(app.descriptor)
    app.serve_json("2.0")
    app.callback_status = status

    assert await admin.refused(app.descriptor) == code

    assert host.state.plugins["com.example.connect"].app.version == "1.0"


async def test_line_11_errors(
    host: SimulatedHost, admin: Client, start: Start, log_in: LogIn, app: App
) -> None:
    """Each error is what §1, §2.2 and §5 say; the details have tests of their own."""
    nobody, user = await log_in(host, ""), await log_in(host, "user")
    locked = await start(profile="dc-locked")
    token = locked.state.users.new_personal_token("admin")
    guest = await log_in(locked, "")
    bearer = {"Authorization": f"Bearer {token}", "Content-Type": URI_TYPE}
    upm_token = (await guest("HEAD", "", headers=bearer)).headers["upm-token"]

    assert (await admin.post(app.descriptor, token="1")).status == 403
    assert (await nobody("GET", "", headers={"Accept": "application/json"})).json == {
        "message": "Client must be authenticated to access this resource.",
        "status-code": 401,
    }
    assert (await user("GET", "")).text == "Must have permission to access this resource."
    xsrf = await admin("POST", "?token=1", data=b"x", headers={"Content-Type": "text/plain"})
    assert (xsrf.status, xsrf.text) == (403, "XSRF check failed")
    upload = await guest(
        "POST", f"?token={upm_token}", json={"pluginUri": app.descriptor}, headers=bearer
    )
    assert upload.status == 403
    assert "Plugins cannot be installed via upload" in upload.text
    assert (
        await admin.refused("http://localhost:1/none.xml")
        == "upm.pluginInstall.error.response.exception"
    )


async def test_line_12_fetch(admin: Client, app: App) -> None:
    """One GET with UPM's Accept; only 200 is read."""
    assert (await admin.install(app.descriptor)).status == 303

    assert len(app.fetched) == 1
    assert app.fetched[0].method == "GET"
    accept = "application/octet-stream, application/java-archive, */*"
    assert app.fetched[0].headers["Accept"] == accept
    assert "X-Pac-Client-Info" in app.fetched[0].headers
    app.status = 204
    assert await admin.refused(app.descriptor) == "upm.pluginInstall.error.response.exception"
    app.status = 401
    assert await admin.refused(app.descriptor) == "upm.pluginInstall.error.access.denied"
