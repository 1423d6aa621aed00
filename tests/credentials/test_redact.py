"""Redaction: whatever leaves the process has no secret in it."""

import json
import re
from base64 import b64encode
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver import redact
from devserver.redact import MASK, Redactor

SECRET = "hunter2/ä\"<'%&+ x"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps(SECRET),
        json.dumps({"x": SECRET}, ensure_ascii=False),
        escape(SECRET),
        repr(SECRET),
        b64encode(SECRET.encode()).decode(),
        *(b64encode(f"{user}:{SECRET}".encode()).decode() for user in ("a", "bo", "bob", "admin")),
    ],
)
def test_a_known_secret_in_every_form(form: str) -> None:
    """By value, and as URLs, JSON, XML and headers spell it."""
    shown = Redactor([SECRET]).text(f"before {form} after")

    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert MASK in shown
    assert "hunter2" not in shown
    assert b64encode(SECRET.encode()).decode()[8:16] not in shown


def test_a_short_secret_is_masked_only_where_it_stands_alone() -> None:
    """ "test" is no part of "latest"."""
    redactor = Redactor(["test", ""])

    assert redactor.text("the latest test: test-1 /test/") == "the latest ***: ***-1 /***/"


def test_secrets_are_added_as_they_turn_up() -> None:
    """From then on, and the redactor itself shows none."""
    redactor = Redactor()
    assert redactor.text("correct horse") == "correct horse"

    redactor.add("correct horse")

    assert redactor.text("correct horse") == MASK
    assert "horse" not in repr(redactor)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Basic YWRtaW46YWRtaW4=", "Authorization: Basic ***"),
        ("authorization: Digest username=x, response=y", "authorization: Digest ***"),
        ("Proxy-Authorization: secretish", "Proxy-Authorization: ***"),
        (
            "{'Authorization': 'Basic YWRtaW46YWRtaW4=', 'b': 'c'}",
            "{'Authorization': 'Basic ***', 'b': 'c'}",
        ),
        (
            "curl -H 'Authorization: Bearer abc.d' http://h",
            "curl -H 'Authorization: Bearer ***' http://h",
        ),
        ('Authorization: OAuth oauth_token="abc", oauth_x="y"', "Authorization: OAuth ***"),
        ("sent Basic YWRtaW46YWRtaW4= to it", "sent Basic *** to it"),
        ("basic authentication is on", "basic authentication is on"),
        ("JWT eyJhbGciOiJI.eyJpc3MiOiJ4.c2lnbmF0dXJl", "JWT ***"),
        ("at eyJhbGciOiJI.eyJpc3MiOiJ4.c2lnbmF0dXJl.", "at ***."),
        ("/installed?jwt=abc&lic=x", "/installed?jwt=***&lic=x"),
        ("POST /rest/plugins/1.0/?token=-123456", "POST /rest/plugins/1.0/?token=***"),
        ("upm-token: -123456", "upm-token: ***"),
        ("Cookie: JSESSIONID=1; a=b", "Cookie: ***"),
        ("Set-Cookie: JSESSIONID=1; Path=/\r\nX: y", "Set-Cookie: ***\r\nX: y"),
        ("JSESSIONID=12AB, x", "JSESSIONID=***, x"),
        ('{"sharedSecret": "abc", "key": "x"}', '{"sharedSecret": "***", "key": "x"}'),
        ('{\\"sharedSecret\\":\\"abc\\"}', '{\\"sharedSecret\\":\\"***\\"}'),
        ("shared_secret = 'a\\'b'", "shared_secret = '***'"),
        ("password=abc&x=y", "password=***&x=y"),
        ("os_password=abc", "os_password=***"),
        ("UPM_DEV_JIRA_PASSWORD=abc", "UPM_DEV_JIRA_PASSWORD=***"),
        ("  password: abc", "  password: ***"),
        ("http://bob:hunter2@h/x", "http://bob:***@h/x"),
        ("http://bob:hun/ter2@h/x", "http://bob:***@h/x"),
        ("https://token@h/x", "https://***@h/x"),
        ("http://localhost:2990/x@y", "http://localhost:2990/x@y"),
        ("http://h/?mail=a@b", "http://h/?mail=a@b"),
        ("invalid token: expired", "invalid token: expired"),
        ("X-Atlassian-Token: no-check", "X-Atlassian-Token: no-check"),
        ("the password is wrong", "the password is wrong"),
        ('password-command = "pass show"', 'password-command = "pass show"'),
        ("http://h:8000/a.xml?target=jira&rev=ab", "http://h:8000/a.xml?target=jira&rev=ab"),
        ("a\n-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\nb", "a\n***\nb"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc", "***"),
        ('{"a": 1, "sharedSecret": "abc', '{"a": 1, "sharedSecret": "***'),
        ('{"accessToken":"abc","oauthClientSecret":"abc"}', None),
        ("<password>abc</password>", "<password>***</password>"),
        ('; name="password"\r\n\r\nabc\r\n--b', '; name="password"\r\n\r\n***\r\n--b'),
        ("POST&%2Fa&b%3D1%26jwt%3Dabc%26z%3D2", "POST&%2Fa&b%3D1%26jwt%3D***%26z%3D2"),
        ("/x?next=%2Fy%3Ftoken%3Dabc&b=1", "/x?next=%2Fy%3Ftoken%3D***&b=1"),
        ("/x?j%77t=abc&a=%C3%A9", "/x?jwt=***&a=%C3%A9"),
        ("/caf%65?a=%C3%A9", "/caf%65?a=%C3%A9"),
        ("/x?a=%41&token=abc&b=%2D%7E", "/x?a=%41&token=***&b=%2D%7E"),
    ],
)
def test_what_looks_like_a_secret(text: str, shown: str | None) -> None:
    """By its shape; what merely speaks of secrets stays readable."""
    found = redact.text(text)

    assert "abc" not in found
    assert found == (shown or text.replace("abc", MASK))
    assert redact.text(found) == found


