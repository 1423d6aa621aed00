"""From a project's files to a verdict: render, then judge.

`serve` and `validate` both do exactly this.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cache

from devserver.descriptor.decode import LINE_BREAK, decode, encoding_of
from devserver.descriptor.document import Context, Flaw, Point
from devserver.descriptor.judge import Examined, Placer, failed, judge
from devserver.descriptor.placeholders import fill
from devserver.descriptor.project import Project
from devserver.descriptor.template import Failure, SourceMap, Wanted, render, source_map
from devserver.model import Position

__all__ = ["SERVED", "Examined", "Wanted", "examine", "looks_like_json"]

SHOWN = 120
"""Characters of a rendered line in a note."""
SERVED = Context(development=True)
"""What `serve` asks: the descriptor comes from this machine, and placeholders are its own."""


def examine(
    files: Mapping[str, bytes],
    name: str,
    variables: Mapping[str, object],
    *,
    missing: Collection[str] = (),
    context: Context = SERVED,
) -> Examined | Wanted:
    """Examine the descriptor *name*, a template or not, that is one of *files*.

    `Wanted` names files that the template needs and that are neither in *files* nor *missing*.
    """
    data = files[name]
    is_json = looks_like_json(name, data)
    flaws: tuple[Flaw, ...] = ()
    source: str | None = None
    if not name.endswith(".j2"):
        source, flaws = decode(data, xml=not is_json)
        if source is None:
            return failed(None, flaws, Placer(name))
    if source is not None and not (is_json and "{{" in source):
        filled, known = (None, context) if is_json else _by_maven(source, files, context)
        body = filled.encode(encoding_of(source), "xmlcharrefreplace") if filled else data
        return judge(source, body, is_json, flaws, Placer(name), known)

    ours = variables.get("base_url")
    context = replace(context, base_url=ours if isinstance(ours, str) else None)
    rendering = render(files, name, variables, missing=missing)
    if isinstance(rendering, Wanted):
        return rendering
    if isinstance(rendering, Failure):
        return Examined(None, errors=rendering.diagnostics)
    text = rendering.text
    if text == source:
        return judge(text, data, is_json, flaws, Placer(name), context)
    encoding = "utf-8" if is_json else encoding_of(text)
    filled, known = (None, context) if is_json else _by_maven(text, files, context)
    body = (filled or text).encode(
        encoding, "strict" if encoding == "utf-8" else "xmlcharrefreplace"
    )
    placer = _Rendered(text, files, lambda: source_map(files, name, variables, missing=missing))
    return judge(text, body, is_json, flaws, placer, known)


def _by_maven(
    text: str, files: Mapping[str, bytes], context: Context
) -> tuple[str | None, Context]:
    """The text as the SDK would filter it, None where that changes nothing; and what is known then.

    The SDK always filters atlassian-plugin.xml, so no setting is needed but a pom.xml.
    """
    if "${" not in text:
        return None, context

    from devserver.descriptor import maven  # 20 ms, for P2 projects alone

    properties = context.project.properties if context.project else {}
    if not properties and maven.POM in files:
        pom = maven.read(files)
        if pom is not None:
            properties = pom.properties
            context = replace(
                context, project=replace(context.project or Project(), properties=properties)
            )
    if not properties:
        return None, context
    escaped = {name: _escaped(value) for name, value in properties.items()}
    return fill(text, escaped), context


def looks_like_json(name: str, data: bytes) -> bool:
    bare = name.removesuffix(".j2")
    if bare.endswith(".json"):
        return True
    if bare.endswith(".xml"):
        return False
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def _escaped(value: str) -> str:
    """For XML text and attributes. (html.escape costs 1 ms of import.)"""
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        value = value.replace(char, entity)
    return value


class _Rendered(Placer):
    """From a rendered text to its templates; the marked rendering is made when it is needed."""

    def __init__(
        self, text: str, files: Mapping[str, bytes], make: Callable[[], SourceMap]
    ) -> None:
        self._lines = LINE_BREAK.split(text)
        self._files = files
        self._map = cache(make)

    def position(self, point: Point) -> Position:
        return self._map().position(point.line, point.column)

    def notes(self, point: Point, position: Position) -> tuple[str, ...]:
        """The line as it was rendered, where the template's own does not show it (loops)."""
        source = LINE_BREAK.split(self._files.get(position.file, b"").decode("utf-8", "replace"))
        rendered = self._lines[point.line - 1].strip() if point.line <= len(self._lines) else ""
        if not 0 < position.line <= len(source) or source[position.line - 1].strip() == rendered:
            return ()
        return (f"rendered here: {rendered[:SHOWN]}{'...' if len(rendered) > SHOWN else ''}",)
