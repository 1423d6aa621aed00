"""Keep what streams in, small ones in memory and large ones on disk, up to a limit."""

import tempfile
from collections.abc import AsyncIterable
from typing import IO, cast

IN_MEMORY = 4 * 1024 * 1024
LARGEST = 200 * 1024 * 1024


async def keep(chunks: AsyncIterable[bytes], limit: int = LARGEST) -> IO[bytes] | None:
    """A file of the chunks, standing at its beginning; None where they are more than *limit* bytes.

    The file is the caller's to close; where the stream breaks off, nothing is left open.
    """
    file = _open()
    size = 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > limit:
                file.close()
                return None
            file.write(chunk)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def _open() -> IO[bytes]:
    return cast("IO[bytes]", tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))
