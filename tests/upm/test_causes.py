"""Every refusal: recognised byte by byte, named, explained, and followed by the right next step."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from registrar.house import house
from upm.scripted import (
    HANG,
    KEY,
    RESET,
    Request,
    accepted,
    answer,
    installing,
    scripted,
    upm_of,
)

import devserver
from devserver.errors import (
    CredentialsRejected,
    TargetError,
    TargetRefused,
    TargetUnavailable,
)
from devserver.events import Notice, TargetChanged
from devserver.model import TargetState
from devserver.registrar import Limits, Permission
from devserver.upm import causes, wire
from devserver.upm.answers import Failed
from devserver.upm.causes import SEEN, Call, Cause, Next, Refusal, Trouble

STATES = {
    Next.RETRY: TargetState.UNAVAILABLE,
    Next.WAIT: TargetState.REFUSED,
    Next.ASK: TargetState.REJECTED,
}
CLASSES = {
    Next.RETRY: TargetUnavailable,
    Next.WAIT: TargetRefused,
    Next.ASK: CredentialsRejected,
}
PATIENT = Limits(first_retry=60.0, last_retry=60.0, task=0.3, side=0.3)
ROWS = {row.code: row for row in causes.table()}

SAID = {
    "UPM401-PERMISSION": "Must have permission to access this resource.",
    "UPM403-SYSTEM": "Cannot access this resource on this system.",
    "UPM403-UPLOAD-DISABLED": "Plugins cannot be installed via upload",
    "UPM403-XSRF": "XSRF check failed",
    "UPM403-BASIC-AUTH": '{"message":"This resource does not take basic authentication."}',
    "UPM403-PERMISSION": "No.",
    "UPM409-PRECONDITION": "Cannot access this resource because a precondition failed.",
    "UPM412-PRECONDITION": '{"message":"Debug mode is off."}',
    "UPM500-SERVER": json.dumps(
        {
            "message": "Ouch",
            "status-code": 500,
            "stack-trace": "Please contact your admin passing attached Log''s "
            "referral number: 1-2f",
        }
    ),
    "UPM200-LOGIN-PAGE": "<html><title>Log in</title><form></form></html>",
    "UPM5XX-UNKNOWN": "<p>gone</p>",
    "UPM-UNKNOWN": "I am a teapot",
    "NET-CERTIFICATE-SELF-SIGNED": "self-signed certificate in certificate chain",
    "TASK-SIGNATURE": "Signature check failed!",
    "TASK-BAD-FILE": "Could not install the file. Check that the file is valid.",
    "TASK-REFUSED": "Out of luck.",
}
"""What real hosts say, by the code of what it means."""
HEADERS = {
    "UPM30X-MOVED": "https://jira.example.com/jira/rest/plugins/1.0/",
    "UPM30X-LOGIN": "/jira/login.jsp?os_destination=/rest/plugins/1.0/",
    "UPM401-LOGGED-OUT": "OUT",
}
"""The header by which a row is recognised, where its pattern is not the value itself."""
STATUSES = {"UPM401-WEBSUDO": 401, "UPM403-CAPTCHA": 403, "UPM403-LOGIN-DENIED": 403}
"""Of a row that is recognised by something else."""
DETAILS = {
    "UPM403-BASIC-AUTH": "This resource does not take basic authentication.",
    "UPM412-PRECONDITION": "Debug mode is off.",
    "UPM500-SERVER": "Ouch (its log's referral number: 1-2f)",
    "UPM200-LOGIN-PAGE": 'a page titled "Log in"',
    "UPM5XX-UNKNOWN": "gone",
}
"""What of that is shown, where it is not all of it."""

# Each cause is met where it comes up: at the POST, in a task, at a removal, at a switch. Those that
# need a peer of their own are further down, by code; the last test sees that none is left out.
POSTED = [
    row
    for row in causes.table()
    if not row.trouble
    and row.status
    and (not row.calls or Call.INSTALL in row.calls)
    and row.code not in ("UPM404-NOT-FOUND", "UPM403-TOKEN", "UPM415-MEDIA-TYPE")
]
POSTED += [
    ROWS[code]
    for code in ("UPM401-WEBSUDO", "UPM403-CAPTCHA", "UPM403-LOGIN-DENIED", "UPM-UNKNOWN")
]
TASKS = [
    row
    for row in causes.table()
    if not row.trouble
    and (row.sub_code or row.text or Call.OUTCOME in row.calls)
    and not row.status
    and not row.code.startswith(("UNINSTALL", "CHANGE", "UPM401"))
    and row.code != "TASK-FETCH-FAILED"
]
UNINSTALLS = [row for row in causes.table() if row.code.startswith("UNINSTALL")]
CHANGES = [row for row in causes.table() if row.code.startswith("CHANGE")]
SEPARATE = {
    "CLOUD-PRIVATE-INSTALL", "NET-CONNECTION-REFUSED", "NET-UNKNOWN-HOST", "NET-UNREACHABLE",
    "NET-TIMEOUT", "NET-RESET", "NET-CUT", "NET-TLS", "NET-PROXY", "NET-PROXY-LOGIN-TLS",
    "NET-NOT-HTTP", "NET-PROXY-KIND", "UPM200-NO-TOKEN", "UPM200-NOT-UPM", "UPM404-NOT-FOUND",
    "UPM403-TOKEN", "UPM415-MEDIA-TYPE", "TASK-OLDER-VERSION", "TASK-OTHER-KEY", "TASK-ENDLESS",
    "NET-CERTIFICATE-SELF-SIGNED", "NET-CERTIFICATE-NAME", "NET-CERTIFICATE-EXPIRED",
    "NET-CERTIFICATE", "TASK-FETCH-FAILED",
}  # fmt: skip
"""The certificates are in test_wire.py, a failed fetch in test_attribution.py."""


def written(row: Cause) -> bytes:
    """The answer that *row* is about, byte by byte (upm-protocol.md §2.2, §5)."""
    body = SAID.get(row.code, "")
    kind = "application/vnd.atl.plugins.error+json"
    if row.html:
        kind = "text/html"
    if row.sub_code:
        body = json.dumps({"subCode": row.sub_code})
    headers = {}
    if row.header[0]:
        headers = {row.header[0].replace("-", "_"): HEADERS.get(row.code, row.header[1])}
    return answer(status_of(row), body, kind=kind, **headers)


def status_of(row: Cause) -> int:
    return row.status[0] if row.status else STATUSES.get(row.code, 418)


def failed_task(row: Cause) -> bytes:
    """The poll of a task that has ended so (upm-protocol.md §2.7)."""
    status: dict[str, object] = {"done": True, "statusCode": 200}
    if row.sub_code:
        status["subCode"] = sub_code_of(row)
    if row.code in SAID:
        status["errorMessage"] = SAID[row.code]
    return answer(200, json.dumps({"type": "INSTALL", "pingAfter": 100, "status": status}))


def sub_code_of(row: Cause) -> str:
    return row.sub_code.replace("*", ".x" if "validation" in row.sub_code else "x")


def assert_told(
    event: TargetChanged | TargetError | Notice, row: Cause, url: str, **more: str
) -> None:
    """The code, the whole sentence and the whole remedy of *row* are what *event* says."""
    parts = urlsplit(url)
    facts = {
        "target": "jira",
        "url": url,
        "host": parts.hostname or "",
        "port": str(parts.port or 443),
        "user": "admin",
        "secret": "password of admin (the test)",
        "call": "installation",
        "status": str(status_of(row)),
        "key": KEY,
        **more,
    }
    assert event.code == row.code
    said = event.message if isinstance(event, Notice) else event.reason
    sentence = row.sentence.format(**facts)
    assert sentence in (said or "") if isinstance(event, Notice) else said == sentence
    assert "…" not in (said or "")
    if not isinstance(event, Notice):
        assert event.remedy == row.remedy.format(**facts)


def assert_next(event: TargetChanged, row: Cause) -> None:
    """The state says what happens next, and a retry says when."""
    assert event.state is STATES[row.next]
    assert (event.retry_in is not None) == (row.next is Next.RETRY)


def details(row: Cause) -> dict[str, str]:
    said = SAID.get(row.code, "")
    location = HEADERS.get(row.code, "no Location")
    return {
        "detail": DETAILS.get(row.code, said or "(nothing)"),
        "said": said,
        "location": location,
        "moved": location.partition("/rest/")[0],
        "sub_code": sub_code_of(row),
    }


@pytest.mark.parametrize("row", POSTED, ids=lambda row: row.code)
async def test_what_the_post_is_answered(row: Cause) -> None:
    """Code, sentence, remedy, next step and event of an answer to the install request."""
    answers = [answer(200, upm_token="1"), answer(404), written(row)]
    async with (
        scripted(answers, last=written(row)) as host,
        house(host.url, limits=PATIENT) as our,
    ):
        our.save()
        event = await our.until(STATES[row.next])

    assert_told(event, row, host.url, **details(row), uri=our.uri)
    assert_next(event, row)


@pytest.mark.parametrize("row", TASKS, ids=lambda row: row.code)
async def test_what_a_task_ends_with(row: Cause) -> None:
    """Code, sentence, remedy, next step and event of a task that failed."""
    answers = [answer(200, upm_token="1"), answer(404), accepted(), failed_task(row)]
    async with scripted(answers) as host, house(host.url, limits=PATIENT) as our:
        our.save()
        event = await our.until(STATES[row.next])

    told = details(row) | {"detail": SAID.get(row.code) or sub_code_of(row)}
    assert_told(event, row, host.url, **told, uri=our.uri)
    assert_next(event, row)
    if row.code.startswith(("UPM-", "TASK-REFUSED")):
        assert "please report" in (event.remedy or "")


@pytest.mark.parametrize("row", UNINSTALLS, ids=lambda row: row.code)
async def test_what_a_removal_is_answered(row: Cause) -> None:
    """Asked for by the user, and once more at the end: the event, and the last word."""
    body = json.dumps({"subCode": row.sub_code, "errorMessage": "No."}) if row.sub_code else ""
    reply = answer(row.status[0] if row.status else 403, body)
    async with scripted(by=installing({"DELETE": reply})) as host, house(host.url) as our:
        our.save()
        await our.until(TargetState.INSTALLED)
        (registrar,) = our.registrars
        registrar.leave()
        event = await our.until(STATES[row.next], within=10)
        left = await registrar.retire()

    assert_told(event, row, host.url)
    assert event.state is STATES[row.next]
    assert left == (KEY,)
    notice = [each for each in our.events if isinstance(each, Notice)][-1]
    assert_told(notice, row, host.url)


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row.code)
async def test_what_a_switch_is_answered(row: Cause) -> None:
    """Why an app cannot be enabled or disabled; the notice of the button says the same."""
    body = json.dumps({"subCode": row.sub_code}) if row.sub_code else ""
    reply = answer(row.status[0] if row.status else 500, body)
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.enable(KEY)

    assert isinstance(caught.value, CLASSES[row.next])
    assert_told(caught.value, row, host.url)


@pytest.mark.parametrize(
    ("code", "replies", "facts"),
    [
        ("NET-RESET", {"GET": RESET, "HEAD": RESET}, {}),
        ("NET-TIMEOUT", {"GET": HANG, "HEAD": HANG}, {}),
        (
            "NET-CUT",
            {
                "GET": b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{(cut)",
                "HEAD": answer(500),
            },
            {},
        ),
        (
            "NET-NOT-HTTP",
            {"GET": b"SSH-2.0-OpenSSH_9.2\r\n", "HEAD": b"SSH-2.0-OpenSSH_9.2\r\n"},
            {"detail": None},
        ),
        ("UPM404-NOT-FOUND", {"GET": answer(404, "<p>", kind="text/html")}, {}),
        (
            "UPM200-NOT-UPM",
            {"GET": answer(200, '{"hello":"world"}'), "HEAD": answer(200)},
            {"detail": None},
        ),
    ],
)
async def test_what_comes_in_place_of_a_upm(
    code: str, replies: dict[str, bytes], facts: dict[str, None]
) -> None:
    """The network's troubles and the wrong places, at the first request that meets them."""
    row = ROWS[code]
    async with (
        scripted(by=installing(replies)) as host,
        house(host.url, limits=PATIENT, request_limit=0.3) as our,
    ):
        our.save()
        event = await our.until(STATES[row.next])

    more = {name: between(event, row) for name in facts}
    assert_told(event, row, host.url, call="question for the installed app", **more)
    assert_next(event, row)


