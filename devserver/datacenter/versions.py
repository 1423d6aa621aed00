"""Which of two versions a plugin framework takes for the older one. Pure."""

import re
from itertools import zip_longest

_LOWEST = (1, 0, "")


def is_older(one: str, other: str) -> bool:
    """Number by number; what is no number stands below any, so 1.0-SNAPSHOT is older than 1.0.

    Hosts skip an older version without a word (upm-protocol.md §2.8).
    """
    for mine, theirs in zip_longest(_parts(one), _parts(other), fillvalue=_LOWEST):
        if mine != theirs:
            return mine < theirs
    return False


def _parts(version: str) -> list[tuple[int, int, str]]:
    return [
        (1, int(part), "") if part.isdecimal() and len(part) < 20 else (0, 0, part)
        for part in re.split(r"[.\-_+]", version.strip())
    ]
