"""OAuth 1.0a, RSA-SHA1: how hosts of the XML era sign their webhooks (upm-protocol.md §7.1)."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from devserver.callbacks.call import Call

WINDOW = 300.0
"""Seconds that a timestamp may be off, either way."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What an `Authorization: OAuth` header claims; nothing of it is proved."""

    consumer_key: str
    method: str
    signature: str
    timestamp: str
    nonce: str
    version: str


def claimed(call: Call) -> Signed | str:
    """The claims of *call*, or what is wrong with their form."""
    from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

    try:
        says = dict(parse_authorization_header(call.header("Authorization")))
    except ValueError:
        return "the Authorization header is no OAuth one"
    missing = [name for name in _NEEDED if not says.get(name)]
    if missing:
        return f"the Authorization header lacks {', '.join(missing)}"
    return Signed(
        consumer_key=_plain(says["oauth_consumer_key"]),
        method=says["oauth_signature_method"],
        signature=_plain(says["oauth_signature"]),
        timestamp=says["oauth_timestamp"],
        nonce=_plain(says["oauth_nonce"]),
        version=says.get("oauth_version", "1.0"),
    )


_NEEDED = (
    "oauth_consumer_key",
    "oauth_signature_method",
    "oauth_signature",
    "oauth_timestamp",
    "oauth_nonce",
)


def untimely(signed: Signed, now: float) -> str | None:
    """What is wrong with method, version or time, whoever signed it."""
    if signed.method != "RSA-SHA1":
        return f"it is signed with {signed.method}, where hosts use RSA-SHA1"
    if signed.version != "1.0":
        return f"it claims OAuth {signed.version}"
    if not signed.timestamp.isascii() or not signed.timestamp.isdigit():
        return "its timestamp is no number"
    off = float(signed.timestamp) - now
    if abs(off) > WINDOW:
        word = "ahead of" if off > 0 else "behind"
        return f"its timestamp is {abs(off):.0f} s {word} our clock; {WINDOW:.0f} s are allowed"
    return None


def base_string(call: Call) -> str:
    """What was signed: method, URL and parameters, not the body (RFC 5849 §3.4.1)."""
    from oauthlib.oauth1.rfc5849 import signature

    parameters = signature.collect_parameters(
        uri_query=urlsplit(call.url).query,
        headers={"Authorization": call.header("Authorization")},
        exclude_oauth_signature=True,
    )
    return signature.signature_base_string(
        call.method,  # type: ignore[arg-type]
        signature.base_string_uri(call.url),
        signature.normalize_parameters(parameters),  # type: ignore[arg-type]
    )


def digest_signed(signed: Signed, public_key_pem: str) -> bytes | None:
    """The SHA-1 digest of what was signed: the one thing that a signature gives away.

    None where the owner of *public_key_pem* did not make it.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(public_key_pem.encode())
        raw = base64.b64decode(signed.signature, validate=True)
        if not isinstance(key, RSAPublicKey):
            return None
        return key.recover_data_from_signature(raw, PKCS1v15(), SHA1())
    except (ValueError, binascii.Error, InvalidSignature):
        return None


def digest_of(call: Call) -> bytes:
    return hashlib.sha1(base_string(call).encode(), usedforsecurity=False).digest()


def _plain(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)
