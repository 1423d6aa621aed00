"""The client against a host whose bytes are written down: what it sends, and what it reads."""

import base64
import json

import pytest
from upm.scripted import HANG, RESET, accepted, answer, scripted, token, upm_of

from devserver.errors import CredentialsRejected, TargetRefused, TargetUnavailable
from devserver.upm.answers import Failed, Forgotten, Installed, Module, Running, Task, Versions
from devserver.upm.wire import AnswerLost

ROOT = "/jira/rest/plugins/1.0"
URI = "http://localhost:8000/atlassian-plugin.xml?target=jira&rev=abc"
PLUGIN = json.dumps(
    {
        "key": "com.example.app",
        "name": "App",
        "version": "1.0",
        "enabled": True,
        "modules": [{"key": "page", "enabled": True}],
    }
)
TASK = Task("pending/1b2c", 100)


async def test_the_token_is_asked_for_as_the_protocol_has_it() -> None:
    """GET with the exact Accept, credentials, our own User-Agent, and no Origin or Referer."""
    async with scripted([token("-42")]) as host, upm_of(host.url) as upm:
        assert await upm.token() == "-42"

    sent = host.requests[0]
    assert host.lines == [f"GET {ROOT}/?os_authType=basic"]
    assert sent.headers["accept"] == "application/vnd.atl.plugins.installed+json"
    assert sent.headers["user-agent"].startswith("upm-dev/")
    assert sent.headers["x-atlassian-token"] == "no-check"
    packed = base64.b64encode(b"admin:s3cret-of-the-test").decode()
    assert sent.headers["authorization"] == f"Basic {packed}"
    assert not {"origin", "referer"} & set(sent.headers)


async def test_a_warm_token_is_asked_for_by_head() -> None:
    """HEAD gives the header alone."""
    reply = answer(200, upm_token="7").replace(b"Content-Length: 0\r\n", b"Content-Length: 9\r\n")
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        assert await upm.token(warm=True) == "7"

    assert host.requests[0].method == "HEAD"


async def test_a_bearer_token_asks_for_no_basic_challenge() -> None:
    """`os_authType=basic` would keep the host from looking at a personal access token."""
    async with scripted([token()]) as host, upm_of(host.url, user=None, secret="pat") as upm:
        await upm.token()

    assert host.lines == [f"GET {ROOT}/"]
    assert host.requests[0].headers["authorization"] == "Bearer pat"


async def test_a_forgotten_token_header_is_asked_for_again() -> None:
    """Confluence in development mode was seen to leave it out once."""
    bare = answer(200, '{"plugins":[]}')
    async with scripted([bare, bare, token("5")]) as host, upm_of(host.url) as upm:
        assert await upm.token() == "5"

    assert len(host.requests) == 3


async def test_an_install_is_one_post() -> None:
    """The address, the name and the token go out; the task comes back."""
    async with scripted([accepted()]) as host, upm_of(host.url) as upm:
        task = await upm.install(URI, "-42", "App")

    assert task == Task("pending/1b2c", 1)
    sent = host.requests[0]
    assert host.lines == [f"POST {ROOT}/?token=-42"]
    assert sent.headers["content-type"] == "application/vnd.atl.plugins.install.uri+json"
    assert json.loads(sent.body) == {"pluginUri": URI, "pluginName": "App"}


async def test_the_other_media_type_is_tried_and_kept() -> None:
    """415 leads to remote.install+json with a new token; the next install begins with it."""
    answers = [answer(415), token("2"), accepted(), accepted()]
    async with scripted(answers) as host, upm_of(host.url) as upm:
        await upm.install(URI, "1")
        await upm.install(URI, "3")

    assert [each.headers.get("content-type", "")[-24:] for each in host.requests] == [
        "plugins.install.uri+json",
        "",
        "gins.remote.install+json",
        "gins.remote.install+json",
    ]
    assert "token=2" in host.lines[2]


async def test_neither_media_type_is_a_refusal() -> None:
    """A host that knows neither says so once."""
    async with scripted([answer(415), token(), answer(415)]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetRefused) as caught:
            await upm.install(URI, "1")

    assert caught.value.code == "UPM415-MEDIA-TYPE"


