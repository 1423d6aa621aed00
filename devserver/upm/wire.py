"""One request to one target: limits, cookies, proxy, and aiohttp's failures turned into ours, once.

Nothing above this module mentions an exception of aiohttp. Credentials go to the target's own
origin and nowhere else; redirects are never followed; every read is bounded in time and size.
"""

import asyncio
import base64
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from devserver import __version__, redact
from devserver.addresses import is_cloud
from devserver.errors import TargetError, TargetUnavailable, UsageError
from devserver.model import Target
from devserver.traffic import Exchange, Message, Tell, Way, message
from devserver.upm import answers, causes, failures, proxies
from devserver.upm.causes import Call, Refusal, Trouble
from devserver.upm.restraint import Restraint

if TYPE_CHECKING:
    from devserver.credentials import Credentials

USER_AGENT = f"upm-dev/{__version__}"
"""Never looks like a browser: those are asked for an Origin (upm-protocol.md §5.5)."""
BODY_LIMIT = 16_000_000
"""Bytes of an answer: the list of a large Jira is about one megabyte."""
REQUEST_LIMIT = 30.0
CONNECT_LIMIT = 10.0
KNOCK_LIMIT = 5.0
POOL = 100
"""Connections of one process, to all targets together."""


class AnswerLost(TargetUnavailable):
    """The request went out and no whole answer came: it may have been carried out."""


@dataclass(frozen=True)
class Answer:
    """What a target answered, read to its end or, where `cut`, as far as it came."""

    call: Call
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    cut: bool = False
    authorization: str = field(default="", repr=False)
    """What was sent as `Authorization`; empty: nothing."""

    @cached_property
    def document(self) -> dict[str, Any] | None:
        """The body as a JSON object, where it is one."""
        return answers.document(self.body)

    @property
    def is_html(self) -> bool:
        kind = self.headers.get("Content-Type", "").lower()
        return kind.startswith(("text/html", "application/xhtml")) and self.document is None


@asynccontextmanager
async def connections() -> AsyncIterator[aiohttp.ClientSession]:
    """One pool of connections for all targets, while the block runs.

    Cookies are kept per target, not here: cookies know no port, and two products on localhost would
    take each other's session away. Nor is `trust_env` used: aiohttp would look into netrc on every
    request, and refuse ours where it finds an entry. Whom to trust is each target's own (`Wire`).
    """
    connector = aiohttp.TCPConnector(limit=POOL, keepalive_timeout=120.0)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": USER_AGENT, "X-Atlassian-Token": "no-check"},
        auto_decompress=True,
    ) as session:
        yield session


