"""Every profile's refusals, read by our own client: the two were written apart from one protocol.

The witness is the code of `devserver.upm.causes`: that a refusal was recognised for what it is.
"""

import asyncio
import socket
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from simulator.conftest import Start
from simulator.people import PLAIN_XML, REMOTE_XML, URI_TYPE, App
from simulator.zips import archive, jar
from upm.scripted import upm_of

from devserver.errors import TargetError
from devserver.simulator import Fault, SimulatedHost
from devserver.simulator.profile import load_profile, profile_names
from devserver.upm.answers import Failed, Outcome, Running
from devserver.upm.causes import Call
from devserver.upm.client import Upm
from devserver.upm.wire import Answer

OLD = PLAIN_XML.replace('plugins-version="2"', "")
STRANGE = PLAIN_XML.replace('plugins-version="2"', 'plugins-version="9"')
HANDLER = REMOTE_XML.replace("<general-page", '<install-handler url="/asked"/>\n  <general-page')
JAR = jar("com.example.jar")
PROFILES = ("xml-era", "connect", "dc", "dc-locked", "cloud", "cloud-2025")
WITH_BASIC = tuple(name for name in PROFILES if name != "dc-locked")
NOT_XML = ("refapp", "bitbucket", "crowd")


def test_every_profile_is_here() -> None:
    """A profile that is added is read too."""
    assert set(PROFILES) == set(profile_names())


async def register(upm: Upm, what: str | bytes) -> Outcome:
    """Install a URI, or upload a JAR, as `upm-dev register` does."""
    token = await upm.token()
    if isinstance(what, str):
        task = await upm.install(what, token)
    else:
        task = await upm.upload(what, "app.jar", token)
    async with asyncio.timeout(10):
        said = await upm.poll(task)
        while isinstance(said, Running):
            said = await upm.poll(task)
    if isinstance(said, Failed):
        raise upm.failure(said, what if isinstance(what, str) else "app.jar")
    return said


def credentials(host: SimulatedHost, user: str = "admin") -> dict[str, Any]:
    """What logs *user* in: the password, or a personal token where Basic is switched off."""
    if host.profile.basic:
        return {"user": user, "secret": user}
    return {"user": None, "secret": host.state.users.new_personal_token(user)}


async def code(host: SimulatedHost, what: str | bytes, **who: Any) -> str:
    """The code of the refusal that registering *what* ends with; empty where it does not."""
    async with upm_of(host.url, limit=5.0, **(who or credentials(host))) as upm:
        try:
            await register(upm, what)
        except TargetError as error:
            return error.code
    return ""


async def judged(
    host: SimulatedHost, call: Call, method: str, headers: dict[str, str], **more: Any
) -> str:
    """What our client makes of the answer to a request that it would not send itself."""
    url = f"{host.url}/rest/plugins/1.0/"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, **more) as response,
        upm_of(host.url) as upm,
    ):
        answer = Answer(call, response.status, response.headers, await response.read())
        return upm.wire.refused(answer).code


@pytest.mark.parametrize(
    ("profile", "what", "expected"),
    [
        ("xml-era", REMOTE_XML, ""),
        ("xml-era", PLAIN_XML, ""),
        ("xml-era", "json", "TASK-UNKNOWN-TYPE"),
        ("connect", "json", ""),
        ("connect", PLAIN_XML, ""),
        ("connect", REMOTE_XML, "TASK-UNKNOWN-TYPE"),
        ("dc", PLAIN_XML, ""),
        ("dc", REMOTE_XML, "TASK-UNKNOWN-TYPE"),
        ("dc", "json", "TASK-UNKNOWN-TYPE"),
        ("dc-locked", PLAIN_XML, "UPM403-UPLOAD-DISABLED"),
        ("dc-locked", REMOTE_XML, "UPM403-UPLOAD-DISABLED"),
        ("dc-locked", "json", "UPM403-UPLOAD-DISABLED"),
        ("cloud", "json", "TASK-NOT-MARKETPLACE"),
        ("cloud", PLAIN_XML, "TASK-NOT-MARKETPLACE"),
        ("cloud-2025", "json", "TASK-FETCH-FAILED"),
    ],
)
async def test_kinds_by_uri(start: Start, app: App, profile: str, what: str, expected: str) -> None:
    """What a profile does not take is refused at once or by its task, each for its own reason."""
    host = await start(profile=profile)
    if what == "json":
        app.serve_json()
    else:
        app.serve_xml(template=what)

    assert await code(host, app.descriptor) == expected


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("xml-era", ""),
        ("connect", ""),
        ("dc", ""),
        ("dc-locked", "UPM403-UPLOAD-DISABLED"),
        ("cloud", "TASK-UNKNOWN-TYPE"),
        ("cloud-2025", "TASK-UNKNOWN-TYPE"),
    ],
)
async def test_a_jar(start: Start, profile: str, expected: str) -> None:
    """JARs go everywhere but to Cloud, and to hosts that have upload switched off."""
    assert await code(await start(profile=profile), JAR) == expected