def between(event: TargetChanged, row: Cause) -> str:
    """What the library said: some words of its own at the sentence's end."""
    said = (event.reason or "").partition(": ")[2]
    assert row.sentence.endswith(": {detail}")
    assert said
    return said


async def test_a_token_that_never_comes() -> None:
    """The list is there, its header is not: asked three times, then again later."""
    bare = answer(200, '{"plugins":[]}')
    async with (
        scripted(by=installing({"HEAD": answer(200), "GET": bare})) as host,
        upm_of(host.url) as upm,
    ):
        with pytest.raises(TargetUnavailable) as caught:
            await upm.token()
    replies = {"HEAD": answer(200), "GET": bare}

    def listed(request: Request) -> bytes | None:
        return answer(404) if request.path.endswith("-key") else installing(replies)(request)

    async with scripted(by=listed) as other, house(other.url, limits=PATIENT) as our:
        our.save()
        event = await our.until(TargetState.UNAVAILABLE)

    assert len(host.requests) == 3
    assert_told(caught.value, ROWS["UPM200-NO-TOKEN"], host.url)
    assert_told(event, ROWS["UPM200-NO-TOKEN"], other.url)
    assert_next(event, ROWS["UPM200-NO-TOKEN"])


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("UPM403-TOKEN", answer(403, '{"subCode":"upm.error.invalid.token"}')),
        ("UPM415-MEDIA-TYPE", answer(415)),
    ],
)
async def test_what_the_post_is_answered_twice(code: str, reply: bytes) -> None:
    """Two fresh tokens refused, and both media types."""
    row = ROWS[code]
    async with (
        scripted(by=installing({"POST": reply})) as host,
        house(host.url, limits=PATIENT) as our,
    ):
        our.save()
        event = await our.until(STATES[row.next])

    assert_told(event, row, host.url)
    assert_next(event, row)
    assert len([each for each in host.requests if each.method == "POST"]) == 2


