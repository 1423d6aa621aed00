"""From a project's files to a verdict: render, then judge.

`serve` and `validate` both do exactly this.
"""

from collections.abc import Callable, Collection, Mapping
from functools import cache

from devserver.descriptor.decode import decode, encoding_of
from devserver.descriptor.document import Context, Flaw
from devserver.descriptor.judge import Examined, Placer, failed, judge
from devserver.descriptor.template import Failure, SourceMap, Wanted, render, source_map
from devserver.model import Position

__all__ = ["SERVED", "Examined", "Wanted", "examine", "looks_like_json", "plainly"]

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
            return failed(None, flaws, plainly(name))
    if source is not None and not (is_json and "{{" in source):
        return judge(source, data, is_json, flaws, plainly(name), context)

    rendering = render(files, name, variables, missing=missing)
    if isinstance(rendering, Wanted):
        return rendering
    if isinstance(rendering, Failure):
        return Examined(None, errors=rendering.diagnostics)
    text = rendering.text
    if text == source:
        return judge(text, data, is_json, flaws, plainly(name), context)
    encoding = "utf-8" if is_json else encoding_of(text)
    body = text.encode(encoding, "strict" if encoding == "utf-8" else "xmlcharrefreplace")
    placer = _mapped(lambda: source_map(files, name, variables, missing=missing))
    return judge(text, body, is_json, flaws, placer, context)


def looks_like_json(name: str, data: bytes) -> bool:
    bare = name.removesuffix(".j2")
    if bare.endswith(".json"):
        return True
    if bare.endswith(".xml"):
        return False
    return data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")


def plainly(name: str) -> Placer:
    return lambda point: Position(name, point.line, point.column)


def _mapped(make: Callable[[], SourceMap]) -> Placer:
    """The marked rendering is made when the first place is asked for."""
    made = cache(make)
    return lambda point: made().position(point.line, point.column)
