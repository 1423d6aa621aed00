"""A page's WebSocket and the app's, joined: message by message, until either ends."""

import asyncio
from collections.abc import MutableSet

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from devserver.backend import Backend, end_to_end
from devserver.web.listen import SLOW_SECONDS

MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message, either way."""
_HANDSHAKE = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
)
_LOST = 1006
"""What nobody may send: the connection ended without a word (RFC 6455 §7.4.1)."""
_GOING_AWAY = 1001

_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
_LastWord = tuple[int, bytes]


def is_wanted(request: web.Request) -> bool:
    return request.method == "GET" and request.headers.get("Upgrade", "").lower() == "websocket"


async def joined(
    request: web.Request,
    backend: Backend,
    headers: CIMultiDict[str],
    sockets: MutableSet[web.WebSocketResponse],
) -> web.StreamResponse:
    """Give the client a WebSocket of the app's; or the app's refusal.

    *headers* go to the app; *sockets* holds the WebSockets that are open, for whoever has to end
    them.

    Raises:
        BackendUnavailable: the app did not answer.
    """
    for name in _HANDSHAKE:
        headers.popall(name, None)
    offered = request.headers.get("Sec-WebSocket-Protocol", "")
    try:
        app = await backend.session.ws_connect(
            backend.address(request.raw_path),
            headers=headers,
            protocols=tuple(filter(None, (each.strip() for each in offered.split(",")))),
            max_msg_size=MESSAGE_LIMIT,
            autoclose=False,
        )
    except aiohttp.WSServerHandshakeError as refusal:
        if refusal.status == 101:  # it agreed, and to something else
            raise backend.unavailable(refusal) from refusal
        return _refused(refusal)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise backend.unavailable(error) from error
    async with app:
        chosen = (app.protocol,) if app.protocol else ()
        client = web.WebSocketResponse(
            protocols=chosen, max_msg_size=MESSAGE_LIMIT, autoclose=False
        )
        await client.prepare(request)
        sockets.add(client)
        ways = {
            asyncio.create_task(_passed_on(client, app)),
            asyncio.create_task(_passed_on(app, client)),
        }
        code, reason = _LOST, b""
        try:
            ended, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            code, reason = ended.pop().result()
        finally:
            sockets.discard(client)
            for each in ways:
                each.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await _leave(app, client, request, code, reason)
    return client


async def _leave(
    app: aiohttp.ClientWebSocketResponse,
    client: web.WebSocketResponse,
    request: web.Request,
    code: int,
    reason: bytes,
) -> None:
    """Tell both what one of them said last."""
    if code == _LOST:
        if request.transport is not None:
            request.transport.abort()  # so the page sees what became of the app
        await app.close(code=_GOING_AWAY)
    else:
        await asyncio.gather(
            app.close(code=code, message=reason), client.close(code=code, message=reason)
        )


async def _passed_on(source: _Socket, sink: _Socket) -> _LastWord:
    """Hand on what *source* says; gives how it took its leave."""
    while True:
        message = await source.receive()
        try:
            if message.type is aiohttp.WSMsgType.TEXT:
                async with asyncio.timeout(SLOW_SECONDS):
                    await sink.send_str(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                async with asyncio.timeout(SLOW_SECONDS):
                    await sink.send_bytes(message.data)
            elif message.type is aiohttp.WSMsgType.CLOSE:
                return message.data or 1000, (message.extra or "").encode()
            elif message.type is aiohttp.WSMsgType.CLOSING:  # we end it ourselves
                return _GOING_AWAY, b""
            else:
                return _LOST, b""
        except (ConnectionError, TimeoutError):  # the other one has left, or does not read
            return _LOST, b""


def _refused(refusal: aiohttp.WSServerHandshakeError) -> web.Response:
    """The app's own no; its words are lost, since nobody shows them."""
    headers = end_to_end((refusal.headers or {}).items())
    for name in ("Content-Type", "Content-Encoding"):
        headers.popall(name, None)
    text = f"the app refused the WebSocket ({refusal.status})\n"
    return web.Response(status=refusal.status, text=text, headers=headers)