def test_our_own_advice_stays_readable() -> None:
    """The place for a password is none."""
    advice = "HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT"

    assert Redactor(["hunter2"]).text(advice) == advice
    assert "***" in Redactor(["PASSWORD"]).text(advice)


def test_headers() -> None:
    """The scheme stays, since it says which kind of credentials went out."""
    sent = {
        "Authorization": "Basic YWRtaW46YWRtaW4=",
        "Cookie": "a=b",
        "X-Atlassian-Token": "no-check",
        "upm-token": "-1",
        "Referer": "http://h/?jwt=abc",
        "X-Note": "is hunter2hunter2",
    }

    assert Redactor(["hunter2hunter2"]).headers(sent) == {
        "Authorization": "Basic ***",
        "Cookie": "***",
        "X-Atlassian-Token": "no-check",
        "upm-token": "***",
        "Referer": "http://h/?jwt=***",
        "X-Note": "is ***",
    }


def test_documents() -> None:
    """Members by their name, strings by what is in them; other values stay as they are."""
    payload = {
        "key": "com.acme",
        "sharedSecret": "abc",
        "publicKey": "MIIB",
        "nested": [{"password": "abc", "n": 1}, "http://a:b@h", None, True],
        "secret": None,
        "hunter2hunter2": b"raw",
    }

    assert Redactor(["hunter2hunter2"]).document(payload) == {
        "key": "com.acme",
        "sharedSecret": "***",
        "publicKey": "MIIB",
        "nested": [{"password": "***", "n": 1}, "http://a:***@h", None, True],
        "secret": None,
        "***": b"raw",
    }


@given(st.text(min_size=8, max_size=30), st.text(max_size=20), st.text(max_size=20))
def test_any_secret_anywhere(secret: str, before: str, after: str) -> None:
    """A secret of eight characters or more is gone, whatever it is and wherever it stands."""
    if secret in before + after or secret in MASK * 4:
        return

    shown = redact.text(f"{before} {secret} {after}", [secret])

    assert secret not in shown


PIECES = [
    *(
        "Cookie",
        "set-cookie",
        "Authorization",
        "Proxy-Authorization",
        "OAuth ",
        "Digest ",
        "Basic ",
    ),
    *("bearer ", "JWT ", "eyJhbGciOi.eyJpc3M.x", "://", "user:pass@", "@", "shared-secret"),
    *("SharedSecret", "clientSecret", "secretKey", "passwd", "password", "passphrase", "pwd"),
    *("apiKey", "access_key", "private-key", "access_token", "upm-token", "xsrf-token", "jwt"),
    *("os_password", "JSESSIONID", "-----BEGIN RSA PRIVATE KEY-----", "=", ":", ": ", '"', "'"),
    *("\\", "\n", " ", "a1b2c3d4e5", "Zm9vOmJhcg=="),
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_what_is_looked_for_first_hides_no_secret(text: str) -> None:
    """Whatever a pattern fits has one of its marks in it."""
    for marks, pattern, _ in redact._LOOKS:
        if re.search(pattern, text):
            assert any(mark in text.casefold() for mark in marks)


@given(st.text(alphabet="password=:'\"\\ eyJ.@/httpBasic-\n&", max_size=80))
def test_redaction_is_quick_and_total(text: str) -> None:
    """No text makes it raise."""
    redact.text(text)
    redact.document({text: text})


WORST = (
    *("://a:", "password=", "eyJ", "Basic ", "a:b@", "\\'", "cookie: ", "token%25", "<token"),
    *("-", " ", "\t- ", "_token", "-----BEGIN ", "\n", "a-", 'token\\"', 'name="token"\r\n'),
)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("worst", WORST)
def test_a_long_line_does_not_stall_it(worst: str) -> None:
    """Half a megabyte of the worst text takes less than the test's own limit by far."""
    redact.text(worst * (500_000 // len(worst)) + "token cookie private key jwt")


@pytest.mark.parametrize(
    "name", ["Password", "X-Api-Key", "x-auth-token", "X-Forwarded-Access-Token"]
)
def test_headers_that_are_named_like_secrets(name: str) -> None:
    """Whoever made them up; the one that says `no-check` is none."""
    assert redact.headers({name: "abc", "X-Atlassian-Token": "no-check"}) == {
        name: MASK,
        "X-Atlassian-Token": "no-check",
    }


def test_members_that_are_named_like_secrets() -> None:
    """Whatever they hold but yes, no and nothing."""
    assert redact.document({"X-Atlassian-Token": "no-check"}) == {"X-Atlassian-Token": "no-check"}
    said = {"password": ["abc"], "token": {"v": "abc"}, "pwd": 123, "jwt": None, "secret": True}

    assert redact.document(said) == {
        **dict.fromkeys(("password", "token", "pwd"), MASK),
        "jwt": None,
        "secret": True,
    }
