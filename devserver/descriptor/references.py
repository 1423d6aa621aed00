"""The files that a template refers to: which of them a name may mean, and which it names."""

import posixpath
import re
from functools import lru_cache
from typing import Final

_OPENING: Final = re.compile(r"\{[#%]")
_REFERRING: Final = re.compile(r"\{%[-+]?\s*(include|import|extends|from)\b")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*-?%\}")
_END_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_QUOTED: Final = re.compile(r"""(["'])([^"'\n]{1,1000})\1""")


def candidates(name: str, parent: str) -> tuple[str, ...]:
    """Where *name*, as *parent* writes it, may be found: from the root first, then from its folder.

    Project-relative names, normalised; none of them where all lie outside the project.
    """
    if name.startswith("/") or not name:
        return ()
    beside = posixpath.join(posixpath.dirname(parent), name)
    found = (posixpath.normpath(name), posixpath.normpath(beside))
    return tuple(dict.fromkeys(each for each in found if each.split("/")[0] not in ("..", ".", "")))


@lru_cache(256)
def references(name: str, text: str) -> tuple[tuple[str, ...], ...]:
    """The templates that *name* names in plain words, each as the files it may mean, best first.

    A scan that costs next to nothing and also reads a template that does not compile. It may take
    any text in such a tag for a name: that only means a file looked at in vain.
    """
    named: dict[str, None] = {}
    opening = _OPENING.search(text)
    while opening:
        at = opening.start()
        end = at + 2
        if text.startswith("{#", at):
            end = text.find("#}", at)
        elif found := _RAW.match(text, at):
            raw_end = _END_RAW.search(text, found.end())
            end = raw_end.end() if raw_end else -1
        elif found := _REFERRING.match(text, at):
            end = text.find("%}", at)
            body = text[found.end() : end if end >= 0 else None]
            if found[1] == "from":
                body = body.partition(" import ")[0]
            named.update(dict.fromkeys(each[1] for each in _QUOTED.findall(body)))
        if end < 0:
            break
        opening = _OPENING.search(text, end)
    return tuple(filter(None, (candidates(each, name) for each in named)))
