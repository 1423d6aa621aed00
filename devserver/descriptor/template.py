"""Render a descriptor's template: text, or files that are wanted, or diagnostics with their place.

Pure: the files come as a mapping and nothing else is read, no clock is asked, and the same files
always give the same answer. A template may be somebody else's: what it may touch is in `sandbox`,
what it may cost in `fuel`.
"""

import json
import re
from collections.abc import Collection, Generator, Mapping
from dataclasses import dataclass
from typing import Final, cast

from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError

from devserver.descriptor.compile import Compiled, compile_marked, compiled, sandbox
from devserver.descriptor.fuel import Exceeded, TooLarge
from devserver.descriptor.mistakes import Scene, Stopped, syntax, too_large
from devserver.descriptor.positions import ByLine, Identity, Marked, Marks, Source, SourceMap
from devserver.descriptor.sandbox import Sandbox
from devserver.descriptor.utf8 import text_of
from devserver.model import Diagnostic

__all__ = ["Failure", "Rendering", "SourceMap", "Wanted", "render", "source_map"]

OUTPUT: Final = 8_000_000
"""Characters of a rendered descriptor, at most."""

_PLACEHOLDER: Final = re.compile(r"\{\{\s*(localBaseUrl|environment|appKey)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Rendering:
    """A descriptor's text; `used` names the templates that took part in it."""

    text: str
    used: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The template needs files that are neither among those given nor known to be missing."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Failure:
    diagnostics: tuple[Diagnostic, ...]


def render(
    files: Mapping[str, bytes],
    name: str,
    variables: Mapping[str, object],
    *,
    missing: Collection[str] = (),
) -> Rendering | Wanted | Failure:
    """The text of the descriptor *name*, one of *files*: rendered where it ends in `.j2`.

    Any other file is taken as it is, but for ACE's placeholders in JSON. *missing* are names that
    were looked for and are not there.
    """
    if not name.endswith(".j2"):
        filled = _filled(name, files[name], variables)
        if isinstance(filled, Diagnostic):
            return Failure((filled,))
        return Rendering(filled[0], frozenset({name}))
    run = _Run(files, name, variables, missing)
    result: Rendering | Failure
    try:
        result = Rendering(run.text(), frozenset(run.sandbox.used))
    except Exception as exc:  # whatever a template provokes is the template's mistake
        result = Failure((run.scene.diagnose(exc),))
    wanted = run.sandbox.wanted
    if wanted:
        return Wanted(frozenset(wanted))
    return result


def source_map(
    files: Mapping[str, bytes],
    name: str,
    variables: Mapping[str, object],
    *,
    missing: Collection[str] = (),
) -> SourceMap:
    """The way back from the rendered text of *name* to the files; made by rendering with marks.

    Where marks change the text, fewer of them are made. Where these do too, lines are found by what
    they say, and what cannot be found maps to the template as a whole.
    """
    if not name.endswith(".j2"):
        filled = _filled(name, files[name], variables)
        if isinstance(filled, Diagnostic):
            return ByLine(name, "", {})
        return Identity(name, *filled)
    plain = render(files, name, variables, missing=missing)
    if not isinstance(plain, Rendering):
        return ByLine(name, "", {})
    for sparing in (False, True):
        marks = Marks(sparing=sparing)
        try:
            marked = _Run(files, name, variables, missing, marks).text()
        except Exception:  # marks make it cost more than it may, or no longer fit somewhere
            continue
        text, offsets, found = marks.read(marked)
        if text == plain.text and found:
            return Marked(text, offsets, found)
    texts = {each: text_of(each, files[each]) for each in sorted(plain.used)}
    return ByLine(
        name, plain.text, {each: text for each, text in texts.items() if isinstance(text, str)}
    )


def _escapes(descriptor: str) -> bool:
    return not descriptor.endswith(".json.j2")


def _filled(
    name: str, data: bytes, variables: Mapping[str, object]
) -> tuple[str, list[tuple[int, int, int]]] | Diagnostic:
    """A file's text with ACE's placeholders filled in, and where: (offset, length now, before)."""
    text = text_of(name, data)
    if isinstance(text, Diagnostic) or name.endswith(".xml"):
        return text if isinstance(text, Diagnostic) else (text, [])
    values = {"environment": "development", **variables}
    pieces: list[str] = []
    changes = []
    done = length = 0
    for found in _PLACEHOLDER.finditer(text):
        if found[1] not in values:
            continue
        value = json.dumps(str(values[found[1]]), ensure_ascii=False)[1:-1]
        pieces += (text[done : found.start()], value)
        length += found.start() - done
        changes.append((length, len(value), len(found[0])))
        length += len(value)
        done = found.end()
    return "".join((*pieces, text[done:])), changes


class _Run:
    """One rendering, with or without marks."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        name: str,
        variables: Mapping[str, object],
        missing: Collection[str],
        marks: Marks | None = None,
    ) -> None:
        self._files = files
        self._name = name
        self._variables = variables
        self._marks = marks
        self._compiled: dict[str, Compiled] = {}
        self.scene = Scene(name, files, variables, self._compiled)
        self.sandbox = sandbox(_escapes(name)).opened(files, missing, self._load)

    def text(self) -> str:
        """Raises whatever the template provokes."""
        template = self.sandbox.get_template(self._name)
        context = template.new_context(dict(self._variables))
        pieces, length = [], 0
        stream = cast("Generator[str, None, None]", template.root_render_func(context))
        for piece in stream:
            pieces.append(piece)
            length += len(piece)
            if not piece.isascii():
                _whole_characters(piece, stream)
            if length > OUTPUT:  # raised where the template stands, so that it has a place
                stream.throw(Exceeded(f"the descriptor grows past {OUTPUT:,} characters"))
        return "".join(pieces)

    def _load(self, sandbox: Sandbox, name: str) -> Template:
        text = text_of(name, self._files[name])
        if isinstance(text, Diagnostic):
            raise Stopped(text)
        try:
            if self._marks is None:
                made = compiled(name, text, bool(sandbox.autoescape))
            else:
                made = compile_marked(Source(name, text), bool(sandbox.autoescape), self._marks)
        except TemplateSyntaxError as exc:
            raise Stopped(syntax(Source(name, text), exc)) from None
        except TooLarge as exc:
            raise Stopped(too_large(Source(name, text), exc)) from None
        self._compiled[made.file] = made
        return made.template(sandbox)


def _whole_characters(piece: str, stream: "Generator[str, None, None]") -> None:
    """Refuse half a character, which an escape like "\\ud800" can make: it has no bytes."""
    try:
        piece.encode()
    except UnicodeEncodeError as exc:
        code = f"U+{ord(piece[exc.start]):04X}"
        stream.throw(ValueError(f"{code} is half a character: no file can hold it"))
