"""The form that uploads a JAR (upm-protocol.md §3)."""

from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

if TYPE_CHECKING:
    from devserver.descriptor.patch import Pieces

JAR = "application/java-archive"


class _Body(Payload):
    """Pieces that are sent one after the other: a large JAR is never put together for it."""

    _value: "Pieces"
    _autoclose = True

    def __init__(self, pieces: "Pieces") -> None:
        super().__init__(pieces, content_type=JAR)
        self._size = pieces.size

    async def write(self, writer: AbstractStreamWriter) -> None:
        for each in self._value:
            await writer.write(each)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return bytes(self._value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return bytes(self._value).decode(encoding, errors)


def upload(jar: "bytes | Pieces", file_name: str) -> aiohttp.FormData:
    """The form with the part named `plugin` that holds the JAR; good for one request."""
    body = jar if isinstance(jar, bytes) else _Body(jar)
    form = aiohttp.FormData()
    form.add_field("plugin", body, filename=file_name, content_type=JAR)
    return form
