"""Reading what a client sends: JSON, forms, files; bounded in size and time, whatever it is."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from devserver.simulator import answers, spool
from devserver.simulator.fetch import Artefact
from devserver.simulator.refusal import Refusal

LARGEST_JSON = 1 << 20
SLOWEST = 300.0
"""Seconds that a body may take, an upload of 200 MB too."""


def content_type(request: web.Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


@asynccontextmanager
async def receiving(request: web.Request) -> AsyncIterator[None]:
    """While the block reads the body: one that is broken is a 400, one without end a 408."""
    try:
        async with asyncio.timeout(SLOWEST):
            yield
    except TimeoutError as error:
        raise answers.Refused(answers.empty(408)) from error
    except (ValueError, LookupError, RuntimeError, HttpProcessingError) as error:
        why = f"The body is broken: {type(error).__name__}"
        raise answers.Refused(answers.status_entity(request, 400, why)) from error


async def read_body(request: web.Request) -> bytes:
    """The whole body. Raises Refused: 413 beyond a megabyte, 408 where it never ends."""
    body = bytearray()
    async with receiving(request):
        while len(body) <= LARGEST_JSON and (more := await request.content.read(LARGEST_JSON)):
            body += more
    if len(body) > LARGEST_JSON:
        raise answers.Refused(answers.empty(413))
    return bytes(body)


async def read_json(request: web.Request) -> Any:
    """The body as JSON. Raises Refused (400) where it is not."""
    body = await read_body(request)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise answers.Refused(
            answers.status_entity(request, 400, f"The body is not JSON: {type(error).__name__}")
        ) from error


async def read_form(request: web.Request) -> Mapping[str, Any]:
    """The fields of a form without files; a body that is another kind has none."""
    if content_type(request) != "application/x-www-form-urlencoded":
        return {}
    async with receiving(request):
        return await request.post()


async def receive(request: web.Request) -> Artefact | Refusal | None:
    """The part `plugin`, streamed to disk; None without one, a Refusal where it is too large.

    To be called while `receiving`.
    """
    suffix = re.sub(r"\W", "", request.query.get("type", "jar")) or "jar"
    found: Artefact | None = None
    async with AsyncExitStack() as stack:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if found or not isinstance(part, BodyPartReader) or part.name != "plugin":
                continue
            name = (part.filename or f"plugin.{suffix}").replace("\\", "/").rsplit("/", 1)[-1]
            file = await spool.keep(chunks(part))
            if file is None:
                return Refusal("upm.plugin.error.unexpected.error", "too large")
            stack.callback(file.close)
            media_type = part.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            found = Artefact(file, name or f"plugin.{suffix}", media_type)
        stack.pop_all()  # read to its end: from here on it is the caller's to close
    return found


async def chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(1 << 16):
        yield chunk
