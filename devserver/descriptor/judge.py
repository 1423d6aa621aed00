"""From a rendered text to a verdict: parse, run the rules, place what they found.

Errors are placed at once; the rest when asked for, which `serve` does once the install is on its
way: placing costs more than finding.
"""

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from itertools import islice

from devserver.descriptor.describe import describe
from devserver.descriptor.document import (
    ENOUGH,
    Context,
    Document,
    Flaw,
    Parsed,
    Place,
    Point,
    Problem,
)
from devserver.descriptor.ignores import ignored
from devserver.descriptor.rules import Rule, rules_for
from devserver.model import Descriptor, Diagnostic, Edit, Position, Severity


class Placer:
    """The way from a place in the judged text to the file that the user edits: the same file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def position(self, point: Point) -> Position:
        return Position(self._name, point.line, point.column)

    def notes(self, point: Point, position: Position) -> tuple[str, ...]:
        """What helps to see how *position* became what is wrong at *point*."""
        return ()


Found = tuple[str, Severity, Problem]
Hushed = Callable[[str, Point], bool] | None

MAX_DIAGNOSTICS = 1000
"""More of them help nobody, and placing costs time."""
MAX_OF_A_KIND = 200
"""Of one id and severity: the rest is counted in one line."""


class Examined:
    """What is known of one descriptor: its text, its value where it is good, what is wrong."""

    def __init__(
        self,
        text: str | None,
        *,
        errors: tuple[Diagnostic, ...] = (),
        descriptor: Descriptor | None = None,
        document: Document | None = None,
        later: Callable[[], tuple[Diagnostic, ...]] = tuple,
        placer: Placer | None = None,
    ) -> None:
        self.text = text
        self.errors = errors
        self.descriptor = descriptor
        self.document = document
        self.placer = placer
        """The way from `text` to the user's files, where there is a text."""
        self._later = later

    def also(
        self,
        found: "Iterable[Found]",
        more: Iterable[Diagnostic] = (),
        *,
        descriptor: Descriptor | None,
    ) -> "Examined":
        """The same with what others found in it, and *descriptor* where that is no error."""
        assert self.placer is not None
        placed = [*(_place(*each, self.document, self.placer) for each in found), *more]
        errors = tuple(each for each in placed if each.is_error)
        rest = tuple(each for each in placed if not each.is_error)
        return Examined(
            self.text,
            errors=tuple(sorted((*self.errors, *errors), key=_order)),
            descriptor=None if errors else descriptor,
            document=self.document,
            later=lambda: tuple(sorted((*self.warnings(), *rest), key=_order)),
            placer=self.placer,
        )

    def warnings(self) -> tuple[Diagnostic, ...]:
        """Everything below an error, placed, in source order; worked out at the first call."""
        return self._warnings

    @cached_property
    def _warnings(self) -> tuple[Diagnostic, ...]:
        return self._later()

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Errors and the rest, in source order."""
        return tuple(sorted((*self.errors, *self.warnings()), key=_order))


def judge(
    text: str,
    body: bytes,
    is_json: bool,
    flaws: tuple[Flaw, ...],
    placer: Placer,
    context: Context,
) -> Examined:
    """Examine a text that is rendered already; *placer* leads from it to the user's files."""
    parsed = parse(text, is_json, context)
    flaws = (*flaws, *parsed.flaws)
    document = parsed.document
    if document is None:
        return failed(text, flaws, placer)
    hushed = ignored(text, document)
    found = _few(((flaw.code, flaw.severity, flaw.problem) for flaw in flaws), document, hushed)
    later: list[Rule] = []
    for each in rules_for(document.kind):
        if each.severity is not Severity.ERROR:
            later.append(each)
            continue
        problems = _run(each, document, hushed)
        found += problems
        if each.code == "G007" and any(severity is Severity.ERROR for _, severity, _ in problems):
            found, later = problems, []
            break
    errors = [each for each in found if each[1] is Severity.ERROR]
    placed = (_place(*each, document, placer) for each in errors[:MAX_DIAGNOSTICS])
    return Examined(
        text,
        errors=tuple(sorted(placed, key=_order)),
        descriptor=None if errors else describe(document, body),
        document=document,
        later=partial(_warn, document, found, later, hushed, placer),
        placer=placer,
    )


