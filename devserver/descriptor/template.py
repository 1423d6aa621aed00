"""Render a descriptor's template: text, or files that are wanted, or diagnostics with their place.

Pure: the files come as a mapping and nothing else is read, no clock is asked, and the same files
always give the same answer. A template may be somebody else's: what it may touch is in `sandbox`,
what it may cost in `fuel`.
"""

import json
import re
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import FrameType
from typing import Any, Final, cast

from jinja2.environment import Template, TemplateModule
from jinja2.exceptions import (
    SecurityError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.utils import missing as nothing

from devserver.descriptor.compile import (
    Compiled,
    compile_marked,
    compiled,
    sandbox,
)
from devserver.descriptor.filters import ABSENT
from devserver.descriptor.fuel import Exceeded, TooLarge
from devserver.descriptor.nearest import distance, nearest
from devserver.descriptor.positions import (
    ByLine,
    Identity,
    Marked,
    Marks,
    Source,
    SourceMap,
)
from devserver.descriptor.sandbox import Outside, Sandbox, UnknownName, candidates
from devserver.descriptor.tokens import located
from devserver.descriptor.utf8 import text_of
from devserver.model import Diagnostic, Position, Severity

__all__ = ["Failure", "Rendering", "SourceMap", "Wanted", "references", "render", "source_map"]

OUTPUT: Final = 8_000_000
"""Characters of a rendered descriptor, at most."""

_PLACEHOLDER: Final = re.compile(r"\{\{\s*(localBaseUrl|environment|appKey)\s*\}\}")
_REFERRING: Final = re.compile(r"\{%[-+]?\s*(include|import|extends|from)\b")
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\s*-?%\}")
_END_RAW: Final = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_QUOTED: Final = re.compile(r"""(["'])([^"'\n]{1,1000})\1""")
_EXPRESSION: Final = re.compile(r"[^\W\d]\w*(?:\.\w+|\[[^\]\n]{1,60}\])*")
_UNEXPECTED_END: Final = re.compile(r"(?i)unexpected end of template")
_UNKNOWN_TAG: Final = re.compile(r"Encountered unknown tag '(\w+)'")
_UNKNOWN_FILTER: Final = re.compile(r"No (filter|test) named '([^']+)'")
_TAGS: Final = (
    "autoescape", "block", "call", "elif", "else", "endautoescape", "endblock", "endcall",
    "endfilter", "endfor", "endif", "endmacro", "endset", "endwith", "extends", "filter", "for",
    "from", "if", "import", "include", "macro", "print", "raw", "endraw", "set", "with",
)  # fmt: skip


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


