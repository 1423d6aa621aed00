"""Did you mean: the nearest of the known names."""

import difflib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
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
    if (same := _folded(known).get(_fold(name))) is not None:
        return same
    close = difflib.get_close_matches(
        name.lower(), _alike(name.lower(), known), n=1, cutoff=_CUTOFF
    )
    if not close:
        return None
    return next(each for each in known if each.lower() == close[0])


@lru_cache(16)
def _folded(known: tuple[str, ...]) -> dict[str, str]:
    """Each of the names by what is left of it without what people mix up; the first counts."""
    return {_fold(each): each for each in reversed(known)}


@lru_cache(16)
def _letters(known: tuple[str, ...]) -> tuple[list[int], list[tuple[str, int, int]]]:
    """The names in small letters, by length: each with that and with the set of its letters."""
    lower = sorted({each.lower() for each in known}, key=len)
    return [len(each) for each in lower], [(each, len(each), _set(each)) for each in lower]


def _alike(name: str, known: tuple[str, ...]) -> list[str]:
    """Those that difflib may find close: a letter that only one of two has matches nothing.

    difflib takes half a millisecond for what this leaves out of a catalogue.
    """
    letters, size = _set(name), len(name)
    lengths, lower = _letters(known)
    # With so many more letters than the other, a name cannot be close whatever they are.
    ratio = _CUTOFF / (2 - _CUTOFF)
    like_long = slice(
        bisect_left(lengths, int(size * ratio)), bisect_right(lengths, int(size / ratio) + 1)
    )
    return [
        each
        for each, length, theirs in lower[like_long]
        if 2 * min(size - (letters & ~theirs).bit_count(), length - (theirs & ~letters).bit_count())
        >= _CUTOFF * (size + length)
    ]


def _set(name: str) -> int:
    bits = 0
    for char in name:
        bits |= 1 << (ord(char) & 63)
    return bits


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(".", "").rstrip("s")