def parse(text: str, is_json: bool, context: Context) -> Parsed:
    if is_json:
        from devserver.descriptor import json

        return json.parse(text, context)
    from devserver.descriptor import xml

    return xml.parse(text, context)


def _warn(
    document: Document,
    found: list[Found],
    rules: Iterable[Rule],
    hushed: Hushed,
    placer: Placer,
) -> tuple[Diagnostic, ...]:
    """Run the rules that could wait; place what they find and what was found before."""
    rest = [each for each in found if each[1] is not Severity.ERROR]
    for each in rules:
        rest += _run(each, document, hushed)
    placed = (_place(*each, document, placer) for each in rest[:MAX_DIAGNOSTICS])
    return tuple(sorted(placed, key=_order))


def _run(each: Rule, document: Document, hushed: Hushed) -> list[Found]:
    found = (
        (each.code, problem.severity or each.severity, problem) for problem in each.check(document)
    )
    few = _few(islice(found, ENOUGH), document, hushed)
    if each.severity is Severity.ERROR and not any(
        severity is each.severity for _, severity, _ in few
    ):
        # An error keeps an app from being installed, however many warnings come before it.
        errors = (other for other in found if other[1] is Severity.ERROR)
        few += islice(_shown(errors, document, hushed), 1)
    return few


def _few(found: Iterable[Found], document: Document | None, hushed: Hushed) -> list[Found]:
    """Those that are shown; of many alike the first, and how many more.

    None is kept or placed that is not shown: there may be as many as there are modules.
    """
    few: list[Found] = []
    counts: dict[tuple[str, Severity], int] = {}
    firsts: dict[tuple[str, Severity], Place] = {}
    for each in _shown(found, document, hushed):
        code, severity, problem = each
        kind = code, severity
        counts[kind] = count = counts.get(kind, 0) + 1
        if count <= MAX_OF_A_KIND:
            few.append(each)
        elif count == MAX_OF_A_KIND + 1:
            firsts[kind] = problem.at
    for kind, at in firsts.items():
        least = "at least " if sum(counts.values()) >= ENOUGH else ""
        more = f"{least}{counts[kind] - MAX_OF_A_KIND:,} more of {kind[0]} from here on, not shown"
        few.append((*kind, Problem(at, more, "mend those above first")))
    return few


def _shown(found: Iterable[Found], document: Document | None, hushed: Hushed) -> Iterable[Found]:
    """Without those that a comment asks to leave out."""
    if hushed is None or document is None:
        return found
    return (each for each in found if not hushed(each[0], document.locate(each[2].at)))


def failed(text: str | None, flaws: tuple[Flaw, ...], placer: Placer) -> Examined:
    found = _few(((f.code, f.severity, f.problem) for f in flaws), None, None)
    placed = [_place(*each, None, placer) for each in found]
    return Examined(
        text,
        errors=tuple(each for each in placed if each.is_error),
        later=lambda: tuple(each for each in placed if not each.is_error),
    )


def _place(
    code: str, severity: Severity, problem: Problem, document: Document | None, placer: Placer
) -> Diagnostic:
    def point(place: Place) -> Point:
        if document is not None:
            return document.locate(place)
        return place if isinstance(place, Point) else Point(1, 1)

    def position(place: Place) -> Position:
        return placer.position(point(place))

    here = position(problem.at)
    notes = [*problem.notes, *placer.notes(point(problem.at), here)]
    for words, place in problem.also:
        there = position(place)
        where = f"line {there.line}, column {there.column}"
        notes.append(f"{words} {where}" if there.file == here.file else f"{words} {there}")
    edit = None
    if problem.edit is not None:
        change = problem.edit
        edit = Edit(position(change.at), len(change.old), change.new, change.old)
    return Diagnostic(
        code=code,
        severity=severity,
        message=problem.message,
        position=here,
        fix=problem.fix,
        notes=tuple(notes),
        edit=edit,
    )


def _order(diagnostic: Diagnostic) -> tuple[Position, str]:
    return (diagnostic.position, diagnostic.code)
