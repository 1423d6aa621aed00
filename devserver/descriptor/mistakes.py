"""From what a template provokes to a diagnostic: what is wrong, where, and what was meant."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Final

from jinja2.environment import TemplateModule
from jinja2.exceptions import (
    SecurityError,
    TemplateNotFound,
    TemplateSyntaxError,
    UndefinedError,
)
from jinja2.utils import missing as nothing

from devserver.descriptor.compile import Compiled, sandbox
from devserver.descriptor.filters import ABSENT
from devserver.descriptor.fuel import Exceeded, TooLarge
from devserver.descriptor.nearest import distance, nearest
from devserver.descriptor.positions import Source
from devserver.descriptor.references import candidates
from devserver.descriptor.sandbox import Outside
from devserver.descriptor.tokens import located
from devserver.descriptor.unknown import UnknownName
from devserver.model import Diagnostic, Position, Severity

_EXPRESSION: Final = re.compile(r"[^\W\d]\w*(?:\.\w+|\[[^\]\n]{1,60}\])*")
_UNKNOWN_TAG: Final = re.compile(r"Encountered unknown tag '(\w+)'")
_UNKNOWN_FILTER: Final = re.compile(r"No (filter|test) named '([^']+)'")
_TAGS: Final = (
    "autoescape", "block", "call", "elif", "else", "endautoescape", "endblock", "endcall",
    "endfilter", "endfor", "endif", "endmacro", "endset", "endwith", "extends", "filter", "for",
    "from", "if", "import", "include", "macro", "print", "raw", "endraw", "set", "with",
)  # fmt: skip

Frames = list[tuple[Compiled, int, FrameType]]
"""Those of a traceback that are a template's: the template, the line of its code, the frame."""


