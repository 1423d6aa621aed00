"""Who called: the target whose own key signed this request, or nobody that we know.

Keys, issuers and algorithms come from the configured targets (`consumer-info`, `/keys/{kid}`, the
secret that an earlier proved call shared), never from the call itself.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from devserver.callbacks import connect, explain, oauth
from devserver.callbacks.call import Call, Explanation, Finding
from devserver.callbacks.record import Record
from devserver.errors import TargetError
from devserver.model import CallbackSpec, Verdict

REFETCH = 1.0
"""Seconds between two questions for one target's key: a host that restarted may have a new one, and
a flood of forged calls must not become a flood of ours."""
DOWN = "NET-CONNECTION-REFUSED"
"""The code of a target at which nothing listens (docs/refusals.md)."""
ASK = 5.0
"""Seconds a target may take to tell its key."""
STRANGE_KEYS = 10
STRANGE_SECONDS = 10.0
"""For how many keys that it does not have a target is asked within how many seconds."""
KEY_LIMIT = 200
REASON_LIMIT = 1000
"""Characters of what strangers say that are repeated; keys of apps have some 30."""
NONCE_SECONDS = 24 * 3600.0
"""How long a nonce is remembered: longer than any host lets a token live."""


class Identity(Protocol):
    """A target's consumer key and public key."""

    @property
    def key(self) -> str: ...
    @property
    def public_key_pem(self) -> str: ...


class Host(Protocol):
    """What we ask a target: `upm.client.Upm` is one. `url` is how it was configured."""

    @property
    def url(self) -> str: ...
    async def identity(self, *, limit: float | None = None) -> Identity: ...
    async def install_key(self, key_id: str, *, limit: float | None = None) -> str | None: ...


