"""The mark that proves which revision of a JAR a host runs: a few characters in its description.

Hosts take the same version again, so key and version prove nothing (upm-protocol.md §2.8); but
what `<description>` says comes back over REST. Only that text changes, and for a rollback the
version; everything else in the descriptor stays as it was written. Pure.
"""

import re
from typing import NamedTuple
from xml.parsers import expat
from xml.sax.saxutils import escape

from devserver.descriptor.decode import decode, encoding_of

_MARK = re.compile(r"\[upm-dev (r\d+ [0-9a-f]{8,64})\]")


def mark(revision: str, digest: str) -> str:
    """`[upm-dev r3 1a2b3c4d5e6f]`"""
    return f"[upm-dev {revision} {digest[:12]}]"


def mark_in(description: str) -> str | None:
    """The mark that a host's description holds."""
    found = _MARK.search(description)
    return found[0] if found else None


def proves(description: str, digest: str) -> bool:
    """Whether a host whose description of the plugin is this runs the revision of that *digest*."""
    found = _MARK.search(description)
    return found is not None and found[1].endswith(f" {digest[:12]}")


def marked(body: bytes, mark: str, version: str | None = None) -> bytes:
    """The descriptor *body*, well-formed, with *mark* in its description and that *version*."""
    text, _ = decode(body, xml=True)
    if text is None:
        raise ValueError("the descriptor is no text")
    places = _Places(text)
    edits = [_into(places.description, f" {mark}", "description", places)]
    if version is not None and places.version is not None:
        edits.append((places.version.inner, places.version.end, escape(version)))
    data = text.encode()
    for start, end, new in sorted(edits, reverse=True):
        data = data[:start] + new.encode() + data[end:]
    text = data.decode()
    return text.encode(encoding_of(text), "xmlcharrefreplace")


Edit = tuple[int, int, str]


class _Span(NamedTuple):
    """An element by byte offsets: its tag, what is inside, its closing tag; `empty`: `<a/>`."""

    start: int
    inner: int
    end: int
    empty: bool


def _into(span: "_Span | None", words: str, tag: str, places: "_Places") -> Edit:
    """Have the element end in *words*; make it, and what it stands in, where it is not there."""
    if span is not None:
        if not span.empty:
            return span.end, span.end, words
        return span.inner - 2, span.inner, f">{words.strip()}</{tag}>"
    new = f"<{tag}>{words.strip()}</{tag}>"
    if places.info is not None:
        if not places.info.empty:
            return places.info.inner, places.info.inner, new
        return places.info.inner - 2, places.info.inner, f">{new}</plugin-info>"
    new = f"<plugin-info>{new}</plugin-info>"
    assert places.root is not None
    if not places.root.empty:
        return places.root.inner, places.root.inner, new
    return places.root.inner - 2, places.root.inner, f">{new}</{places.root_tag}>"


class _Places:
    """Where the root, plugin-info and what matters in it stand, in the text as UTF-8."""

    def __init__(self, text: str) -> None:
        self.root: _Span | None = None
        self.root_tag = ""
        self.info: _Span | None = None
        self.description: _Span | None = None
        self.version: _Span | None = None
        self._data = text.encode()
        self._open: list[tuple[str, int]] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.Parse(self._data, True)

    def _start(self, tag: str, _: dict[str, str]) -> None:
        self._open.append((tag, self._parser.CurrentByteIndex))

    def _end(self, tag: str) -> None:
        _, start = self._open.pop()
        path = [each.rpartition(":")[2] for each, _ in self._open] + [tag.rpartition(":")[2]]
        if len(path) > 3:
            return
        inner = _tag_end(self._data, start)
        empty = self._data[inner - 2 : inner] == b"/>"
        span = _Span(start, inner, inner if empty else self._parser.CurrentByteIndex, empty)
        match path:
            case [_]:
                self.root, self.root_tag = span, tag
            case [_, "plugin-info"] if self.info is None:
                self.info = span
            case [_, "plugin-info", "description"] if self.description is None:
                self.description = span
            case [_, "plugin-info", "version"] if self.version is None:
                self.version = span


def _tag_end(data: bytes, start: int) -> int:
    found = re.compile(rb"""(?:[^>"']|"[^"]*"|'[^']*')*>""").match(data, start)
    assert found is not None
    return found.end()
