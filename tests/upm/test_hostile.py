"""What a hostile host says: bounded, on one line, and without what it repeats of our secrets."""

import json

import pytest
from upm.scripted import answer, scripted, upm_of

from devserver.errors import TargetError, TargetUnavailable

SECRET = "s3cret-of-the-test"
LONGEST = 600
"""Characters of a whole sentence with two things that the host said in it."""


async def refusal(reply: bytes) -> TargetError:
    """How an installation that is answered with *reply* is told."""
    async with scripted([reply]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetError) as caught:
            await upm.install("http://localhost:8000/atlassian-plugin.xml", "token")
    return caught.value


@pytest.mark.parametrize("before", range(180, 202, 3))
async def test_a_secret_at_the_end_of_what_is_shown(before: int) -> None:
    """Half of it would be no secret that we know: it is masked before the text is cut."""
    page = answer(500, f"<p>{'w' * before} {SECRET}</p>", kind="text/html")
    error = await refusal(page)

    assert error.code == "UPM500-SERVER"
    assert "s3cret" not in error.reason


async def test_a_sub_code_that_repeats_a_secret() -> None:
    """The host's codes are texts of its own as well."""
    body = json.dumps({"subCode": f"connect.install.error.{SECRET}", "errorMessage": "no"})
    error = await refusal(answer(400, body))

    assert error.code == "CONNECT-OTHER"
    assert SECRET not in error.reason


@pytest.mark.parametrize(
    "reply",
    [
        answer(400, json.dumps({"subCode": "connect.install.error." + "x" * 100_000})),
        answer(400, json.dumps({"subCode": "a\r\x1b[2J\x0b\x85b", "errorMessage": "m\x9b\rn"})),
        answer(301, Location="http://elsewhere.example/" + "y" * 8000),
        answer(301, Location="http://e.example/" + "y" * 7000 + "/rest/plugins/1.0/"),
    ],
)
async def test_what_is_endless_or_for_the_terminal(reply: bytes) -> None:
    """Short, and nothing that a terminal would obey."""
    error = await refusal(reply)

    assert len(error.reason) < LONGEST
    assert len(error.remedy) < LONGEST
    assert f"{error.reason}{error.remedy}".isprintable()


async def test_what_does_not_speak_http() -> None:
    """Its first words are told, and none of the library's that found out."""
    async with scripted([b"SSH-2.0-OpenSSH_9\r\n"]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetUnavailable) as caught:
            await upm.token()

    assert caught.value.code == "NET-NOT-HTTP"
    assert "SSH-2.0-OpenSSH_9" in caught.value.reason
    assert "message=" not in caught.value.reason
