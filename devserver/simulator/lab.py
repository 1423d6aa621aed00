"""The callback lab: send an app a genuine callback, or one of those it must not accept.

The lab is a host of its own: it serves `consumer-info`, `/keys/{kid}` and a key, so that an app
that trusts on first use can learn who it is. Each forgery differs from the genuine call in one
thing alone; an app that answers one of them with 2xx has let it in (upm-protocol.md §7).
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from devserver.simulator import hooks, signing
from devserver.simulator.app import App, Kind
from devserver.simulator.hooks import Call, Callback
from devserver.simulator.host import SimulatedHost

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

STALE = 3600
"""Seconds by which a stale call is late: far beyond any skew that clocks have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One call of the lab and what the app made of it."""

    name: str
    says: str
    genuine: bool
    answer: Callback

    @property
    def let_in(self) -> bool:
        return self.answer.status is not None and 200 <= self.answer.status < 300

    @property
    def as_it_should(self) -> bool:
        return self.let_in == self.genuine and self.answer.status is not None


class Lab:
    """*app* says where the calls go; *rs256* whether an install is signed with the host's key.

    `secret` is what the app is told, or knows already; one of this run's own where it is left out.
    """

    def __init__(self, host: SimulatedHost, app: App, *, rs256: bool, secret: str = "") -> None:
        self._host = host
        self._app = app
        self._rs256 = rs256
        self.secret = secret or f"{host.random.getrandbits(320):080x}"
        self._number = 0

    @property
    def _oauth(self) -> bool:
        return self._app.kind is not Kind.CONNECT_JSON

    async def genuine(self, event: str, path: str, body: bytes | None = None) -> Sent:
        call = await self._compose(event, path)
        return await self._send("genuine", "as a host sends it", True, replace_body(call, body))

    async def forge(self, name: str, event: str, path: str) -> Sent:
        """Send one of the negative set. KeyError where there is none of that name."""
        says, make = self.forgeries[name]
        return await self._send(name, says, False, await make(event, path))

    async def all(self, event: str, path: str) -> list[Sent]:
        """A genuine call, so that the app knows us, then every forgery."""
        sent = [await self.genuine(event, path)]
        for name in self.forgeries:
            sent.append(await self.forge(name, event, path))
        return sent

    @property
    def forgeries(self) -> Mapping[str, tuple[str, Callable[[str, str], Awaitable[Call]]]]:
        """Name -> what it says of itself, and how it is made."""
        if self._oauth:
            return {
                "unsigned": ("no signature at all", self._unsigned),
                "bad-signature": ("signed by another key", self._oauth_bad_signature),
                "wrong-consumer": ("another consumer's key", self._oauth_wrong_consumer),
                "stale": ("an hour old", self._oauth_stale),
                "replayed": ("the nonce of a call before", self._oauth_replayed),
                "foreign-client": ("another host's clientKey in the body", self._foreign_client),
                "other-base-url": ("signed for another address", self._oauth_other_base),
            }
        found = {
            "unsigned": ("no JWT at all", self._unsigned),
            "bad-signature": ("signed by another key", self._jwt_bad_signature),
            "wrong-issuer": ("another host's iss", self._jwt_wrong_issuer),
            "wrong-qsh": ("the hash of another request", self._jwt_wrong_qsh),
            "expired": ("expired an hour ago", self._jwt_expired),
            "alg-none": ("an algorithm of none", self._jwt_none),
            "foreign-client": ("another host's clientKey in the body", self._foreign_client),
            "other-base-url": ("made for another app's baseUrl", self._jwt_other_base),
        }
        if self._rs256:
            found["hs256"] = ("HS256 where RS256 is due", self._jwt_hs256)
        return found

    async def _send(self, name: str, says: str, genuine: bool, call: Call) -> Sent:
        answer = await self._host.send(call)
        return Sent(name=name, says=says, genuine=genuine, answer=answer)

    def _nonce(self) -> str:
        return f"{self._host.random.getrandbits(64):d}"

    async def _compose(self, event: str, path: str) -> Call:
        if self._oauth:
            return await hooks.compose_webhook(
                self._host.me,
                self._app,
                event,
                path,
                nonce=self._nonce(),
                timestamp=int(self._host.now()),
            )
        rs256 = self._rs256 and event in ("installed", "uninstalled")
        return await hooks.compose_lifecycle(
            self._host.me,
            self._app,
            event,
            path,
            now=self._host.now(),
            user="admin",
            secret=self.secret,
            sign_with=self.secret,
            rs256=rs256,
        )

    # OAuth 1.0a

    async def _oauth_signed(self, event: str, path: str, **changes: Any) -> Call:
        call = await self._compose(event, path)
        identity = self._host.identity
        parameters = signing.oauth_parameters(
            changes.get("consumer", identity.client_key),
            nonce=changes.get("nonce") or self._nonce(),
            timestamp=int(self._host.now()) - changes.get("late", 0),
        )
        url = changes.get("signed_url", call.url)
        key = changes.get("key") or await identity.key()
        signature = signing.oauth_signature("POST", url, parameters, key)
        header = signing.oauth_header("POST", url, parameters, signature)
        return replace(call, headers={**call.headers, "Authorization": header})

    async def _oauth_bad_signature(self, event: str, path: str) -> Call:
        return await self._oauth_signed(event, path, key=await _other_key())

    async def _oauth_wrong_consumer(self, event: str, path: str) -> Call:
        return await self._oauth_signed(
            event, path, consumer="Other:000000000000", key=await _other_key()
        )

    async def _oauth_stale(self, event: str, path: str) -> Call:
        return await self._oauth_signed(event, path, late=STALE)

    async def _oauth_replayed(self, event: str, path: str) -> Call:
        """The very same call a second time; the first is sent here."""
        call = await self._oauth_signed(event, path)
        await self._host.send(call)
        return call

    async def _oauth_other_base(self, event: str, path: str) -> Call:
        other = hooks.app_url(replace(self._app, base_url="http://other.example"), path)
        return await self._oauth_signed(event, path, signed_url=other)

    # JWT

    async def _jwt(self, event: str, path: str, **changes: Any) -> Call:
        """The genuine call with some claims changed, signed as it has to be unless *token* says."""
        call = await self._compose(event, path)
        identity, now = self._host.identity, int(self._host.now())
        claims = {
            "iss": identity.client_key,
            "iat": now,
            "exp": now + signing.JWT_LIFETIME,
            "qsh": signing.qsh("POST", call.url, self._app.base_url or ""),
            **changes.get("claims", {}),
        }
        if self._rs256 and event in ("installed", "uninstalled"):
            claims.setdefault("aud", [self._app.base_url])
            key = changes.get("key") or await identity.key()
            token = signing.jwt_rs256(claims, key, identity.kid)
        else:
            token = signing.jwt_hs256(claims, changes.get("secret", self.secret))
        if (sign := changes.get("sign")) is not None:
            token = sign(claims)
        return replace(call, headers={**call.headers, "Authorization": f"JWT {token}"})

    async def _jwt_bad_signature(self, event: str, path: str) -> Call:
        return await self._jwt(event, path, key=await _other_key(), secret="not the secret")

    async def _jwt_wrong_issuer(self, event: str, path: str) -> Call:
        return await self._jwt(event, path, claims={"iss": "Other:000000000000"})

    async def _jwt_wrong_qsh(self, event: str, path: str) -> Call:
        return await self._jwt(event, path, claims={"qsh": "0" * 64})

    async def _jwt_expired(self, event: str, path: str) -> Call:
        then = int(self._host.now()) - STALE
        return await self._jwt(
            event, path, claims={"iat": then, "exp": then + signing.JWT_LIFETIME}
        )

    async def _jwt_none(self, event: str, path: str) -> Call:
        return await self._jwt(event, path, sign=signing.jwt_unsigned)

    async def _jwt_hs256(self, event: str, path: str) -> Call:
        """With the public key as the secret: the classic confusion of the two algorithms."""
        public = await self._host.identity.public_pem()
        return await self._jwt(event, path, sign=lambda claims: signing.jwt_hs256(claims, public))

    async def _jwt_other_base(self, event: str, path: str) -> Call:
        """Of another app on another address: `aud` there, and the path below it."""
        other = "http://other.example/app"
        claims = {
            "aud": [other],
            "qsh": signing.qsh("POST", f"{other}/elsewhere{path}", other),
        }
        return await self._jwt(event, path, claims=claims)

    # Either

    async def _unsigned(self, event: str, path: str) -> Call:
        call = await self._compose(event, path)
        headers = {name: value for name, value in call.headers.items() if name != "Authorization"}
        return replace(call, headers=headers)

    async def _foreign_client(self, event: str, path: str) -> Call:
        """Who signs is not who the body says it is."""
        call = await self._compose(event, path)
        body = {**json.loads(call.body), "clientKey": "Other:000000000000"}
        return replace(call, body=json.dumps(body).encode())


def replace_body(call: Call, body: bytes | None) -> Call:
    return call if body is None else replace(call, body=body)


async def _other_key() -> "RSAPrivateKey":
    import asyncio

    from cryptography.hazmat.primitives.asymmetric import rsa

    return await asyncio.to_thread(rsa.generate_private_key, 65537, 2048)