class _Stopped(Exception):
    """A template cannot even be compiled."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


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
        result = Failure((run.diagnose(exc),))
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


@lru_cache(256)
def references(name: str, text: str) -> tuple[tuple[str, ...], ...]:
    """The templates that *name* names in plain words, each as the files it may mean, best first.

    A scan that costs next to nothing and also reads a template that does not compile. It may take
    any text in such a tag for a name: that only means a file looked at in vain.
    """
    named: dict[str, None] = {}
    at = text.find("{")
    while at >= 0:
        end = at + 1
        if text.startswith("{#", at):
            end = text.find("#}", at)
        elif found := _RAW.match(text, at):
            raw_end = _END_RAW.search(text, found.end())
            end = raw_end.end() if raw_end else -1
        elif found := _REFERRING.match(text, at):
            end = text.find("%}", at)
            body = text[found.end() : end]
            if found[1] == "from":
                body = body.partition(" import ")[0]
            named.update(dict.fromkeys(each[1] for each in _QUOTED.findall(body)))
        if end < 0:
            break
        at = text.find("{", end)
    return tuple(filter(None, (candidates(each, name) for each in named)))


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
            raise _Stopped(text)
        try:
            if self._marks is None:
                made = compiled(name, text, bool(sandbox.autoescape))
            else:
                made = compile_marked(Source(name, text), bool(sandbox.autoescape), self._marks)
        except TemplateSyntaxError as exc:
            raise _Stopped(_syntax(Source(name, text), exc)) from None
        except TooLarge as exc:
            place = Source(name, text).place(exc.offset)
            raise _Stopped(_exceeded(str(exc), place)) from None
        self._compiled[made.file] = made
        return made.template(sandbox)

    # From an exception to a diagnostic

    def diagnose(self, exc: Exception) -> Diagnostic:
        frames = list(self._frames(exc))
        places = [made.source.place(made.offset(line)) for made, line, _ in frames]
        at = places[-1] if places else Position(self._name)
        found = self._explain(exc, at)
        notes = [*found.notes]
        notes += _loop_values(frames)
        for place in reversed(dict.fromkeys(places)):
            if place.file != found.position.file and len(notes) < 8:
                notes.append(f"rendered from {place}")
        return replace(found, notes=tuple(notes))

    def _frames(self, exc: Exception) -> Iterator[tuple[Compiled, int, FrameType]]:
        trace = exc.__traceback__
        while trace is not None:
            made = self._compiled.get(trace.tb_frame.f_code.co_filename)
            if made is not None:
                yield made, trace.tb_lineno, trace.tb_frame
            trace = trace.tb_next

    def _explain(self, exc: Exception, at: Position) -> Diagnostic:
        match exc:
            case _Stopped():
                return exc.diagnostic
            case UnknownName():
                return self._unknown(exc, at)
            case UndefinedError():
                return _error("T002", _words(exc), at)
            case TemplateNotFound():
                return self._not_found(exc, at)
            case Outside():
                return _error(
                    "T004",
                    f'"{_short(str(exc))}" is outside the project, and templates are not',
                    at,
                    "copy the file into the project, and name it from the project's folder",
                )
            case Exceeded():
                return _exceeded(str(exc), at)
            case RecursionError():
                return _exceeded("the template is nested too deeply", at)
            case MemoryError() | OverflowError():
                return _exceeded("the template computes with something too large", at)
            case SecurityError():
                return _error(
                    "T006", _words(exc), at, "templates may read values and call their own macros"
                )
            case _:
                return _error("T007", f"{type(exc).__name__}: {_words(exc)}", at)

    def _unknown(self, exc: UnknownName, at: Position) -> Diagnostic:
        name = exc.name
        if exc.place is None or not isinstance(name, str):
            return _error("T002", _words(exc), at)
        made = next(each for each in self._compiled.values() if each.source.name == exc.place[0])
        source, offset = made.source, exc.place[1]
        at = source.place(offset)
        found = _EXPRESSION.match(source.text, offset)
        asked = found[0] if found else name
        if exc.obj is nothing:
            known = {*self._variables, *made.stored, *self.sandbox.globals}
            message = f'"{name}" is not defined'
            fix = (
                f"define {name} under [app] variables in upm-dev.toml, or give it a default:"
                f" {{{{ {name}|default('...') }}}}"
            )
        else:
            known = set(_members(exc.obj))
            message = f'"{asked}" is not defined: there is no "{name}" in it'
            fix = f"it has {', '.join(sorted(known)[:8])}" if known else ""
            if asked.startswith("env"):
                fix = f'allow it in upm-dev.toml: [app] env = ["{name}"], and set it'
        if (near := _near(name, known)) is not None:
            fix = f'did you mean "{near}"?'
        return _error("T002", message, at, fix)

    def _not_found(self, exc: TemplateNotFound, at: Position) -> Diagnostic:
        name = _short(str(exc.name or exc))
        near = _near(name, self._files)
        tried = candidates(name, at.file)
        return _error(
            "T003",
            f'"{name}" is not there',
            at,
            f'did you mean "{near}"?' if near else "make the file, or mend its name",
            notes=(f"looked for {' and '.join(tried)}",) if tried else (),
        )


def _whole_characters(piece: str, stream: "Generator[str, None, None]") -> None:
    """Refuse half a character, which an escape like "\\ud800" can make: it has no bytes."""
    try:
        piece.encode()
    except UnicodeEncodeError as exc:
        code = f"U+{ord(piece[exc.start]):04X}"
        stream.throw(ValueError(f"{code} is half a character: no file can hold it"))


def _loop_values(frames: list[tuple[Compiled, int, FrameType]]) -> list[str]:
    """What the loops around the place were at, for the innermost template frame."""
    if not frames:
        return []
    made, _, frame = frames[-1]
    told = []
    for name, value in frame.f_locals.items():
        prefix, _, variable = name.removeprefix("l_").partition("_")
        if not name.startswith("l_") or not prefix.isdigit() or variable not in made.loop_names:
            continue
        if isinstance(value, Mapping):
            key = next((key for key in ("key", "name", "id") if key in value), None)
            variable, value = f"{variable}.{key}", value.get(key)
        if isinstance(value, str):
            told.append(f'while {variable} = "{_short(value)}"')
        elif isinstance(value, int | float) and -(10**15) < value < 10**15:
            told.append(f"while {variable} = {value}")
    return told[:4]


def _members(obj: Any) -> Iterator[str]:
    if isinstance(obj, Mapping):
        yield from (key for key in obj if isinstance(key, str))
    elif isinstance(obj, TemplateModule):
        yield from (name for name in vars(obj) if not name.startswith("_"))


def _syntax(source: Source, exc: TemplateSyntaxError) -> Diagnostic:
    message = (exc.message or "").rstrip(".")
    at = source.place(min(exc.lineno or 0, len(source.text)))
    fix = ""
    notes: tuple[str, ...] = ()
    if found := _UNKNOWN_TAG.match(message):
        near = _near(found[1], _TAGS)
        fix = f'did you mean "{near}"?' if near else ""
        message = f'there is no tag "{found[1]}"' + message[found.end() :]
    elif found := _UNKNOWN_FILTER.match(message):
        fix, message = _no_filter(found[1], found[2])
    elif _UNEXPECTED_END.search(message):
        unclosed = _unclosed(source)
        if unclosed is not None:
            tag, offset = unclosed
            notes = (f"the file ends on line {source.place(len(source.text)).line}",)
            at = source.place(offset)
            message = f'"{tag}" is never closed'
            fix = f"add {{% end{tag} %}}"
    return _error("T001", message, at, fix, notes)


def _no_filter(kind: str, name: str) -> tuple[str, str]:
    known = sandbox(True).filters if kind == "filter" else sandbox(True).tests
    near = _near(name, known)
    message = f'there is no {kind} "{name}"'
    if name in ABSENT and kind == "filter":
        message += f" here: {ABSENT[name]}"
    return (f'did you mean "{near}"?' if near else ""), message


def _unclosed(source: Source) -> tuple[str, int] | None:
    """The innermost tag that is open at the end, and its offset."""
    opened: list[tuple[str, int]] = []
    tag, inline = "", False
    start = 0
    for offset, kind, value in located(source):
        if kind == "block_begin":
            start, tag, inline = offset, "", False
        elif kind == "name" and not tag:
            tag = value
        elif kind == "operator" and value == "=":
            inline = True
        elif kind == "block_end":
            if tag.startswith("end") and opened:
                opened.pop()
            elif f"end{tag}" in _TAGS and not (tag == "set" and inline):
                opened.append((tag, start))
    return opened[-1] if opened else None


def _exceeded(what: str, at: Position) -> Diagnostic:
    return _error(
        "T005", what, at, "a descriptor needs little: look for a loop or a width that is too large"
    )


def _error(
    code: str, message: str, at: Position, fix: str = "", notes: tuple[str, ...] = ()
) -> Diagnostic:
    return Diagnostic(
        code=code, severity=Severity.ERROR, message=message, position=at, fix=fix, notes=notes
    )


def _words(exc: Exception) -> str:
    return _short(str(exc), 300)


def _near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; short ones may differ in one stroke."""
    names = sorted(known)
    close = min(names, key=lambda each: distance(name, each, 1), default="")
    return nearest(name, names) or (close if close and distance(name, close, 1) <= 1 else None)


def _short(text: str, limit: int = 60) -> str:
    text = text[: limit + 1].encode(errors="backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"