INVALID = answer(403, '{"errorMessage":"invalid token","subCode":"upm.error.invalid.token"}')


async def test_a_used_up_token_is_renewed_once() -> None:
    """Somebody else's POST took the token: one more is asked for, and only one."""
    async with scripted([INVALID, token("2"), accepted()]) as host, upm_of(host.url) as upm:
        await upm.install(URI, "1")
    async with scripted([INVALID, token("2"), INVALID]) as other, upm_of(other.url) as upm:
        with pytest.raises(TargetUnavailable) as caught:
            await upm.install(URI, "1")

    assert "token=2" in host.lines[2]
    assert len(other.requests) == 3
    assert caught.value.code == "UPM403-TOKEN"


@pytest.mark.parametrize(
    "link",
    [
        "/jira/rest/plugins/1.0/pending/1b2c",
        "/elsewhere/rest/plugins/1.0/pending/1b2c",
        "https://jira.example.com/jira/rest/plugins/1.0/pending/1b2c",
        "/jira/rest/plugins/latest/pending/1b2c?token=1",
    ],
)
async def test_links_are_rebuilt_on_our_own_address(link: str) -> None:
    """What a host calls itself is no matter: only what follows the UPM's root is used."""
    body = '{"status":{"done":false}}'
    async with scripted([accepted(link), answer(200, body)]) as host, upm_of(host.url) as upm:
        await upm.poll(await upm.install(URI, "1"))

    assert host.lines[1] == f"GET {ROOT}/pending/1b2c"


async def test_a_cut_answer_still_names_its_task() -> None:
    """Location is enough where the body of a 202 breaks off."""
    location = "http://other/jira/rest/plugins/1.0/pending/9f"
    cut = (
        f"HTTP/1.1 202 Accepted\r\nLocation: {location}\r\nContent-Length: 500\r\n\r\n(cut)"
    ).encode()
    async with scripted([cut]) as host, upm_of(host.url) as upm:
        assert (await upm.install(URI, "1")).path == "pending/9f"


async def test_an_accepted_install_without_a_task_is_a_lost_answer() -> None:
    """A 202 that names no task was carried out, but we cannot know as what."""
    async with scripted([answer(202, "{}")]) as host, upm_of(host.url) as upm:
        with pytest.raises(AnswerLost):
            await upm.install(URI, "1")


@pytest.mark.parametrize("reply", [RESET, HANG])
async def test_a_post_without_an_answer_is_lost(reply: bytes) -> None:
    """It may have been carried out: the class says so."""
    async with scripted([reply]) as host, upm_of(host.url, limit=0.2) as upm:
        with pytest.raises(AnswerLost):
            await upm.install(URI, "1")


async def test_the_redirect_of_a_done_task_is_followed_by_path() -> None:
    """303 names the host as it calls itself; we ask our own address, with our credentials."""
    there = "http://jira.internal:8080/jira/rest/plugins/1.0/com.example.app-key"
    async with (
        scripted([answer(303, Location=there), answer(200, PLUGIN)]) as host,
        upm_of(host.url) as upm,
    ):
        outcome = await upm.poll(TASK)

    assert isinstance(outcome, Installed)
    assert outcome.plugin.key == "com.example.app"
    assert outcome.plugin.version == "1.0"
    assert outcome.plugin.modules == (Module("page", enabled=True),)
    assert host.lines[1] == f"GET {ROOT}/com.example.app-key"


