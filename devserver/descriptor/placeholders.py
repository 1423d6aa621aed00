"""Maven's `${…}`: finding them in a text, and putting in what is known."""

import re
from collections.abc import Mapping

PROPERTY = re.compile(r"\$\{([^${}]+)\}")
MAX_ROUNDS = 30
"""Levels of properties that name properties; a circle ends there."""
MAX_GROWTH = 1_000_000
"""Characters that properties may add to a text: they can name each other many times over."""


def fill(text: str, properties: Mapping[str, str], growth: int = MAX_GROWTH) -> str:
    """*text* with every `${…}` that is known replaced; the others stay as they are.

    Properties that would make it longer by more than *growth* characters stay, too.
    """
    limit = len(text) + growth
    for _ in range(MAX_ROUNDS):
        size = len(text)
        for found in PROPERTY.finditer(text):
            size += len(properties.get(found[1], found[0])) - len(found[0])
        if size > limit:
            break
        filled = PROPERTY.sub(lambda found: properties.get(found[1], found[0]), text)
        if filled == text:
            break
        text = filled
    return text


def unknown(text: str, properties: Mapping[str, str]) -> tuple[str, ...]:
    """The names in *text* that stay placeholders, each once, in their order."""
    return tuple(dict.fromkeys(found[1] for found in PROPERTY.finditer(fill(text, properties))))
