"""Why a signature does not fit: the change that a proxy made, found by undoing it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from oauthlib.oauth1 import SIGNATURE_RSA, Client

from devserver.callbacks.call import Call, Explanation
from devserver.callbacks.explain import MOST, _distinct, explain
from devserver.callbacks.qsh import qsh

BASE = "http://localhost:8000"


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@cache
def keys() -> dict[str, str]:
    public = key().public_key()
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return {"jira": public.public_bytes(encoding, form).decode()}


def oauth(url: str) -> Call:
    """A webhook that is signed for *url*."""
    none = serialization.NoEncryption()
    pem = (
        key()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none)
        .decode()
    )
    client = Client("jira", signature_method=SIGNATURE_RSA, rsa_key=pem)
    _, headers, _ = client.sign(url, http_method="POST")
    return Call(method="POST", url=url, headers=dict(headers))


def connect(url: str) -> Call:
    """A call of the Connect era with the hash of *url*."""
    token = jwt.encode(
        {"iss": "jira", "exp": int(time.time()) + 60, "qsh": qsh("POST", url, BASE)},
        "a-shared-secret-that-is-long-enough-for-hs256",
    )
    return Call(method="POST", url=url, headers={"Authorization": f"JWT {token}"})


def explained(call: Call) -> Explanation:
    found = explain(call, BASE, keys())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("signed", "came", "word"),
    [
        ("https://abc.example/installed?a=1", f"{BASE}/installed?a=1", "--public-url"),
        (f"{BASE}/installed?a=1", f"{BASE}/app/installed?a=1", "/app before the path"),
        (f"{BASE}/installed?a=1", f"{BASE}/installed?a=1&ngrok=1", "added ngrok"),
        (f"{BASE}/installed?b=x%20y", f"{BASE}/installed?b=x%2520y", "query"),
        (f"{BASE}/installed?b=x%2By", f"{BASE}/installed?b=x+y", "%2B"),
        (f"{BASE}/installed/", f"{BASE}/installed", "slash"),
    ],
)
def test_a_proxy_in_between(signed: str, came: str, word: str) -> None:
    """What it changed is named, with both strings and where they differ."""
    call = oauth(signed)
    headers = {**call.headers, "X-Forwarded-Host": "abc.example", "X-Forwarded-Proto": "https"}
    found = explained(replace(call, url=came, headers=headers))

    assert found.theirs is not None
    assert word in found.cause
    assert found.difference is not None
    assert found.ours[: found.difference] == found.theirs[: found.difference]


@pytest.mark.parametrize(
    ("signed", "came", "word"),
    [
        (f"{BASE}/installed", f"{BASE}/app/installed", "/app before the path"),
        (f"{BASE}/installed?b=x%2By", f"{BASE}/installed?b=x+y", "%2B"),
        (f"{BASE}/installed?a=1", f"{BASE}/installed", None),
    ],
)
def test_a_token_of_another_request(signed: str, came: str, word: str | None) -> None:
    """The same by the hash of the request; where nothing fits, that is said."""
    found = explained(replace(connect(signed), url=came))

    if word is None:
        assert found.theirs is None
        assert "forgery" in found.cause
    else:
        assert word in found.cause


def test_another_key() -> None:
    """Nothing of the request is to blame."""
    found = explain(oauth(f"{BASE}/installed"), BASE, {"jira": keys()["jira"], "x": "no key"})
    assert found is not None
    assert found.theirs == found.ours
    stranger = explain(oauth(f"{BASE}/x"), BASE, {})
    assert stranger is not None
    assert stranger.cause == "it is signed with a key that is no target's of ours"
    assert explain(Call(method="POST", url=BASE, headers={}), BASE, keys()) is None


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [oauth, connect])
def test_a_long_query_costs_little(make: Callable[[str], Call]) -> None:
    """Anybody may send one, with any token: what it could have been is not looked for."""
    url = f"{BASE}/installed?{'&'.join(map(str, range(5000)))}"
    signed = make(f"{BASE}/other")
    for _ in range(20):
        found = explained(replace(signed, url=url))
        assert found.theirs is None
        assert "too long" in found.cause


def test_no_more_is_made_up_than_is_tried() -> None:
    """Variants are taken as they are needed."""
    made = []

    def variants() -> Iterator[tuple[str, str]]:
        for number in range(10 * MOST):
            made.append(number)
            yield str(number), ""

    assert len(list(_distinct(variants(), set()))) == MOST
    assert len(made) == MOST + 1