@pytest.mark.parametrize(
    ("code", "upm", "facts"),
    [
        ("TASK-OLDER-VERSION", installing(version="0.9"), {"listed": "0.9", "version": "1.0"}),
        ("TASK-OTHER-KEY", installing(key="com.example.other"), {"listed": "com.example.other"}),
    ],
)
async def test_what_only_the_list_tells(
    code: str, upm: Callable[[Request], bytes | None], facts: dict[str, str]
) -> None:
    """A task that ended well, and did not do what was asked."""
    async with scripted(by=upm) as host, house(host.url, limits=PATIENT) as our:
        our.save()
        event = await our.until(TargetState.REFUSED)

    assert_told(event, ROWS[code], host.url, uri=our.uri, **facts)
    assert_next(event, ROWS[code])


async def test_a_task_without_end() -> None:
    """Waited for as long as the limit says, then asked for anew."""
    running = answer(200, '{"pingAfter":20,"status":{"done":false}}')

    def endless(request: Request) -> bytes | None:
        return running if "/pending/" in request.path else upm(request)

    upm = installing()
    async with scripted(by=endless) as host, house(host.url, limits=PATIENT) as our:
        our.save()
        event = await our.until(TargetState.UNAVAILABLE)

    assert_told(event, ROWS["TASK-ENDLESS"], host.url, limit="0.3")
    assert_next(event, ROWS["TASK-ENDLESS"])