@pytest.mark.parametrize("product", NOT_XML)
@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
async def test_products_without_xml_plugins(
    start: Start, app: App, profile: str, product: str
) -> None:
    """RefApp, Bitbucket and Crowd take no plain XML plugin in any era."""
    app.serve_xml(template=PLAIN_XML)

    host = await start(profile=profile, product=product)

    assert await code(host, app.descriptor) == "TASK-XML-UNSUPPORTED"


@pytest.mark.parametrize(
    ("product", "template", "expected"),
    [
        ("confluence", OLD, ""),
        ("jira", OLD, "TASK-VERSION-1"),
        ("bamboo", OLD, "TASK-VERSION-1"),
        ("confluence", STRANGE, "TASK-PLUGINS-VERSION"),
        ("jira", STRANGE, "TASK-PLUGINS-VERSION"),
    ],
)
@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
async def test_plugins_versions(
    start: Start, app: App, profile: str, product: str, template: str, expected: str
) -> None:
    """Version 1 is Confluence's alone; 9 is nobody's."""
    app.serve_xml(template=template)

    host = await start(profile=profile, product=product)

    assert await code(host, app.descriptor) == expected


async def test_signatures(start: Start) -> None:
    """With upload switched on, UPM 8 still wants a signature."""
    unlocked = replace(load_profile("dc-locked"), upload=True)
    host = await start(profile=unlocked)
    signed = jar("com.example.jar", extra={"META-INF/ACME.SF": b"s", "META-INF/ACME.RSA": b"r"})

    assert await code(host, JAR) == "TASK-SIGNATURE"
    assert await code(host, signed) == ""


@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
@pytest.mark.parametrize(
    "data", [b"", b"PK", b"no zip", archive({"x": b""}), JAR[:-30], archive({"../x": b""})]
)
async def test_files_that_are_no_jar(start: Start, profile: str, data: bytes) -> None:
    """A file that cannot be installed is told so: the host is not in trouble."""
    assert await code(await start(profile=profile), data) in (
        "TASK-BAD-FILE",
        "TASK-INSTALL-FAILED",
    )


@pytest.mark.parametrize("profile", WITH_BASIC)
async def test_passwords(start: Start, app: App, profile: str) -> None:
    """A wrong password is told; the third one asks for a CAPTCHA, whatever comes then."""
    host = await start(profile=profile)
    wrong = {"user": "admin", "secret": "not it"}

    seen = [await code(host, app.descriptor, **wrong) for _ in range(4)]

    assert seen == ["UPM401-CREDENTIALS"] * 3 + ["UPM403-CAPTCHA"]
    assert await code(host, app.descriptor) == "UPM403-CAPTCHA"


async def test_basic_is_off(start: Start, app: App) -> None:
    """Where Basic is switched off even the right password is refused, for that reason."""
    host = await start(profile="dc-locked")

    assert await code(host, app.descriptor, user="admin", secret="admin") == "UPM403-BASIC-AUTH"


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("dc", "UPM401-CREDENTIALS"),
        ("dc-locked", "UPM401-CREDENTIALS"),
        ("xml-era", "UPM401-ANONYMOUS"),
        ("connect", "UPM401-ANONYMOUS"),
        ("cloud", "UPM401-ANONYMOUS"),
        ("cloud-2025", "UPM401-ANONYMOUS"),
    ],
)
async def test_personal_tokens(start: Start, app: App, profile: str, expected: str) -> None:
    """A token that is none: wrong where there are such tokens, nobody where there are not."""
    host = await start(profile=profile)

    assert await code(host, app.descriptor, user=None, secret="no-such-token") == expected