async def test_a_redirect_to_anywhere_else_is_refused() -> None:
    """A login form is not followed."""
    async with (
        scripted([answer(302, Location="http://evil.example/login")]) as host,
        upm_of(host.url) as upm,
    ):
        with pytest.raises(TargetRefused) as caught:
            await upm.poll(TASK)

    assert caught.value.code == "UPM30X-LOGIN"
    assert len(host.requests) == 1


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ('{"pingAfter":300,"status":{"done":false,"contentType":"x"}}', Running(300, "x")),
        ('{"status":{"done":false}}', Running(200, "")),
        ('{"status":{"done":true,"subCode":"a.b"}}', Failed("a.b", "")),
        ('{"status":{"done":true,"errorMessage":"No."}}', Failed("", "No.")),
        ('{"done":false,"pollDelay":150,"progress":0.5}', Running(150, "")),
        ('{"done":true,"error":{"code":"a.b","message":"No."}}', Failed("a.b", "No.")),
    ],
)
async def test_polls_read_both_kinds_of_task(body: str, outcome: Running | Failed) -> None:
    """`pending` and `tasks` say the same in two shapes."""
    async with scripted([answer(200, body)]) as host, upm_of(host.url) as upm:
        assert await upm.poll(TASK) == outcome


async def test_a_new_style_task_names_its_result() -> None:
    """`links.result` leads to the app."""
    body = '{"done":true,"links":{"result":"/jira/rest/plugins/1.0/com.example.app-key"}}'
    async with scripted([answer(200, body), answer(200, PLUGIN)]) as host, upm_of(host.url) as upm:
        assert isinstance(await upm.poll(Task("tasks/1")), Installed)


async def test_a_task_that_nobody_knows_is_forgotten() -> None:
    """404 with nothing in it: the host was restarted, or has cleaned up."""
    async with scripted([answer(404)]) as host, upm_of(host.url) as upm:
        assert await upm.poll(TASK) == Forgotten()


async def test_an_app_is_looked_up_by_key() -> None:
    """The path is the key with its suffix; 404 with nothing in it means that it is not there."""
    async with scripted([answer(200, PLUGIN), answer(404)]) as host, upm_of(host.url) as upm:
        found = await upm.plugin("com.example.app")
        assert found is not None
        assert found.name == "App"
        assert await upm.plugin("com.example.app") is None

    assert host.lines[0] == f"GET {ROOT}/com.example.app-key"


async def test_an_app_without_its_modules() -> None:
    """The summary has a path of its own; what is not there is None."""
    async with scripted([answer(200, PLUGIN), answer(404)]) as host, upm_of(host.url) as upm:
        found = await upm.summary("com.example.app")
        assert found is not None
        assert found.version == "1.0"
        assert await upm.summary("com.example.app") is None

    assert host.lines == [f"GET {ROOT}/com.example.app-key/summary"] * 2


async def test_what_a_host_is_set_to() -> None:
    """Settings by key, none where there is no such page; safe mode as its flag says."""
    body = '{"settings":[{"key":"pacDisabled","value":true},{"key":"x","value":"yes"},7]}'
    answers = [answer(200, body), answer(404), answer(200, '{"enabled":true}')]
    async with scripted(answers) as host, upm_of(host.url) as upm:
        assert await upm.settings() == {"pacDisabled": True, "x": False}
        assert await upm.settings() == {}
        assert await upm.safe_mode()

    assert host.lines == [f"GET {ROOT}/settings"] * 2 + [f"GET {ROOT}/safe-mode"]
    assert host.requests[2].headers["accept"] == "application/vnd.atl.plugins.safe.mode.flag+json"


async def test_versions_as_far_as_they_are_told() -> None:
    """Of the UPM by its own entry, of the product by a page that old ones lack."""
    upm_entry = answer(200, json.dumps({"key": "upm", "version": "6.2"}))
    told = [upm_entry, answer(200, '{"version":"9.12.2"}')]
    async with scripted([*told, answer(404), answer(404)]) as host, upm_of(host.url) as upm:
        assert await upm.versions() == Versions(upm="6.2", product="9.12.2")
        assert await upm.versions() == Versions()


@pytest.mark.parametrize("status", [200, 202, 204, 404])
async def test_every_kind_of_removal_is_fine(status: int) -> None:
    """Hosts of different eras answer differently; gone is gone."""
    async with scripted([answer(status)]) as host, upm_of(host.url) as upm:
        await upm.uninstall("com.example.app")

    assert host.lines == [f"DELETE {ROOT}/com.example.app-key"]