async def told_of(url: str, state: TargetState = TargetState.UNAVAILABLE) -> TargetChanged:
    """The event that a target at *url* ends in."""
    async with house(url, limits=PATIENT) as our:
        our.save()
        return await our.until(state, within=10)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/jira", "NET-CONNECTION-REFUSED"),
        ("https://nobody.invalid/jira", "NET-UNKNOWN-HOST"),
    ],
)
async def test_nobody_there(url: str, code: str) -> None:
    """Nothing listens, or the name is unknown."""
    if "invalid" in url:  # not this machine: the user has agreed
        async with house(url, limits=PATIENT, permissions=(Permission.INSTALL,)) as our:
            our.save()
            event = await our.until(TargetState.UNAVAILABLE, within=10)
    else:
        event = await told_of(url)

    assert_told(event, ROWS[code], url)
    assert_next(event, ROWS[code])


async def test_a_port_that_takes_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its queue is full, as behind a firewall: the connection itself has no answer."""
    monkeypatch.setattr(wire, "CONNECT_LIMIT", 0.2)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with contextlib.ExitStack() as waiting:
            for _ in range(8):
                each = waiting.enter_context(socket.socket())
                each.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    each.connect(("127.0.0.1", port))
            url = f"http://127.0.0.1:{port}/jira"
            event = await told_of(url)

    assert_told(event, ROWS["NET-UNREACHABLE"], url, detail="no answer")
    assert_next(event, ROWS["NET-UNREACHABLE"])


async def test_https_where_http_is_spoken() -> None:
    """TLS that is none is said to be that, with what to try."""

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        event = await told_of(url)

    assert_told(event, ROWS["NET-TLS"], url, detail=between(event, ROWS["NET-TLS"]))
    assert_next(event, ROWS["NET-TLS"])
    assert "http://" in (event.remedy or "")


@pytest.mark.parametrize(
    ("code", "scheme", "reply"),
    [
        ("NET-PROXY", "http", None),
        ("NET-PROXY", "https", answer(503)),
        ("NET-PROXY-LOGIN", "http", answer(407)),
        ("NET-PROXY-LOGIN-TLS", "https", answer(407)),
        ("NET-PROXY-KIND", "all", answer(200)),
    ],
)
async def test_proxies_that_do_not_help(
    code: str, scheme: str, reply: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is not there, one that refuses, one that wants a password."""
    row = ROWS[code]
    async with scripted(last=reply) as proxy:
        port = 1 if reply is None else proxy.port
        address = f"{'socks5' if scheme == 'all' else 'http'}://127.0.0.1:{port}"
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", address)
        monkeypatch.delenv("NO_PROXY", raising=False)
        url = f"{'https' if scheme == 'https' else 'http'}://jira.localhost:2990/jira"
        event = await told_of(url, STATES[row.next])

    more = {"detail": between(event, row)} if "{detail}" in row.sentence else {}
    assert_told(event, row, url, proxy=address, **more)
    assert_next(event, row)