@pytest.mark.parametrize("profile", PROFILES)
async def test_somebody_without_the_right(start: Start, app: App, profile: str) -> None:
    """A user may not even ask for a token; an administrator learns it when UPM says so."""
    host = await start(profile=profile)
    expected = {
        "xml-era": ("UPM403-SYSTEM", "UPM401-PERMISSION"),
        "connect": ("TASK-PERMISSION", "UPM401-PERMISSION"),
        "dc": ("TASK-PERMISSION", "UPM401-PERMISSION"),
        "dc-locked": ("UPM403-UPLOAD-DISABLED", "UPM401-PERMISSION"),
        "cloud": ("TASK-NOT-MARKETPLACE", "UPM401-PERMISSION"),
        "cloud-2025": ("TASK-FETCH-FAILED", "UPM401-PERMISSION"),
    }[profile]
    app.serve_xml(template=PLAIN_XML)

    assert await code(host, app.descriptor, **credentials(host, "user")) == "UPM401-PERMISSION"
    assert await code(host, app.descriptor, **credentials(host, "manager")) == expected[0]
    assert await code(host, JAR, **credentials(host, "manager")) == expected[1]


@pytest.mark.parametrize("profile", ["dc", "dc-locked"])
async def test_web_sudo(start: Start, profile: str) -> None:
    """A session that has not confirmed its password is told apart from a wrong password."""
    host = await start(profile=profile)
    cookie = {"Cookie": f"{host.cookie}={host.state.users.open_session('admin')}"}

    assert await judged(host, Call.TOKEN, "GET", cookie) == "UPM401-WEBSUDO"
    posted = {**cookie, "Content-Type": URI_TYPE}
    assert await judged(host, Call.INSTALL, "POST", posted) == "UPM401-WEBSUDO"


@pytest.mark.parametrize("profile", PROFILES)
async def test_the_xsrf_filter(start: Start, profile: str) -> None:
    """The filter's refusal is not taken for a missing right."""
    host = await start(profile=profile)
    cookie = {"Cookie": f"{host.cookie}={host.state.users.open_session('admin')}"}
    browser = {**cookie, "User-Agent": "Mozilla/5.0", "Content-Type": URI_TYPE}

    assert await judged(host, Call.INSTALL, "POST", browser, data=b"{}") == "UPM403-XSRF"
    form = {**cookie, "Content-Type": "application/x-www-form-urlencoded"}
    assert await judged(host, Call.INSTALL, "POST", form, data=b"a=b") == "UPM403-XSRF"
    if not host.profile.multipart_exempt:
        parts = {**cookie, "Content-Type": "multipart/form-data; boundary=x"}
        assert await judged(host, Call.UPLOAD, "POST", parts, data=b"") == "UPM403-XSRF"


@pytest.mark.parametrize("profile", PROFILES)
async def test_tokens_that_others_take(start: Start, app: App, profile: str) -> None:
    """A token that is used up twice over is said to be: by URI, and in an upload's wrapping."""
    host = await start(profile=profile)
    host.script(Fault(kind="steal-token", stage="install"))

    assert await code(host, app.descriptor) == "UPM403-TOKEN"
    assert await code(host, JAR) == "UPM403-TOKEN"


@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
async def test_safe_mode(start: Start, app: App, profile: str) -> None:
    """Refused at once in UPM 2, by the task later: the same cause; and nothing is taken away."""
    host = await start(profile=profile)
    app.serve_xml(template=PLAIN_XML)
    assert await code(host, app.descriptor) == ""
    host.safe_mode(True, keep=False, user="admin")

    assert await code(host, app.descriptor) == "UPM409-SAFE-MODE"
    assert await code(host, JAR) == "UPM409-SAFE-MODE"
    async with upm_of(host.url, **credentials(host)) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.uninstall("com.example.plain")
    assert caught.value.code == "UNINSTALL-SAFE-MODE"


@pytest.mark.parametrize("profile", ["dc", "dc-locked"])
async def test_what_the_sdk_brings(start: Start, profile: str) -> None:
    """A bundled plugin stays."""
    host = await start(profile=profile)
    async with upm_of(host.url, **credentials(host)) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.uninstall(host.profile.bundled[0])

    assert caught.value.code == "UNINSTALL-SYSTEM"


@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://[bad/x.xml", "UPM400-URI-SYNTAX"),
        ("x.xml", "UPM400-URI-RELATIVE"),
        ("ftp://localhost/x.xml", "TASK-SCHEME"),
        ("http://localhost:1/x.xml", "TASK-FETCH-FAILED"),
        ("http://no-such-host.invalid/x.xml", "TASK-FETCH-FAILED"),
        ("http://169.254.169.254/x.xml", "TASK-FETCH-FAILED"),
    ],
)
async def test_addresses(start: Start, profile: str, uri: str, expected: str) -> None:
    """An address that is none, and one where nobody is."""
    assert await code(await start(profile=profile), uri) == expected


