"""What a host tells an app: XML-era webhooks and Connect's lifecycle (upm-protocol.md §7).

`compose` makes a signed request as a value; `Sender` sends it. The lab forges by changing the
first and using the second.
"""

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorSSLError,
    ClientError,
    ClientSession,
    ClientTimeout,
)
from yarl import URL

from devserver.simulator import refusal, signing
from devserver.simulator.app import App
from devserver.simulator.identity import Identity
from devserver.simulator.reach import Forbidden, Reach
from devserver.simulator.refusal import Refusal

ACCEPTED = (200, 201, 204)
TOLD_APART = (400, 401, 402, 403, 404, 500, 501, 502, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to an app, ready to be sent."""

    app: str
    event: str
    url: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A call that was made, and what became of it. `status` is None where nobody answered."""

    app: str
    event: str
    url: str
    status: int | None
    ms: float
    time: float
    error: str = ""
    body: Any = None
    """What was posted, without the shared secret; as text where it is no JSON."""
    unknown_host: bool = False
    timed_out: bool = False
    tls: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "app": self.app,
            "event": self.event,
            "url": self.url,
            "status": self.status,
            "ms": round(self.ms, 1),
            "time": self.time,
            "error": self.error,
            "body": self.body,
        }

    @property
    def accepted(self) -> bool:
        return self.status in ACCEPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The part of a host that callbacks speak of."""

    base_url: str
    product: str
    server_version: str
    description: str
    identity: Identity


def app_url(app: App, path: str) -> str:
    """Where *path* of the app is: what no request line can hold is encoded, a fragment left out."""
    path = path.partition("#")[0].lstrip("/")
    return f"{app.base_url or ''}/{quote(path, safe=_AS_IS)}"


_AS_IS = "%/:=&?~+!$,;'@()*[]"


def with_user(url: str, user: str | None) -> str:
    if user is None:
        return url
    return f"{url}{'&' if '?' in url else '?'}user_key={quote(user, safe='')}"


async def compose_webhook(
    host: Host, app: App, event: str, path: str, *, nonce: str, timestamp: int
) -> Call:
    """An XML-era webhook, signed by OAuth 1.0a RSA-SHA1 (§7.1)."""
    identity = host.identity
    body = {
        "key": app.key,
        "links": {"oauth": f"{host.base_url}/rest/atlassian-connect/latest/oauth"},
        "clientKey": identity.client_key,
        "publicKey": await identity.public_pem(),
        "serverVersion": host.server_version,
        "pluginsVersion": "0.6",
        "baseUrl": host.base_url,
        "productType": host.product,
        "description": host.description,
    }
    url = app_url(app, path)
    parameters = signing.oauth_parameters(identity.client_key, nonce=nonce, timestamp=timestamp)
    signature = signing.oauth_signature("POST", url, parameters, await identity.key())
    return Call(
        app=app.key,
        event=event,
        url=url,
        headers={
            "Content-Type": "application/json",
            "Authorization": signing.oauth_header("POST", url, parameters, signature),
        },
        body=json.dumps(body).encode(),
    )


async def connect_body(host: Host, app: App, event: str, secret: str | None) -> dict[str, Any]:
    """What Connect posts; `sharedSecret` with `installed` alone (§7.2)."""
    body: dict[str, Any] = {
        "key": app.key,
        "clientKey": host.identity.client_key,
        "publicKey": await host.identity.public_base64(),
        "serverVersion": host.server_version,
        "pluginsVersion": "1.1.90",
        "baseUrl": host.base_url,
        "productType": host.product,
        "description": host.description,
        "eventType": event,
    }
    if event == "installed" and secret is not None:
        body["sharedSecret"] = secret
    return body


async def compose_lifecycle(
    host: Host,
    app: App,
    event: str,
    path: str,
    *,
    now: float,
    user: str | None,
    secret: str | None,
    sign_with: str | None,
    rs256: bool,
) -> Call:
    """A Connect lifecycle call: RS256, or HS256 where there is *sign_with*, else unsigned."""
    url = with_user(app_url(app, path), user)
    headers = {"Content-Type": "application/json", "Atlassian-Connect-Version": "1.1.90"}
    claims: dict[str, Any] = {
        "iss": host.identity.client_key,
        "iat": int(now),
        "exp": int(now) + signing.JWT_LIFETIME,
        "qsh": signing.qsh("POST", url, app.base_url or ""),
    }
    if rs256:
        claims["aud"] = [app.base_url]
        token = signing.jwt_rs256(claims, await host.identity.key(), host.identity.kid)
        headers["Authorization"] = f"JWT {token}"
    elif sign_with is not None:
        headers["Authorization"] = f"JWT {signing.jwt_hs256(claims, sign_with)}"
    body = await connect_body(host, app, event, secret)
    return Call(app=app.key, event=event, url=url, headers=headers, body=json.dumps(body).encode())


class Sender:
    """Sends calls; never raises for what the network does."""

    def __init__(self, session: ClientSession, reach: Reach, timeout: float) -> None:
        """*timeout*: seconds for connecting and for each read; three times that for all (§7.2)."""
        self._session = session
        self._reach = reach
        self._timeout = ClientTimeout(total=3 * timeout, sock_connect=timeout, sock_read=timeout)

    async def send(self, call: Call, now: float) -> Callback:
        began = time.perf_counter()
        status: int | None = None
        failure: Exception | None = None
        try:
            url = URL(call.url, encoded=True)
            self._reach.check(url)
            async with self._session.request(
                call.method,
                url,
                headers=call.headers,
                data=call.body,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                status = response.status
                await response.content.read(1 << 16)
        except (ClientError, TimeoutError, OSError, ValueError) as error:
            failure = error
        return Callback(
            app=call.app,
            event=call.event,
            url=call.url,
            status=status,
            ms=(time.perf_counter() - began) * 1000,
            time=now,
            error="" if failure is None else str(failure) or "timed out",
            body=_shown(call.body),
            unknown_host=isinstance(failure, ClientConnectorDNSError)
            and not isinstance(failure.__cause__, Forbidden),
            timed_out=isinstance(failure, TimeoutError),
            tls=isinstance(failure, ClientConnectorSSLError | ClientConnectorCertificateError),
        )


def _shown(posted: bytes) -> Any:
    try:
        body = json.loads(posted)
    except (ValueError, RecursionError):
        return posted.decode("utf-8", "replace")
    if isinstance(body, dict) and "sharedSecret" in body:
        body["sharedSecret"] = "…"
    return body


def decision(callback: Callback) -> Refusal | None:
    """What an `installed` that was not accepted makes of the installation (§7.2)."""
    if callback.accepted:
        return None
    what = f"The app's installed callback at {callback.url}"
    if callback.timed_out:
        return refusal.connect("remote.host.timeout", f"{what} timed out.")
    if callback.tls:
        return refusal.connect("remote.host.ssl", f"{what} failed: {callback.error}")
    if callback.unknown_host:
        return refusal.connect("remote.host.bad.domain", f"{what} names an unknown host.")
    if callback.status in TOLD_APART:
        return refusal.connect(
            f"remote.host.bad.response.{callback.status}", f"{what} answered {callback.status}."
        )
    answer = callback.error if callback.status is None else f"answered {callback.status}"
    return Refusal("connect.remote.upm.install.exception", f"{what} {answer}.")
