"""Whether output has colours: what the user wished, else whether it goes to a terminal."""

from collections.abc import Mapping
from typing import IO


def wish(environ: Mapping[str, str]) -> bool | None:
    """What the environment says: NO_COLOR, FORCE_COLOR, TERM=dumb (no-color.org); None: nothing."""
    if environ.get("NO_COLOR"):
        return False
    if forced := environ.get("FORCE_COLOR"):
        return forced.lower() not in ("0", "false")
    return False if environ.get("TERM") == "dumb" else None


def wanted(wish: bool | None, stream: IO[str]) -> bool:
    """Whether to write colours to *stream*: as wished, else where it is a terminal."""
    return stream.isatty() if wish is None else wish
