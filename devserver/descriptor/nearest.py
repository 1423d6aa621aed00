"""Did you mean: the nearest of the known names."""

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache

_CUTOFF = 0.8


def distance(left: str, right: str, limit: int = 3) -> int:
    """Edits (insert, delete, replace, swap neighbours) between two names; *limit* + 1 for more."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    above = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
        before, above = above, row
    return above[-1]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that *name* was probably meant to be, or None."""
    return _nearest(name, tuple(known))


@lru_cache(1024)
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    if not name or len(name) > 100:
        return None
    folded = _fold(name)
    for each in known:
        if _fold(each) == folded:
            return each
    close = difflib.get_close_matches(
        name.lower(), _alike(name.lower(), _letters(known)), n=1, cutoff=_CUTOFF
    )
    if not close:
        return None
    return next(each for each in known if each.lower() == close[0])


@lru_cache(16)
def _letters(known: tuple[str, ...]) -> dict[str, int]:
    """Each of the names in small letters, with the set of its letters."""
    return {each.lower(): _set(each.lower()) for each in known}


def _alike(name: str, known: Mapping[str, int]) -> list[str]:
    """Those that difflib may find close: a letter that only one of two has matches nothing.

    difflib takes half a millisecond for what this leaves out of a catalogue.
    """
    letters, size = _set(name), len(name)
    return [
        each
        for each, theirs in known.items()
        if 2
        * min(size - (letters & ~theirs).bit_count(), len(each) - (theirs & ~letters).bit_count())
        >= _CUTOFF * (size + len(each))
    ]


def _set(name: str) -> int:
    bits = 0
    for char in name:
        bits |= 1 << (ord(char) & 63)
    return bits


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(".", "").rstrip("s")