@pytest.mark.parametrize("profile", ["xml-era", "connect", "dc"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, "TASK-FETCH-DENIED"), (404, "TASK-FETCH-FAILED"), (500, "TASK-FETCH-FAILED")],
)
async def test_descriptors_that_are_not_given(
    start: Start, app: App, profile: str, status: int, expected: str
) -> None:
    """What the app answers to the host's GET decides."""
    app.status = status

    assert await code(await start(profile=profile), app.descriptor) == expected


@pytest.mark.parametrize("profile", PROFILES)
async def test_a_host_that_is_not_there_yet(start: Start, app: App, profile: str) -> None:
    """Wrong context path, and a host that is starting."""
    host = await start(profile=profile)
    who = credentials(host)
    async with upm_of(f"{host.origin}/elsewhere", **who) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.token()
    assert caught.value.code == "UPM404-NOT-FOUND"

    host.restart(down_ms=60_000)
    assert await code(host, app.descriptor, **who) == "UPM503-STARTING"


CONNECT = [
    ({"baseUrl": "localhost"}, "CONNECT-NO-SCHEME"),
    ({"baseUrl": 5}, "CONNECT-SCHEMA"),
    ({"baseUrl": "http://[bad"}, "CONNECT-SCHEMA"),
    ({"key": "with space"}, "CONNECT-SCHEMA"),
    ({"lifecycle": {}}, "CONNECT-NO-INSTALLED"),
    ({"lifecycle": {"installed": "http://elsewhere"}}, "CONNECT-SCHEMA"),
    ({"authentication": {"type": "oauth"}}, "CONNECT-SCHEMA"),
    ({"modules": []}, "CONNECT-SCHEMA"),
    ({"baseUrl": "http://no-such-host.invalid"}, "CONNECT-CALLBACK-DOMAIN"),
    ({"baseUrl": "http://localhost:1"}, "CONNECT-UPM-FAILED"),
]


def on_loopback(profile: str) -> dict[str, Any]:
    return {"profile": profile, "allow_loopback": True, "callback_timeout": 0.2}


@pytest.mark.parametrize("profile", ["connect", "cloud-2025"])
@pytest.mark.parametrize(("more", "expected"), CONNECT)
async def test_connect_descriptors(
    start: Start, app: App, profile: str, more: dict[str, Any], expected: str
) -> None:
    """What the Connect host says of a descriptor, and of an app that it cannot call."""
    app.serve_json(**more)
    if profile == "cloud-2025" and expected == "CONNECT-CALLBACK-DOMAIN":
        expected = "CONNECT-NO-TLS"

    assert await code(await start(**on_loopback(profile)), app.descriptor) == expected


@pytest.mark.parametrize("profile", ["connect", "cloud-2025"])
async def test_connect_answers(start: Start, app: App, profile: str) -> None:
    """`installed` decides: what it is answered with, by whom, and how fast."""
    host = await start(**on_loopback(profile))
    for status, expected in [
        (200, ""),
        (401, "TASK-CONNECT-CALLBACK"),
        (500, "TASK-CONNECT-CALLBACK"),
        (302, "CONNECT-UPM-FAILED"),
        (418, "CONNECT-UPM-FAILED"),
    ]:
        app.callback_status = status
        app.serve_json()
        assert await code(host, app.descriptor) == expected, status
    app.serve_json(baseUrl=app.url.replace("http", "https"))
    assert await code(host, app.descriptor) == "CONNECT-CALLBACK-TLS"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app.serve_json(baseUrl=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert await code(host, app.descriptor) == "CONNECT-CALLBACK-TIMEOUT"


async def test_documents_that_are_no_connect_descriptor(start: Start, app: App) -> None:
    """Malformed JSON that speaks of key and baseUrl gets a good error, other JSON none."""
    host = await start(profile="connect")
    app.media_type = "application/json"
    for body, expected in [
        (b'{"key": "baseUrl"', "CONNECT-INVALID"),
        (b'{"a": 1}', "TASK-UNKNOWN-TYPE"),
        (b'{"key":"k","baseUrl":"http://localhost","name":"\\ud800"}', "CONNECT-INVALID"),
    ]:
        app.body = body
        assert await code(host, app.descriptor) == expected, body


@pytest.mark.parametrize(("status", "expected"), [(200, ""), (403, "TASK-CONNECT-CALLBACK")])
async def test_the_install_handler(start: Start, app: App, status: int, expected: str) -> None:
    """The XML era's `install-handler` can refuse too."""
    app.serve_xml(template=HANDLER)
    app.callback_status = status

    assert await code(await start(profile="xml-era"), app.descriptor) == expected
