"""How a host signs what it sends: JWT with qsh, OAuth 1.0a RSA-SHA1 (upm-protocol.md §7).

Written from the protocol and sharing nothing with `devserver.callbacks`, so that the two can
disagree and a test can notice. Pure, but for cryptography's own work.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

JWT_LIFETIME = 180


def canonical_request(method: str, url: str, base_url: str) -> str:
    """`METHOD&path&query` of *url*, its path relative to *base_url* (§7.3)."""
    parts, base = urlsplit(url), urlsplit(base_url)
    path = parts.path
    prefix = base.path.rstrip("/")
    if prefix and (path == prefix or path.startswith(prefix + "/")):
        path = path[len(prefix) :]
    path = "/" + path.strip("/")
    path = quote(unquote(path), safe="/~!$'()*+,;=:@&").replace("&", "%26")
    by_name: dict[str, list[str]] = {}
    for name, value in parse_qsl(parts.query.replace("+", "%20"), keep_blank_values=True):
        if name != "jwt":
            by_name.setdefault(quote(name, safe="~"), []).append(quote(value, safe="~"))
    query = "&".join(f"{name}={','.join(sorted(by_name[name]))}" for name in sorted(by_name))
    return f"{method.upper()}&{path}&{query}"


def qsh(method: str, url: str, base_url: str) -> str:
    return hashlib.sha256(canonical_request(method, url, base_url).encode()).hexdigest()


def jwt_hs256(claims: Mapping[str, Any], secret: str) -> str:
    signed = _unsigned({"alg": "HS256", "typ": "JWT"}, claims)
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{_base64url(mac)}"


def jwt_rs256(claims: Mapping[str, Any], key: "RSAPrivateKey", kid: str) -> str:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    signed = _unsigned({"alg": "RS256", "typ": "JWT", "kid": kid}, claims)
    return f"{signed}.{_base64url(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


def jwt_unsigned(claims: Mapping[str, Any]) -> str:
    """`alg` none: what no app may accept."""
    return _unsigned({"alg": "none", "typ": "JWT"}, claims) + "."


def oauth_parameters(consumer_key: str, *, nonce: str, timestamp: int) -> dict[str, str]:
    return {
        "oauth_consumer_key": consumer_key,
        "oauth_nonce": nonce,
        "oauth_signature_method": "RSA-SHA1",
        "oauth_timestamp": str(timestamp),
        "oauth_version": "1.0",
    }


def oauth_base_string(method: str, url: str, parameters: Mapping[str, str]) -> str:
    """RFC 5849 §3.4.1; the body is not covered."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    if parts.port and (parts.scheme, parts.port) not in (("http", 80), ("https", 443)):
        host += f":{parts.port}"
    pairs: Iterable[tuple[str, str]] = (
        *parse_qsl(parts.query, keep_blank_values=True),
        *parameters.items(),
    )
    encoded = sorted((_encode(name), _encode(value)) for name, value in pairs)
    joined = "&".join(f"{name}={value}" for name, value in encoded)
    address = f"{parts.scheme.lower()}://{host}{parts.path or '/'}"
    return f"{method.upper()}&{_encode(address)}&{_encode(joined)}"


def oauth_signature(
    method: str, url: str, parameters: Mapping[str, str], key: "RSAPrivateKey"
) -> str:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1

    base = oauth_base_string(method, url, parameters)
    # The protocol's own choice: OAuth 1.0a with RSA knows SHA-1 alone.
    return base64.b64encode(key.sign(base.encode(), PKCS1v15(), SHA1())).decode()


def oauth_header(method: str, url: str, parameters: Mapping[str, str], signature: str) -> str:
    listed = {**parameters, "oauth_signature": signature}
    return "OAuth " + ", ".join(f'{name}="{_encode(value)}"' for name, value in listed.items())


def _unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return ".".join(
        _base64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)
    )


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _encode(text: str) -> str:
    return quote(text, safe="~")
