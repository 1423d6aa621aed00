"""Atlassian's JWT with qsh: how Connect hosts sign what they send (upm-protocol.md §7.2-7.4)."""

import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from devserver.callbacks.call import Call, is_text
from devserver.callbacks.qsh import canonical, qsh

LEEWAY = 30.0
"""Seconds that clocks may differ."""
SAME = 2.0
"""Seconds within which a token may come twice: it has no nonce and counts whole seconds, so two
installations within one second are signed with the very same."""
ALGORITHMS = ("RS256", "HS256")


@dataclass(frozen=True, slots=True)
class Token:
    """A JWT and what it claims; nothing of it is proved."""

    raw: str
    algorithm: str
    key_id: str
    issuer: str


def claimed(call: Call) -> Token | str | None:
    """The token of *call*, or what is wrong with its form; None where there is none."""
    import jwt

    scheme, _, raw = call.header("Authorization").partition(" ")
    if scheme.upper() != "JWT":
        raw = dict(parse_qsl(urlsplit(call.url).query)).get("jwt", "")
    if not raw.strip():
        return None
    try:
        header = jwt.get_unverified_header(raw.strip())
        claims = jwt.decode(raw.strip(), options={"verify_signature": False})
    except jwt.PyJWTError as error:
        return f"its token is no JWT: {error}"
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer or not is_text(issuer):
        return "its token does not say who issued it (iss)"
    key_id = header.get("kid")
    return Token(
        raw.strip(),
        ascii(header.get("alg")).strip("'"),
        key_id if isinstance(key_id, str) else "",
        issuer,
    )


class BadSignature(Exception):
    """None of the keys made this signature."""


def verified(token: Token, keys: Iterable[str], issuer: str) -> dict[str, Any] | str:
    """The claims of a token that one of *keys* signed, or what is wrong with them.

    *keys* are what the configured target has for `token.algorithm`: its public key for RS256, what
    it shared with us for HS256, so no token can have one taken for the other.

    Raises:
        BadSignature: none of *keys* fits.
    """
    import jwt

    if token.algorithm not in ALGORITHMS:
        return f"its token is signed with {token.algorithm}, where hosts use RS256 or HS256"
    for key in keys:
        try:
            with warnings.catch_warnings():
                # How long its secret is, the host has chosen.
                warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
                claims: dict[str, Any] = jwt.decode(
                    token.raw,
                    key,
                    algorithms=[token.algorithm],
                    issuer=issuer,
                    leeway=LEEWAY,
                    options={"require": ["exp", "iss"], "verify_aud": False},
                )
        except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
            continue
        except jwt.ExpiredSignatureError:
            return "its token has expired; compare the clocks of both machines"
        except jwt.PyJWTError as error:
            return f"its token does not hold: {error}"
        return claims
    raise BadSignature


def mismatch(claims: dict[str, Any], call: Call, base_url: str, algorithm: str) -> str | None:
    """What proved claims say of another request or another app than this one."""
    audience = claims.get("aud")
    if algorithm == "RS256" or audience:
        first = audience[0] if isinstance(audience, list) and audience else audience or None
        if not isinstance(first, str) or first.rstrip("/") != base_url.rstrip("/"):
            return f"its token is meant for {first} (aud), and this is {base_url}"
    expected = qsh(call.method, call.url, base_url)
    if claims.get("qsh") != expected:
        said = "has none" if "qsh" not in claims else "has another"
        request = canonical(call.method, call.url, base_url)
        return f"its token {said} hash of the request (qsh); ours is of {request}"
    return None


def unlikely(token: Token, call: Call, base_url: str) -> str | None:
    """What is wrong with *token* whoever signed it: its time is over, or the request another."""
    claims = unproved(token)
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or expires < time.time() - LEEWAY:
        return "its token has expired, or does not say when it does (exp)"
    return mismatch(claims, call, base_url, token.algorithm)


def unproved(token: Token) -> dict[str, Any]:
    """What *token* claims, for an explanation only."""
    import jwt

    claims: dict[str, Any] = jwt.decode(token.raw, options={"verify_signature": False})
    return claims


def hashed(call: Call, base_url: str) -> str:
    return qsh(call.method, call.url, base_url)
