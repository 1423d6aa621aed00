"""The app behind us: where requests that are not ours go, and whether it is there yet."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from devserver.addresses import is_this_machine
from devserver.errors import UpmDevError

CONNECT_LIMIT = 5.0
READ_LIMIT = 600.0
"""Seconds between two pieces of an answer: long polls live, and an app in a debugger may stand."""
IDLE_SECONDS = 4.0
"""Seconds that a connection waits for its next request: servers close theirs after 5 or more."""
HEADER_LIMIT = 64 * 1024
"""Bytes of one header: cookies of `localhost` are those of all its ports together."""
WAIT_LIMIT = 10.0
"""How long a request waits for an app that is starting."""
ANSWER_LIMIT = 10 * 1024 * 1024
"""Bytes of an answer that is read whole: to a callback, to a replay."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "forwarded",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""What belongs to one connection (RFC 9110 §7.6.1), and what we say in words of our own."""
FOR_THE_APP = frozenset({"authorization", "content-encoding", "content-type", "cookie", "host"})
"""What no `Connection` header takes away: they are meant for whom the request is for (ibid.)."""


_LOOK = "see what it says in its own output"


class BackendUnavailable(UpmDevError):
    """The app did not answer, or not whole; `status` is what a gateway says in its place."""

    def __init__(self, reason: str, *, remedy: str = "", status: int = 502) -> None:
        super().__init__(reason, remedy=remedy)
        self.status = status


class BackendAway(BackendUnavailable):
    """Nothing answers at its address: it does not run."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the app answered, read to its end."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Backend:
    """The app at *url*; *command* is what starts it, for messages.

    Where the app is a child of ours, whoever runs it says when it is `starting` and when it has
    `settled`; requests wait in between.
    """

    def __init__(self, url: str, *, command: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.command = command
        self._settled = asyncio.Event()
        self._settled.set()
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Connections to the app: its cookies, redirects and encodings are the browser's affair."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    keepalive_timeout=IDLE_SECONDS,
                    # A certificate made for this machine proves nothing that its own ports do not.
                    ssl=not is_this_machine(self.url),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                max_line_size=HEADER_LIMIT,
                max_field_size=HEADER_LIMIT,
                trace_configs=[_no_redirects()],
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=CONNECT_LIMIT, sock_read=READ_LIMIT
                ),
            )
        return self._session

    def starting(self) -> None:
        self._settled.clear()

    def settled(self) -> None:
        self._settled.set()

    async def awaited(self) -> None:
        """Wait while the app is starting, `WAIT_LIMIT` at most."""
        if self._settled.is_set():
            return
        try:
            async with asyncio.timeout(WAIT_LIMIT):
                await self._settled.wait()
        except TimeoutError:
            return  # the request itself will say that nobody answers

    def address(self, raw_path: str) -> URL:
        """Where *raw_path*, as it stood in a request line, is asked; it cannot leave the app."""
        if not raw_path.startswith("/"):
            raise ValueError("a path begins with a slash")
        return URL(self.url + raw_path, encoded=True)

    def unavailable(self, error: Exception) -> BackendUnavailable:
        """What to say of one of aiohttp's exceptions."""
        match error:
            case aiohttp.ClientConnectorCertificateError():
                why = f"this machine does not trust the certificate of {self.url}"
                return BackendUnavailable(why, remedy="correct [app] backend, or its certificate")
            case aiohttp.ClientConnectorSSLError():
                why = f"what answers at {self.url} speaks no TLS"
                return BackendUnavailable(why, remedy="write http:// in [app] backend")
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                why = f"nothing answers at {self.url}"
            case TimeoutError():
                why = f"the app at {self.url} took the request and did not answer in time"
                return BackendUnavailable(why, remedy=_LOOK, status=504)
            case aiohttp.ClientResponseError():
                words = " ".join(error.message.split())
                why = f"what the app at {self.url} answered is no HTTP ({words})"
                return BackendUnavailable(why, remedy=_LOOK)
            case aiohttp.ServerDisconnectedError():
                why = f"the app at {self.url} closed the connection without an answer"
                return BackendUnavailable(why, remedy=_LOOK)
            case _:
                why = f"the app at {self.url} broke off its answer ({type(error).__name__})"
                return BackendUnavailable(why, remedy=_LOOK)
        if self.command is None:
            return BackendAway(why, remedy="start the app, or set [app] command and upm-dev does")
        return BackendAway(why, remedy=f"this has to run: {self.command}")

    async def send(
        self, method: str, raw_path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> Answer:
        """Ask the app and read its whole answer.

        Raises:
            BackendUnavailable: no whole answer came.
        """
        await self.awaited()
        try:
            async with self.session.request(
                method,
                self.address(raw_path),
                headers=closing(end_to_end(headers)) if body else end_to_end(headers),
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=30.0, sock_connect=CONNECT_LIMIT),
            ) as response:
                whole = bytearray()
                async for piece in response.content.iter_any():
                    whole += piece
                    if len(whole) > ANSWER_LIMIT:
                        raise BackendUnavailable(
                            f"the app's answer is larger than {ANSWER_LIMIT // 2**20} MB"
                        )
                return Answer(response.status, tuple(response.headers.items()), bytes(whole))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise self.unavailable(error) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def _no_redirects() -> aiohttp.TraceConfig:
    """Hand back each redirect: where the app points to, only whoever asked may go.

    Requests say so themselves; `ws_connect` follows, and knows no other way.
    """

    async def refused(_: object, __: object, followed: aiohttp.TraceRequestRedirectParams) -> None:
        answer = followed.response
        answer.close()
        raise aiohttp.WSServerHandshakeError(
            answer.request_info,
            answer.history,
            status=answer.status,
            message="a redirect is no WebSocket",
            headers=answer.headers,
        )

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refused)
    return config


def closing(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """*headers* of a request with a body: the last one on its connection to the app.

    An app that leaves the body unread would take it for the next request, which nobody has looked
    at: a callback of anybody's making among them.
    """
    headers["Connection"] = "close"
    return headers


def end_to_end(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    """The headers that go on: none of one connection's own, none that could forge another line.

    The length is left out: whoever sends the body knows it.
    """
    pairs = tuple(headers)
    named = {
        name.strip().lower()
        for key, value in pairs
        if key.lower() == "connection"
        for name in value.split(",")
    } - FOR_THE_APP
    return CIMultiDict(
        (name, value)
        for name, value in pairs
        if name.lower() not in HOP_BY_HOP
        and name.lower() not in named
        and name.lower() != "content-length"
        and not any(each in value or each in name for each in "\r\n\0")
    )