async def test_cookies_are_kept_for_one_target() -> None:
    """A clustered host knows us again by its cookie."""
    first = answer(200, '{"plugins":[]}', Set_Cookie="JSESSIONID=abc; Path=/jira", upm_token="1")
    async with scripted([first, accepted()]) as host, upm_of(host.url) as upm:
        await upm.install(URI, await upm.token())

    assert "cookie" not in host.requests[0].headers
    assert host.requests[1].headers["cookie"] == "JSESSIONID=abc"


async def test_identity_is_read_without_credentials() -> None:
    """`consumer-info` is anonymous, and a bare key is given its PEM lines."""
    xml = "<consumer><key>jira:1</key><publicKey>MIIB</publicKey></consumer>"
    reply = answer(200, xml, kind="application/xml")
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        identity = await upm.identity()

    assert identity.key == "jira:1"
    assert "-----BEGIN PUBLIC KEY-----\nMIIB\n" in identity.public_key_pem
    assert "authorization" not in host.requests[0].headers
    assert host.lines == ["GET /jira/plugins/servlet/oauth/consumer-info"]


async def test_an_upload_is_a_form_with_a_part_named_plugin() -> None:
    """An answer in a textarea is read as well."""
    inner = '{"links":{"self":"/jira/rest/plugins/1.0/pending/7"}}'
    reply = answer(202, f"<textarea>{inner}</textarea>", kind="text/html;charset=UTF-8")
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        task = await upm.upload(b"PK-a-jar", "x.jar", "5")

    assert task.path == "pending/7"
    assert b'name="plugin"; filename="x.jar"' in host.requests[0].body
    assert b"PK-a-jar" in host.requests[0].body


async def test_a_wrapped_invalid_token_is_understood() -> None:
    """The 403 of an upload is wrapped whatever we accept (upm-protocol.md §3)."""
    body = '<textarea>{"subCode":"upm.error.invalid.token"}</textarea>'
    answers = [answer(403, body, kind="text/html"), token("2"), accepted()]
    async with scripted(answers) as host, upm_of(host.url) as upm:
        await upm.upload(b"x", "x.jar", "1")

    assert "token=2" in host.lines[2]


@pytest.mark.parametrize(
    "url", ["https://acme.atlassian.net/wiki", "https://Acme.Atlassian.NET.", "https://x.jira.com"]
)
async def test_cloud_is_refused_before_anything_is_sent(url: str) -> None:
    """Private installs by URL have been refused there since March 2026."""
    async with upm_of(url) as upm:
        for ask in (upm.token(), upm.plugin("a"), upm.identity(), upm.uninstall("a")):
            with pytest.raises(TargetRefused) as caught:
                await ask
            assert caught.value.code == "CLOUD-PRIVATE-INSTALL"
            assert "CHANGE-3096" in caught.value.reason
            assert "forge install" in caught.value.remedy


async def test_no_error_holds_the_secret() -> None:
    """A host that repeats what it was sent does not make us show it."""
    packed = base64.b64encode(b"admin:s3cret-of-the-test").decode()
    reply = answer(418, f'{{"message":"you sent Basic {packed}, that is s3cret-of-the-test"}}')
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetRefused) as caught:
            await upm.token()

    assert "s3cret" not in str(caught.value)
    assert packed not in str(caught.value)


async def test_a_rejected_password_says_whose() -> None:
    """The user is named, and where the password came from; the password is not."""
    reply = answer(401, "", X_Seraph_LoginReason="AUTHENTICATED_FAILED")
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        with pytest.raises(CredentialsRejected) as caught:
            await upm.token()
    async with scripted([reply]) as host, upm_of(host.url, user=None) as upm:
        with pytest.raises(CredentialsRejected) as token:
            await upm.token()

    assert caught.value.code == "UPM401-CREDENTIALS"
    assert caught.value.reason == "jira does not accept the password of admin (the test) (401)"
    assert token.value.reason == "jira does not accept the token (the test) (401)"
    assert "s3cret" not in f"{caught.value}{token.value}"
