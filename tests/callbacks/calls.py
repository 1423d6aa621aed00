"""Calls of every era, made with oauthlib and PyJWT, and a host as the verifier sees it."""

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from oauthlib.oauth1 import SIGNATURE_RSA, Client

from devserver.callbacks.call import Call, Finding
from devserver.callbacks.qsh import qsh
from devserver.callbacks.verifier import Verifier
from devserver.errors import TargetUnavailable
from devserver.model import CallbackSpec
from devserver.upm.answers import Identity

BASE = "http://localhost:8000"
URL = f"{BASE}/installed?user_key=admin"
BODY = {"key": "com.example.app", "clientKey": "jira:1", "eventType": "installed"}
INSTALLED = CallbackSpec("installed", "/installed")
SECRET = "a-shared-secret-that-is-long-enough-for-hs256"


@cache
def private_key(number: int) -> RSAPrivateKey:
    del number
    return generate_private_key(65537, 2048)


def private_pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def public_pem(key: RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


@dataclass
class Host:
    """A host as the verifier sees it: what it says of itself, and how often it was asked."""

    key: str = "jira:1"
    signs_with: int = 0
    keys: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    down: bool = False
    url: str = "http://localhost:2990/jira"
    asked: int = 0
    asked_for: list[str] = field(default_factory=list)

    async def identity(self, *, limit: float | None = None) -> Identity:
        assert limit
        self.asked += 1
        if self.silent:
            raise TargetUnavailable("nobody is there")
        if self.down:
            raise TargetUnavailable("nothing listens there", code="NET-CONNECTION-REFUSED")
        return Identity(self.key, public_pem(private_key(self.signs_with)))

    async def install_key(self, key_id: str, *, limit: float | None = None) -> str | None:
        assert limit
        self.asked_for.append(key_id)
        return self.keys.get(key_id)


def oauth(
    *,
    url: str = URL,
    key: int = 0,
    consumer: str = "jira:1",
    timestamp: int | None = None,
    nonce: str | None = None,
    body: dict[str, Any] | None = None,
) -> Call:
    """A webhook of the XML era, signed by oauthlib."""
    client = Client(
        consumer,
        signature_method=SIGNATURE_RSA,
        rsa_key=private_pem(private_key(key)),
        timestamp=str(timestamp or int(time.time())),
        nonce=nonce or str(time.monotonic_ns()),
    )
    _, headers, _ = client.sign(url, http_method="POST")
    return Call(
        method="POST",
        url=url,
        headers=dict(headers),
        body=json.dumps(body or BODY).encode(),
    )


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {
        "iss": "jira:1",
        "iat": now,
        "exp": now + 180,
        "aud": [BASE],
        "qsh": qsh("POST", URL, BASE),
    }
    return {name: value for name, value in {**made, **more}.items() if value is not None}


def with_token(token: str, **body: str) -> Call:
    said = {**BODY, **body}
    return Call(
        method="POST",
        url=URL,
        headers={"authorization": f"JWT {token}"},
        body=json.dumps(said).encode(),
    )


def rs256(*, key: int = 0, kid: str = "", body: dict[str, str] | None = None, **more: Any) -> Call:
    headers = {"kid": kid} if kid else None
    token = jwt.encode(claims(**more), private_pem(private_key(key)), "RS256", headers=headers)
    return with_token(token, **(body or {}))


def hs256(secret: str = SECRET, **more: Any) -> Call:
    return with_token(jwt.encode(claims(**{"aud": None, **more}), secret, "HS256"))


def spec(event: str) -> CallbackSpec:
    return CallbackSpec(event, f"/{event}")


async def verify(call: Call, *hosts: Host, event: str = "installed") -> Finding:
    named = {f"host{number}": host for number, host in enumerate(hosts or (Host(),))}
    return await Verifier(named).verify(call, spec(event), base_url=BASE)