async def test_cloud() -> None:
    """Nothing is sent: neither a request, nor a question of the name server, nor of the user."""
    event = await told_of("https://acme.atlassian.net/wiki", TargetState.REFUSED)

    assert_told(event, ROWS["CLOUD-PRIVATE-INSTALL"], "https://acme.atlassian.net/wiki")
    assert_next(event, ROWS["CLOUD-PRIVATE-INSTALL"])


def test_every_cause_has_its_test() -> None:
    """Every row of the table is met above, or is one that upm-dev sees by itself."""
    met = {row.code for row in (*POSTED, *TASKS, *UNINSTALLS, *CHANGES)} | SEPARATE

    assert met == {row.code for row in causes.table() if row.trouble != SEEN}


async def test_a_list_that_is_none() -> None:
    """Something answers 200 with what is no UPM's: shown, cut short."""
    body = json.dumps(["x" * 900])
    async with scripted([answer(200, body)]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetRefused) as caught:
            await upm.plugin("a")

    assert caught.value.code == "UPM200-NOT-UPM"
    assert len(caught.value.reason) < 400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999", 3600.0),
        ("Mon, 23 Nov 2026 12:00:10 GMT", 10.0),
        ("soon", None),
        ("nan", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    """A number, or a date; nothing else, and no more than an hour."""
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)

    assert causes.retry_after(value, now) == seconds


