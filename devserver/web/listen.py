"""Ports and the servers on them: both loopback addresses, one port number, closed when left."""

import asyncio
import errno
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp.http_exceptions import HttpProcessingError

from devserver import openfiles
from devserver.backend import HEADER_LIMIT
from devserver.errors import CannotStart, PortInUse

if TYPE_CHECKING:
    from aiohttp import web

LOOPBACK = ("127.0.0.1", "::1")
SHUTDOWN_SECONDS = 0.5
"""How long an answer under way may take once the server is closing."""
HEAD_SECONDS = 60.0
"""How long the head of a request may take to come, and the next one on the same connection."""
SLOW_SECONDS = 60.0
"""How long a client may let us wait for the next piece of its body, or with the next of ours."""
WAITING = 128
"""Connections that may wait to be accepted."""
AT_ONCE = 16
"""Connections accepted in one turn of the event loop: in the next, those too many are closed."""
LINE_LIMIT = 32 * 1024
"""Bytes of a request line: tokens and state travel in queries."""


def open_sockets(host: str | None, port: int, *, flag: str = "--port") -> list[socket.socket]:
    """Listen on *port* (0: any free one) of *host*, or of both loopback addresses.

    Both, since `localhost` is either, and a host that asks the other one would find nobody. A
    machine without IPv6 is served on 127.0.0.1 alone.

    Raises:
        PortInUse: somebody else listens there.
        CannotStart: *host* is no address of this machine.
    """
    hosts = LOOPBACK if host is None else (host,)
    for _ in range(20):
        sockets: list[socket.socket] = []
        try:
            for each in hosts:
                number = sockets[0].getsockname()[1] if sockets else port
                with suppress(_NoSuchFamily):
                    sockets.append(_bound(each, number, flag))
        except PortInUse:
            for opened in sockets:
                opened.close()
            # The free port that 127.0.0.1 was given may be taken on ::1: try another.
            if port or not sockets:
                raise
            continue
        if sockets:
            return sockets
        break
    raise CannotStart(
        f"cannot listen on {' or '.join(hosts)}",
        remedy="use --host with an address of this machine",
    )


class _NoSuchFamily(Exception):
    """This machine has no IPv6."""


def _bound(host: str, port: int, flag: str) -> socket.socket:
    try:
        (family, kind, proto, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except socket.gaierror as exc:
        raise CannotStart(
            f"{host} is no address or name that this machine knows",
            remedy="use --host with an address of this machine",
        ) from exc
    opened: socket.socket | None = None
    try:
        opened = socket.socket(family, kind, proto)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        opened.listen(WAITING)
        opened.setblocking(False)
    except OSError as exc:
        if opened is not None:
            opened.close()
        if exc.errno == errno.EADDRINUSE:
            raise PortInUse(host, port, flag) from exc
        if host == "::1" and exc.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise _NoSuchFamily from exc
        raise CannotStart(
            f"cannot listen on {host}:{port}: {exc.strerror}",
            remedy="use --host with an address of this machine, and a --port above 1023",
        ) from exc
    return opened


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a failure is one of this program.

    Bytes that are no HTTP are their sender's, and so is it to leave in the middle.
    """
    theirs = (HttpProcessingError, ConnectionError)
    return not (record.exc_info and isinstance(record.exc_info[1], theirs))


_LOG = logging.getLogger("devserver.web")
_LOG.addFilter(_is_ours)


class _Full(asyncio.Protocol):
    """Hangs up at once: whoever comes when all places are taken must not take our files too."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()


@asynccontextmanager
async def serving(app: "web.Application", sockets: list[socket.socket]) -> AsyncIterator[int]:
    """Serve *app* on *sockets* while the block runs; yields the port number."""
    from aiohttp import web

    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handler_cancellation=True,
        keepalive_timeout=HEAD_SECONDS,
        max_line_size=LINE_LIMIT,
        max_field_size=HEADER_LIMIT,
        # What is compressed is passed on so, and has the length that it says.
        auto_decompress=False,
        logger=_LOG,
    )
    listening: list[asyncio.Server] = []
    try:
        await runner.setup()
        server, most = runner.server, openfiles.limit() // 2
        assert server is not None  # it is set up

        def connected() -> asyncio.BaseProtocol:
            return server() if len(server.connections) < most else _Full()

        for each in sockets:
            create = asyncio.get_running_loop().create_server
            # Not yet: one that is cancelled while it starts would be known to nobody.
            listening.append(
                await create(connected, sock=each, backlog=AT_ONCE, start_serving=False)
            )
            await listening[-1].start_serving()
            each.listen(WAITING)  # asyncio takes its one number for both
        yield sockets[0].getsockname()[1]
    finally:
        for one in listening:
            one.close()
        await runner.cleanup()
        for each in sockets:
            each.close()