class Stopped(Exception):
    """A template cannot even be compiled."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Scene:
    """What a rendering knew: the descriptor's name, its files and variables, what was compiled.

    `compiled` is by the file name in the code of each template.
    """

    name: str
    files: Mapping[str, bytes]
    variables: Mapping[str, object]
    compiled: Mapping[str, Compiled]

    def diagnose(self, exc: Exception) -> Diagnostic:
        """The mistake behind *exc*, at its place, with the way that led to it."""
        frames = list(self._frames(exc))
        places = [made.source.place(made.offset(line)) for made, line, _ in frames]
        found = self._explain(exc, places[-1] if places else Position(self.name))
        notes = [*found.notes, *_loop_values(frames)]
        for place in reversed(dict.fromkeys(places)):
            if place.file != found.position.file and len(notes) < 8:
                notes.append(f"rendered from {place}")
        return replace(
            found,
            message=self._without_values(found.message),
            notes=tuple(map(self._without_values, notes)),
        )

    def _frames(self, exc: Exception) -> Iterator[tuple[Compiled, int, FrameType]]:
        trace = exc.__traceback__
        while trace is not None:
            made = self.compiled.get(trace.tb_frame.f_code.co_filename)
            if made is not None:
                yield made, trace.tb_lineno, trace.tb_frame
            trace = trace.tb_next

    def _without_values(self, text: str) -> str:
        """What comes from the environment may be a secret: it never gets into a message."""
        env = self.variables.get("env")
        values = env.values() if isinstance(env, Mapping) else ()
        for value in values:
            if isinstance(value, str) and len(value) > 3:
                text = text.replace(value, "…")
        return text

    def _explain(self, exc: Exception, at: Position) -> Diagnostic:
        match exc:
            case Stopped():
                return exc.diagnostic
            case UnknownName():
                return self._unknown(exc, at)
            case UndefinedError():
                return error("T002", _words(exc), at)
            case TemplateNotFound():
                return self._not_found(exc, at)
            case Outside():
                return error(
                    "T004",
                    f'"{_short(str(exc))}" is outside the project: no template is read from there',
                    at,
                    "copy the file into the project, and name it from the project's folder",
                )
            case Exceeded():
                return exceeded(str(exc), at)
            case RecursionError():
                return exceeded("the template is nested too deeply", at)
            case MemoryError() | OverflowError():
                return exceeded("the template computes with something too large", at)
            case SecurityError():
                return error(
                    "T006", _words(exc), at, "a template reads values and calls its own macros"
                )
            case _:
                return error(
                    "T007",
                    f"{type(exc).__name__}: {_words(exc)}",
                    at,
                    "check what the values here are; |string, |int and |list convert them",
                )

    def _unknown(self, exc: UnknownName, at: Position) -> Diagnostic:
        name = exc.name
        if exc.place is None or not isinstance(name, str):
            fix = "give it a value, or test it: {% if … is defined %}"
            return error("T002", _words(exc), at, fix)
        made = next(each for each in self.compiled.values() if each.source.name == exc.place[0])
        source, offset = made.source, exc.place[1]
        at = source.place(offset)
        if exc.obj is nothing:
            known = {*self.variables, *made.stored, *sandbox(True).globals}
            message = f'"{name}" is not defined'
            fix = (
                f"define {name} under [app] variables in upm-dev.toml, or give it a default:"
                f" {{{{ {name}|default('...') }}}}"
            )
        else:
            found = _EXPRESSION.match(source.text, offset)
            asked = found[0] if found else name
            known = set(_members(exc.obj))
            message = f'"{asked}" is not defined: there is no "{name}" in it'
            fix = f"it has {', '.join(sorted(known)[:8])}" if known else ""
            if asked.startswith(("env.", "env[")):
                fix = f'allow it in upm-dev.toml: [app] env = ["{name}"], and set it'
        if (near := _near(name, known)) is not None:
            fix = f'did you mean "{near}"?'
        return error("T002", message, at, fix)

    def _not_found(self, exc: TemplateNotFound, at: Position) -> Diagnostic:
        name = str(exc.name or exc)
        near = _near(name, self.files)
        tried = candidates(name, at.file)
        return error(
            "T003",
            f'"{_short(name)}" is not there',
            at,
            f'did you mean "{near}"?' if near else "make the file, or mend its name",
            notes=(f"looked for {_short(' and '.join(tried), 200)}",) if tried else (),
        )


def _loop_values(frames: Frames) -> list[str]:
    """What the loops around the place were at, for the innermost template frame."""
    if not frames:
        return []
    made, _, frame = frames[-1]
    told = []
    for name, value in frame.f_locals.items():
        # The generated code calls them l_1_item: level and name.
        level, _, variable = name.removeprefix("l_").partition("_")
        if not name.startswith("l_") or not level.isdigit() or variable not in made.loop_names:
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


def syntax(source: Source, exc: TemplateSyntaxError) -> Diagnostic:
    """T001 for what the parser or the compiler says; its `lineno` is an offset."""
    message = (exc.message or "").rstrip(".")
    at = source.place(min(exc.lineno or 0, len(source.text)))
    if found := _UNKNOWN_TAG.match(message):
        near = _near(found[1], _TAGS)
        message = f'there is no tag "{found[1]}"' + message[found.end() :]
        return error("T001", message, at, f'did you mean "{near}"?' if near else "")
    if found := _UNKNOWN_FILTER.match(message):
        return _no_filter(found[1], found[2], at)
    if message.lower().startswith("unexpected end of template"):
        unclosed = _unclosed(source)
        if unclosed is not None:
            tag, offset = unclosed
            return error(
                "T001",
                f'"{tag}" is never closed',
                source.place(offset),
                f"add {{% end{tag} %}}",
                (f"the file ends on line {source.place(len(source.text)).line}",),
            )
    return error("T001", message, at)


def _no_filter(kind: str, name: str, at: Position) -> Diagnostic:
    environment = sandbox(True)
    near = _near(name, environment.filters if kind == "filter" else environment.tests)
    message = f'there is no {kind} "{name}"'
    if kind == "filter" and name in ABSENT:
        message += f" here: {ABSENT[name]}"
    return error("T001", message, at, f'did you mean "{near}"?' if near else "")


def _unclosed(source: Source) -> tuple[str, int] | None:
    """The innermost tag that is open at the end, and its offset."""
    opened: list[tuple[str, int]] = []
    tag, inline, start = "", False, 0
    for offset, kind, value in located(source):
        if kind == "block_begin":
            tag, inline, start = "", False, offset
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


def exceeded(what: str, at: Position) -> Diagnostic:
    """T005: a limit of rendering."""
    fix = "a descriptor needs little: look for a loop or a width that is too large"
    return error("T005", what, at, fix)


def too_large(source: Source, exc: TooLarge) -> Diagnostic:
    """T005: a limit of compiling."""
    fix = "write what repeats as a loop over variables, or as a macro"
    return error("T005", str(exc), source.place(exc.offset), fix)


def error(
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