class Wire:
    """Sends requests below one target's base URL."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        credentials: "Credentials",
        *,
        limit: float = REQUEST_LIMIT,
        environ: Mapping[str, str] | None = None,
        restraint: Restraint | None = None,
    ) -> None:
        self.target = target
        self.base = URL(target.url)
        self.credentials = credentials
        self._session = session
        self._cookies = aiohttp.CookieJar(unsafe=True)
        self.limit = limit
        self.is_cloud = is_cloud(target.url)
        """Nothing is ever sent there: it has refused private installs since March 2026 (§6.3)."""
        self.restraint = restraint or Restraint()
        """Shared by all that speak to the same origin."""
        # What the system trusts, read once and only where it is needed: that takes 20 ms.
        https = self.base.scheme == "https"
        self._trusted: dict[str, Any] = {"ssl": _trust(target)} if https else {}
        self._proxy = proxies.arguments(self.base, os.environ if environ is None else environ)
        self.tell: Tell = lambda _: None
        """Hears of each exchange."""
        self.barred: TargetError | None = None
        """Why nothing at all may be sent, yet: the user was not asked, or said no."""

    async def connect(self) -> None:
        """Open a connection to the target's port, TCP alone, and close it. Raises TargetError."""
        await self._knock(None)

    async def shake_hands(self) -> None:
        """Open a TLS connection to the target's port, and close it. Raises TargetError."""
        await self._knock(self._trusted.get("ssl") or _trust(self.target))

    async def _knock(self, tls: ssl.SSLContext | None) -> None:
        self._bar(Call.STATUS)
        host, port = self.base.host or "", self.base.port or 80
        try:
            async with asyncio.timeout(KNOCK_LIMIT):
                _, writer = await asyncio.open_connection(host, port, ssl=tls)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is the first
            trouble = failures.of_connecting(error, tls=tls is not None)
            refusal = Refusal(call=Call.STATUS, trouble=trouble, text=failures.words(error))
            raise self.explained(refusal) from error
        writer.transport.abort()

    def _bar(self, call: Call) -> None:
        if self.is_cloud:
            raise self.explained(Refusal(call=call, trouble=Trouble.CLOUD))
        if self.barred is not None:
            raise self.barred.with_traceback(None)

    @property
    def proxy(self) -> URL | None:
        """The proxy that requests go through, without its credentials."""
        return self._proxy.get("proxy")

    async def ask(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | aiohttp.FormData | None = None,
        anonymous: bool = False,
        at_root: bool = False,
        limit: float | None = None,
    ) -> Answer:
        """Send one request and read its answer.

        *path* begins with a slash and is appended to the base URL (*at_root*: to its origin alone).
        *limit* is in seconds. Raises TargetRefused for Cloud, what `barred` says,
        CredentialsRejected where they have been, TargetUnavailable where no answer came or the
        target has asked to be left alone for a while, AnswerLost where the request may have arrived
        nevertheless.
        """
        self._bar(call)
        if self.proxy is not None and self.proxy.scheme not in ("http", "https"):
            raise self.explained(Refusal(call=call, trouble=Trouble.PROXY_KIND))
        self.restraint.keep_peace()
        base = self.base.origin() if at_root else self.base
        url = URL(str(base).rstrip("/") + path, encoded=True)
        if query:
            url = url.update_query(query)
        sent = CIMultiDict({"User-Agent": USER_AGENT, "X-Atlassian-Token": "no-check"})
        sent.update(headers or {})
        who = "" if anonymous else self.credentials.header()
        if who:
            sent["Authorization"] = who
        cookies = self._cookies.filter_cookies(url)
        if cookies and not anonymous:
            sent["Cookie"] = "; ".join(
                f"{name}={each.coded_value}" for name, each in cookies.items()
            )
        if url.scheme == "http":  # with https, aiohttp tells them to the proxy alone
            sent.update(self._proxy.get("proxy_headers", {}))
        timeout = aiohttp.ClientTimeout(
            total=self.limit if limit is None else limit, sock_connect=CONNECT_LIMIT
        )
        async with self.restraint.trying(who):
            with self._translated(call), self._told(method, url, sent, data) as told:
                async with self._session.request(
                    method,
                    url,
                    headers=sent,
                    data=data,
                    timeout=timeout,
                    allow_redirects=False,
                    **self._trusted,
                    **self._proxy,
                ) as response:
                    if response.cookies and not anonymous:
                        self._cookies.update_cookies(response.cookies, url)
                    body, cut = await _bounded(response)
                    told(response.status, response.headers, body)
            if response.status in (200, 202, 204, 303):
                self.restraint.prove(who)
        return Answer(call, response.status, response.headers, body, cut, who)

    @contextmanager
    def _told(
        self, method: str, url: URL, sent: Mapping[str, str], data: object
    ) -> Iterator[Callable[[int, Mapping[str, str], bytes], None]]:
        """Tell what is asked in the block, and what came of it."""
        started = time.perf_counter()
        status, answered, error = 0, Message(), ""

        def came(code: int, headers: Mapping[str, str], body: bytes) -> None:
            nonlocal status, answered
            status, answered = code, message(headers.items(), body)

        try:
            yield came
        except BaseException as failure:
            error = f"{type(failure).__name__}: {failure}".removesuffix(": ")
            raise
        finally:
            self.tell(
                Exchange(
                    way=Way.TO_TARGET,
                    method=method,
                    url=str(url),
                    request=message(sent.items(), data if isinstance(data, bytes) else b""),
                    status=status,
                    response=answered,
                    ms=(time.perf_counter() - started) * 1000,
                    who=self.target.name,
                    error=error,
                )
            )

    def refused(self, answer: Answer, **facts: str) -> TargetError:
        """The error that says why *answer* is not what was asked for."""
        error = self._refused(answer, facts)
        self.restraint.learn(answer.authorization, error)
        return error

    def _refused(self, answer: Answer, facts: Mapping[str, str]) -> TargetError:
        """Half a body is not judged by: it may have been about a stale token, say."""
        if answer.cut and answer.status != 401:
            told = self.explained(Refusal(call=answer.call, trouble=Trouble.CUT), **facts)
            return AnswerLost(told.reason, remedy=told.remedy, code=told.code)
        said = answer.document or {}
        status = said.get("status")
        inner = status if isinstance(status, dict) else {}
        refusal = Refusal(
            call=answer.call,
            status=answer.status,
            headers={name.lower(): value for name, value in answer.headers.items()},
            sub_code=str(said.get("subCode") or inner.get("subCode") or ""),
            text=answer.body[:4000].decode("utf-8", "replace"),
            html=answer.is_html,
        )
        return self.explained(refusal, **facts)

    def explained(self, refusal: Refusal, **facts: str) -> TargetError:
        """The table's error for *refusal*; what the target repeats of our secrets is masked."""
        header = self._proxy.get("proxy_headers", {}).get("Proxy-Authorization", "")
        secrets = (*self.credentials.secrets, *_basic_secrets(header))
        return causes.error(
            refusal, {**self._facts(), **facts}, lambda text: redact.text(text, secrets)
        )

    def _facts(self) -> dict[str, str]:
        return {
            "target": self.target.name,
            "url": self.target.url,
            "user": self.credentials.who,
            "secret": self.credentials.proof,
            "host": self.base.host or "",
            "port": str(self.base.port or ""),
            "proxy": str(self.proxy or "none"),
        }

    @contextmanager
    def _translated(self, call: Call) -> Iterator[None]:
        try:
            yield
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            trouble = failures.of_request(error)
            refusal = Refusal(call=call, trouble=trouble, text=failures.words(error))
            told = self.explained(refusal)
            if trouble in (Trouble.RESET, Trouble.TIMEOUT, Trouble.CUT):
                raise AnswerLost(told.reason, remedy=told.remedy, code=told.code) from error
            raise told from error


def _trust(target: Target) -> ssl.SSLContext:
    """Trust in what the system trusts (or SSL_CERT_FILE), and in the target's own `ca_file`.

    Raises:
        UsageError: that file cannot be read, or is none.
    """
    context = ssl.create_default_context()
    if not target.ca_file:
        return context
    try:
        context.load_verify_locations(target.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"the ca-file of {target.name}, {target.ca_file}, is no certificate in PEM: {error}",
            remedy="it begins with -----BEGIN CERTIFICATE-----; openssl x509 -in FILE turns others",
        ) from error
    return context


async def _bounded(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """The body as far as it came and fits, and whether something is missing."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > BODY_LIMIT:
                response.close()
                return b"".join(parts), True
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, TimeoutError):
        # Status and headers are worth having: a 202 names its task in Location as well.
        return b"".join(parts), True
    return b"".join(parts), False


def _basic_secrets(header: str) -> tuple[str, ...]:
    """What a `Basic` header gives away: its packed form, and the password in it."""
    packed = header.partition(" ")[2]
    if not packed:
        return ()
    return packed, base64.b64decode(packed).decode("utf-8", "replace").partition(":")[2]
