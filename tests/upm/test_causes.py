"""Every refusal: recognised byte by byte, named, explained, and followed by the right next step."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from registrar.house import house
from upm.scripted import HANG, RESET, accepted, answer, scripted, upm_of

import devserver
from devserver.errors import (
    CredentialsRejected,
    TargetError,
    TargetRefused,
    TargetUnavailable,
)
from devserver.model import TargetState
from devserver.registrar import Limits
from devserver.upm import causes
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
PATIENT = Limits(first_retry=60.0, last_retry=60.0)
SPOKEN = {
    "must have permission to access this resource": "Must have permission to access this resource.",
    "cannot access this resource on this system": "Cannot access this resource on this system.",
    "cannot be installed via upload": "Plugins cannot be installed via upload",
    "XSRF check failed": "XSRF check failed",
    "basic auth": '{"message":"This resource does not take basic authentication."}',
    "signature check failed": "Signature check failed!",
    "check that the file is valid": "Could not install the file. Check that the file is valid.",
}
"""What real hosts say, for the pattern that recognises it."""
ROWS = {row.code: row for row in causes.table()}
POSTED = [
    row
    for row in causes.table()
    if not row.trouble
    and row.status
    and (not row.calls or Call.INSTALL in row.calls)
    and row.code not in ("UPM404-NOT-FOUND", "UPM403-TOKEN", "UPM415-MEDIA-TYPE")
]
TASKS = [
    row
    for row in causes.table()
    if not row.trouble
    and (row.sub_code or row.text)
    and not row.status
    and not row.code.startswith(("UNINSTALL", "CHANGE", "UPM401"))
    and row.code != "TASK-FETCH-FAILED"
]
UNINSTALLS = [row for row in causes.table() if row.code.startswith("UNINSTALL")]


def written(row: Cause) -> bytes:
    """The answer that *row* is about, byte by byte."""
    body = SPOKEN[row.text] if row.text else "<p>no</p>" if row.html is None else "no"
    kind = "application/vnd.atl.plugins.error+json"
    if row.html:
        body, kind = "<html><title>Log in</title><form></form></html>", "text/html"
    headers = {row.header[0].replace("-", "_"): row.header[1]} if row.header[0] else {}
    return answer(row.status[0], body, kind=kind, **headers)


def failed_task(row: Cause) -> bytes:
    """The poll of a task that has ended so (upm-protocol.md §2.7)."""
    status: dict[str, object] = {"done": True, "statusCode": 200}
    if row.sub_code:
        status["subCode"] = row.sub_code.replace("*", ".x" if "validation" in row.sub_code else "x")
    else:
        status["errorMessage"] = SPOKEN[row.text]
    return answer(200, json.dumps({"type": "INSTALL", "pingAfter": 100, "status": status}))


@pytest.mark.parametrize("row", POSTED, ids=lambda row: row.code)
async def test_what_the_post_is_answered(row: Cause) -> None:
    """The code, the sentence and the next step of an answer to the install request."""
    answers = [answer(200, upm_token="1"), answer(404), written(row)]
    async with (
        scripted(answers, last=written(row)) as host,
        house(host.url, limits=PATIENT) as our,
    ):
        our.save()
        event = await our.until(STATES[row.next])

    assert event.code == row.code
    assert event.reason
    assert "…" not in event.reason
    assert event.remedy
    assert (event.retry_in is not None) == (row.next is Next.RETRY)


@pytest.mark.parametrize("row", TASKS, ids=lambda row: row.code)
async def test_what_a_task_ends_with(row: Cause) -> None:
    """The code, the sentence and the next step of a task that failed."""
    answers = [answer(200, upm_token="1"), answer(404), accepted(), failed_task(row)]
    async with scripted(answers) as host, house(host.url, limits=PATIENT) as our:
        our.save()
        event = await our.until(STATES[row.next])

    assert event.code == row.code
    assert event.reason
    assert event.remedy
    assert "{" not in event.reason.replace("{{ base_url }}", "")


@pytest.mark.parametrize("row", UNINSTALLS, ids=lambda row: row.code)
async def test_what_a_removal_is_answered(row: Cause) -> None:
    """Why an app cannot be taken away."""
    reply = answer(403, json.dumps({"subCode": row.sub_code, "errorMessage": "No."}))
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.uninstall("com.example.app")

    assert caught.value.code == row.code
    assert isinstance(caught.value, CLASSES[row.next])
    assert "…" not in caught.value.reason


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (RESET, "NET-RESET"),
        (HANG, "NET-TIMEOUT"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n(cut)", "UPM200-NO-TOKEN"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "NET-NOT-HTTP"),
        (answer(302, Location="https://jira.example.com/login"), "UPM30X-REDIRECT"),
        (answer(404, "<html>not here</html>", kind="text/html"), "UPM404-NOT-FOUND"),
        (answer(403, '{"subCode":"upm.error.invalid.token"}'), "UPM403-TOKEN"),
        (answer(401, '{"subCode":"upm.websudo.error"}'), "UPM401-WEBSUDO"),
        (answer(400, '{"subCode":"upm.pluginInstall.error.safe.mode"}'), "UPM409-SAFE-MODE"),
        (answer(418, "I am a teapot", kind="text/plain"), "UPM-UNKNOWN"),
        (answer(599, "?"), "UPM-UNKNOWN"),
    ],
)
async def test_what_the_question_for_a_token_meets(reply: bytes, code: str) -> None:
    """The network's troubles and the wrong places."""
    async with scripted([reply], last=reply) as host, upm_of(host.url, limit=0.3) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.token()

    assert caught.value.code == code
    assert isinstance(caught.value, CLASSES[ROWS[code].next])


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/jira", "NET-CONNECTION-REFUSED"),
        ("http://nowhere.invalid.localhost:1/jira", "NET-"),
        ("https://nobody.invalid/jira", "NET-UNKNOWN-HOST"),
    ],
)
async def test_nobody_there(url: str, code: str) -> None:
    """Nothing listens, or the name is unknown."""
    async with upm_of(url) as upm:
        with pytest.raises(TargetUnavailable) as caught:
            await upm.token()

    assert caught.value.code.startswith(code)


async def test_https_where_http_is_spoken() -> None:
    """TLS that is none is said to be that, with what to try."""

    async def plain(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server, upm_of(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") as upm:
        with pytest.raises(TargetUnavailable) as caught:
            await upm.token()

    assert caught.value.code == "NET-TLS"
    assert "http://" in caught.value.remedy


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
            headers={row.header[0].lower(): row.header[1]} if row.header[0] else {},
            sub_code=row.sub_code.replace("*", "x"),
            text=SPOKEN.get(row.text, row.text),
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