@dataclass(slots=True)
class _Known:
    """What a target has told us about itself, and when it was last asked (monotonic)."""

    host: Host
    identity: Identity | None = None
    keys: dict[str, str] = field(default_factory=dict)
    strange: deque[float] = field(default_factory=lambda: deque(maxlen=STRANGE_KEYS))
    """When it was asked for a key that it did not have (monotonic)."""
    asked: float = float("-inf")
    is_down: bool = False
    """Nothing listened there when it was asked last: then it calls nobody either."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


_Candidate = tuple[str, Identity]
_Found = tuple[str | None, Verdict, str | None]
"""Target, verdict, reason."""


class Verifier:
    """Says of each callback which target it comes from, if from any.

    `hosts` maps the names of targets to what can be asked of them; `record` holds what was learnt
    before; `keys` gives the keys of the apps that we serve, None: any may be one.
    """

    def __init__(
        self,
        hosts: Mapping[str, Host],
        record: Record | None = None,
        *,
        keys: Callable[[], Collection[str]] | None = None,
    ) -> None:
        self._known = {name: _Known(host) for name, host in hosts.items()}
        self._record = record or Record()
        self._keys = keys

    async def prepare(self) -> None:
        """Load the cryptography and ask for the keys ahead of the first callback."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(asyncio.to_thread(_load))
            for known in self._known.values():
                tasks.create_task(self._ask(known))

    async def verify(self, call: Call, spec: CallbackSpec, *, base_url: str) -> Finding:
        """What is to be held of *call*, which came in for *spec* of the app at *base_url*.

        A call counts once: the same one again is a replay. Never raises for what the caller sent.
        """
        event = spec.event
        await asyncio.to_thread(_load)
        if call.header("Authorization").lower().startswith("oauth"):
            target, verdict, reason = await self._oauth(call)
        else:
            target, verdict, reason = await self._jwt(call, spec, base_url)
        key = call.said("key")
        if verdict is Verdict.GENUINE and target is not None:
            secret = call.said("sharedSecret")
            if key and secret:
                self._record.learn(target, key, secret)
            if key and (client := call.said("clientKey")):
                self._record.meet(target, key, client, call.said("baseUrl") or "", event)
        explanation = None
        if verdict is Verdict.FORGED:
            explanation = await self._explained(call, base_url)
            if target is not None and explanation and explanation.difference is not None:
                reason = f"it was changed on its way: {explanation.cause}"
        return Finding(
            verdict=verdict,
            event=event,
            reason=reason and reason[:REASON_LIMIT],
            target=target,
            key=key and key[:KEY_LIMIT],
            explanation=explanation,
        )

    async def _explained(self, call: Call, base_url: str) -> Explanation | None:
        """What was signed in place of *call*, as far as the keys that we have can tell."""
        keys = [known.identity for known in self._known.values() if known.identity is not None]
        return await asyncio.to_thread(
            explain.explain,
            call,
            base_url,
            {each.key: each.public_key_pem for each in keys},
        )

    def _fresh(self, *nonce: str, grace: float = 0.0) -> bool:
        """Whether *nonce* was not used before; it is from now on (RFC 5849 §3.3)."""
        return self._record.use("\0".join(nonce), time.time(), NONCE_SECONDS, grace=grace)

    async def _oauth(self, call: Call) -> _Found:
        signed = oauth.claimed(call)
        if isinstance(signed, str):
            return _forged(signed)
        if (wrong := oauth.untimely(signed, time.time())) is not None:
            return _forged(wrong)
        try:
            ours = oauth.digest_of(call)
        except ValueError:
            return _forged("its address cannot be signed: it is none, or not encoded as one")
        tried, signer = False, None
        async for name, identity in self._candidates(signed.consumer_key, call):
            tried = True
            digest = oauth.digest_signed(signed, identity.public_key_pem)
            signer = name if digest is not None else signer
            if digest == ours:
                if not self._fresh(signed.consumer_key, signed.timestamp, signed.nonce):
                    return _forged("its nonce was used before: it is a copy of an earlier call")
                return _who(name, signed.consumer_key, call)
        if signer is not None:
            return _forged(f"{signed.consumer_key} signed another request than this", signer)
        if tried:
            return _forged(f"the key of {signed.consumer_key} did not sign it")
        return self._nobody(signed.consumer_key)

    async def _jwt(self, call: Call, spec: CallbackSpec, base_url: str) -> _Found:
        token = connect.claimed(call)
        if token is None:
            return self._unsigned(call, spec)
        if isinstance(token, str):
            return _forged(token)
        tried = False
        lacks_secret = False
        async for name, identity in self._candidates(token.issuer, call):
            tried = True
            # Of hosts that sign alike, one is enough, wherever in the row it stands.
            lacks_secret |= token.algorithm == "HS256" and not self._shared(name, call)
            try:
                claims = await self._claims(token, name, identity, call)
            except connect.BadSignature:
                continue
            if isinstance(claims, str):
                return _forged(claims)
            if (wrong := connect.mismatch(claims, call, base_url, token.algorithm)) is not None:
                return _forged(wrong, name)
            # What was signed: a signature itself can be spelt in several ways.
            if not self._fresh(token.raw.rpartition(".")[0], grace=connect.SAME):
                return _forged("its token was used before: it is a copy of an earlier call")
            return _who(name, token.issuer, call)
        if lacks_secret and not spec.signed and self._may_be_ours(call):
            if (wrong := connect.unlikely(token, call, base_url)) is not None:
                return _forged(wrong)
            return (
                None,
                Verdict.UNVERIFIABLE,
                "its secret came with a first installed call that was not signed, or that upm-dev"
                " did not see: it proves nothing",
            )
        if tried:
            return _forged(f"{token.issuer} did not sign its token")
        return self._nobody(token.issuer)

    async def _claims(
        self, token: connect.Token, name: str, identity: Identity, call: Call
    ) -> dict[str, object] | str:
        if token.algorithm == "HS256":
            return connect.verified(token, self._shared(name, call), token.issuer)
        try:
            return connect.verified(token, [identity.public_key_pem], token.issuer)
        except connect.BadSignature:
            key = await self._install_key(self._known[name], token.key_id)
            return connect.verified(token, [key] if key else [], token.issuer)

    def _shared(self, target: str, call: Call) -> tuple[str, ...]:
        """What *target* shared for the app that the body names, or else for those that we serve."""
        key = call.said("key") or ""
        ours = self._keys() if self._keys is not None else ()
        keys = [key] if key in ours else [key, *sorted(ours)]
        return tuple(secret for each in keys for secret in self._record.secrets(target, each))

    def _may_be_ours(self, call: Call) -> bool:
        """Whether the body names an app that we serve, or none."""
        key = call.said("key")
        return key is None or self._keys is None or key in self._keys()

    def _unsigned(self, call: Call, spec: CallbackSpec) -> _Found:
        known = any(self._shared(name, call) for name in self._known)
        first = spec.event == "installed" and not spec.signed and not known
        if not first or not self._may_be_ours(call):
            return _forged("it is not signed")
        return (
            None,
            Verdict.UNVERIFIABLE,
            "hosts without signed install do not sign the first installed call: it proves nothing",
        )

    def _nobody(self, claimed: str) -> _Found:
        unknown = {name: known for name, known in self._known.items() if known.identity is None}
        silent = sorted(name for name, known in unknown.items() if not known.is_down)
        if silent:
            names = ", ".join(silent)
            return None, Verdict.UNVERIFIABLE, f"{names} did not tell the key that it signs with"
        ours = ", ".join(
            f"{name} is {known.identity.key}"
            for name, known in self._known.items()
            if known.identity is not None
        )
        down = "".join(f"; nothing listens at {name}" for name in unknown)
        return _forged(f"it is signed as {claimed}, which is no target of ours ({ours}{down})")

    async def _candidates(self, claimed: str, call: Call) -> AsyncIterator[_Candidate]:
        """The targets called *claimed*: as we know them, then as they say when asked anew.

        Hosts that were copied sign alike; of those the one at the address that the body names comes
        first.
        """
        url = (call.said("baseUrl") or "").rstrip("/")
        before = self._named(claimed)
        for candidate in sorted(before, key=lambda each: self._known[each[0]].host.url != url):
            yield candidate
        for candidate in await self._renewed(claimed):
            if candidate not in before:
                yield candidate

    def _named(self, claimed: str) -> list[_Candidate]:
        return [
            (name, known.identity)
            for name, known in self._known.items()
            if known.identity is not None and known.identity.key == claimed
        ]

    async def _renewed(self, claimed: str) -> list[_Candidate]:
        """Ask the targets who they are, until one says *claimed*; the others are not waited for.

        Where some said so before, only they are asked: they may have a new key.
        """
        before = self._named(claimed)
        names = [name for name, _ in before] or list(self._known)
        asking = {asyncio.create_task(self._ask(self._known[name])) for name in names}
        try:
            while asking and self._named(claimed) in ([], before):
                _, asking = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in asking:
                task.cancel()
            if asking:
                await asyncio.wait(asking)
        return self._named(claimed)

    async def _ask(self, known: _Known) -> None:
        async with known.lock:
            # One that was down may be up: to find out costs it nothing.
            if time.monotonic() - known.asked < REFETCH and not known.is_down:
                return
            try:
                known.identity = await known.host.identity(limit=ASK)
                known.is_down = False
            except TargetError as error:  # it stays unknown: the finding says so
                known.is_down = error.code == DOWN
            known.asked = time.monotonic()

    async def _install_key(self, known: _Known, key_id: str) -> str | None:
        """The key that the target itself has under *key_id*; one question to it at a time."""
        async with known.lock:
            if not key_id or key_id in known.keys:
                return known.keys.get(key_id)
            strange, now = known.strange, time.monotonic()
            if len(strange) == STRANGE_KEYS and now - strange[0] < STRANGE_SECONDS:
                return None
            found = None
            with suppress(TargetError):
                found = await known.host.install_key(key_id, limit=ASK)
            if found is None:
                strange.append(now)
            else:
                known.keys = {**dict(list(known.keys.items())[-9:]), key_id: found}
            return found


def _forged(reason: str, signer: str | None = None) -> _Found:
    """No call for us; *signer* is the target whose key signed something else than what came."""
    return signer, Verdict.FORGED, reason


def _who(target: str, issuer: str, call: Call) -> _Found:
    """Genuine, unless the body speaks for another host than the one that signed."""
    client = call.said("clientKey")
    if client is not None and client != issuer:
        return _forged(f"it is signed as {issuer}, and its body says {client}")
    return target, Verdict.GENUINE, None


def _load() -> None:
    """Import what takes a tenth of a second; in a thread, once."""
    import oauthlib.oauth1.rfc5849.signature  # noqa: F401