def test_codes_and_sentences_are_unique() -> None:
    """Never the same sentence for two causes, and a remedy for each."""
    table = causes.table()

    assert len({row.code for row in table}) == len(table)
    assert len({row.sentence for row in table}) == len(table)
    assert all(row.remedy for row in table)


def test_each_row_can_be_reached() -> None:
    """No row stands behind one that takes everything from it."""
    for row in causes.table():
        if row.trouble == SEEN:
            continue
        refusal = Refusal(
            call=Call(sorted(row.calls)[0]) if row.calls else Call.CHANGE,
            status=row.status[0] if row.status else 418,
            headers=(
                {row.header[0].lower(): HEADERS.get(row.code, row.header[1])}
                if row.header[0]
                else {}
            ),
            sub_code=row.sub_code.replace("*", "x"),
            text=SAID.get(row.code) or row.text.partition("|")[0].strip("^"),
            html=bool(row.html),
            trouble=Trouble(row.trouble) if row.trouble else None,
        )
        assert causes.cause(refusal).code == row.code


def test_every_trouble_has_a_row() -> None:
    """Whatever the wire meets is in the table."""
    for trouble in Trouble:
        assert causes.cause(Refusal(call=Call.TOKEN, trouble=trouble)).trouble == trouble


def test_the_page_of_a_code() -> None:
    """`upm-dev explain` prints it, whatever the case; an unknown one has none."""
    page = causes.page("upm403-upload-disabled")

    assert page is not None
    assert "-Dupm.plugin.upload.enabled=true" in page
    assert "wait for the next change" in page
    assert "{" not in page
    assert causes.page("UPM999") is None


def test_the_reference_is_current() -> None:
    """`python -m devserver.upm.causes > docs/refusals.md` after a change of the table."""
    file = Path(devserver.__file__).parent.parent / "docs" / "refusals.md"

    assert file.read_text(encoding="utf-8").strip() == causes.reference().strip()


@pytest.mark.parametrize(
    "text",
    [
        "plain words",
        '{"errorMessage":"with \\"quotes\\" in it"}',
        "<html><title>A title</title><body>x</body></html>",
        "<p>tags</p>",
        "",
        "x" * 5000,
    ],
)
def test_details_are_one_short_line(text: str) -> None:
    """What a target says is shown without its tags and cut."""
    shown = causes.detail(Refusal(call=Call.TOKEN, text=text, html=text.startswith("<html")))

    assert "\n" not in shown
    assert "<" not in shown
    assert 0 < len(shown) <= 201


async def test_a_failed_task_without_a_word() -> None:
    """Neither subCode nor message: refused, and said to be unknown."""
    async with upm_of("http://127.0.0.1:1/jira") as upm:
        error = upm.failure(Failed(), "http://h/x")

    assert error.code == "TASK-REFUSED"
    assert "please report" in error.remedy


def test_no_remedy_is_a_key_alone() -> None:
    """A command that runs once shows the same remedies and takes no keys."""
    page = (Path(__file__).parents[2] / "docs" / "refusals.md").read_text()
    keys = [line for line in page.splitlines() if "press r" in line]
    assert keys
    assert [line for line in keys if "run" not in line.partition("press r")[2]] == []
