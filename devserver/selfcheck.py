"""Our own public URL, asked from outside: are the bytes that come back ours?

A tunnel's warning page, a proxy's login or yesterday's address all answer 200 and are found by
targets, not by us; so the descriptor is fetched once through the public URL as a target would.
"""

import asyncio
from urllib.parse import urlsplit

import aiohttp

from devserver.events import Bus, Notice, Published
from devserver.model import Descriptor, Severity, digest_of
from devserver.publish import Published as Kept

LIMIT_SECONDS = 10.0
MOST_BYTES = 16 * 1024 * 1024
CHUNK = 65536


async def run(public_url: str, kept: Kept, bus: Bus) -> None:
    """Fetch the first good revision through our own *public_url*, once, and say what is wrong."""
    with bus.reading() as events:
        if kept.newest is None:
            async for event in events:
                if isinstance(event, Published):
                    break
    if kept.newest is None:
        return
    async with aiohttp.ClientSession() as session:
        notice = await check_public_url(session, public_url, kept.newest.first)
    if notice is not None:
        bus.publish(notice)


async def check_public_url(
    session: aiohttp.ClientSession, public_url: str, descriptor: Descriptor
) -> Notice | None:
    """Fetch *descriptor* through *public_url*; None when its very bytes came back.

    The session must carry no credentials: whoever answers there may be anybody.
    """
    url = f"{public_url}/{descriptor.file_name}?rev={descriptor.digest}"
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            async with session.get(
                url, allow_redirects=False, headers={"Accept": "*/*", "User-Agent": "upm-dev"}
            ) as answer:
                body = b""
                async for chunk in answer.content.iter_chunked(CHUNK):
                    body += chunk
                    if len(body) > MOST_BYTES:
                        break
                came = _described(answer, body)
                if answer.status == 200 and digest_of(body) == descriptor.digest:
                    return None
    except TimeoutError:
        came = f"nothing came within {LIMIT_SECONDS:g} s"
    except aiohttp.ClientError as exc:
        came = f"nothing answers there ({type(exc).__name__})"
    return Notice(
        severity=Severity.WARNING,
        message=f"{public_url} does not lead to this server: {came}",
        remedy=_remedy(public_url),
    )


def _described(answer: aiohttp.ClientResponse, body: bytes) -> str:
    if 300 <= answer.status < 400:
        where = urlsplit(answer.headers.get("Location", "")).netloc or "another path"
        return f"it redirects ({answer.status}) to {where}, which hosts may not follow"
    kind = answer.headers.get("Content-Type", "").partition(";")[0] or "no Content-Type"
    start = body[:60].decode("utf-8", "replace").split("\n")[0].strip()
    return f"it answers {answer.status} with {len(body)} bytes of {kind}: {start!r}"


def _remedy(public_url: str) -> str:
    return (
        "targets are told this address, and could not install: start the tunnel again, or correct "
        f"--public-url (now {public_url})"
    )
