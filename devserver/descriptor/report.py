"""Diagnostics as text with code frames, and as JSON."""

from __future__ import annotations

import json as encoder
import re
from collections.abc import Iterable, Mapping
from typing import Any

from devserver.descriptor.visible import one_line, visible
from devserver.model import Diagnostic, Severity

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
_LINES = re.compile(r"\r\n|\r|\n")
WIDTH = 160
"""Characters of a source line that a frame shows."""


def text(diagnostics: Iterable[Diagnostic], files: Mapping[str, str], *, colour: bool) -> str:
    """Each diagnostic with its line of source; *files* has the sources by project-relative name."""
    lines = {name: _LINES.split(source) for name, source in files.items()}
    return "\n".join(_framed(each, lines, colour) for each in diagnostics)


def _framed(diagnostic: Diagnostic, files: Mapping[str, list[str]], colour: bool) -> str:
    paint = _paint if colour else _plain
    tint = _COLOURS[diagnostic.severity]
    position = diagnostic.position
    head = f"{diagnostic.severity.value}[{diagnostic.code}]"
    out = [
        f"{paint(head, '1', tint)}: {paint(one_line(diagnostic.message), '1')}",
        f"  {paint('-->', '34')} {one_line(str(position))}",
    ]
    source = files.get(position.file, [])
    gutter = len(str(position.line))
    if 0 < position.line <= len(source):
        shown, caret = _excerpt(source[position.line - 1], position.column)
        bar = paint("|", "34")
        out += [
            f"{' ' * gutter} {bar}",
            f"{paint(str(position.line), '34')} {bar} {shown}",
        ]
        if position.column:
            out.append(f"{' ' * gutter} {bar} {' ' * caret}{paint('^', tint)}")
    out += [f"{' ' * gutter} {paint('=', '34')} {one_line(note)}" for note in diagnostic.notes]
    if diagnostic.fix:
        out.append(f"{' ' * gutter} {paint('fix:', '32')} {one_line(diagnostic.fix)}")
    return "\n".join(out) + "\n"


def _excerpt(line: str, column: int) -> tuple[str, int]:
    """What is shown of a source line, and how far in the caret stands."""
    first = max(0, column - WIDTH // 2) if len(line) > WIDTH else 0
    before = visible(line[first : max(column - 1, first)].replace("\t", "    "))
    after = visible(line[max(column - 1, first) : first + WIDTH].replace("\t", "    "))
    lead = "..." if first else ""
    return f"{lead}{before}{after}".rstrip(), len(lead) + len(before)


def _paint(words: str, *codes: str) -> str:
    return f"\x1b[{';'.join(codes)}m{words}\x1b[0m"


def _plain(words: str, *_codes: str) -> str:
    return words


def json(diagnostics: Iterable[Diagnostic], names: Iterable[str] = ()) -> str:
    """One document: `{"v": 1, "errors": 1, "warnings": 0, "files": […], "diagnostics": […]}`."""
    from devserver.events import diagnostic_to_json  # asyncio costs 40 ms

    found = list(diagnostics)
    document: dict[str, Any] = {
        "v": 1,
        "errors": count(found, Severity.ERROR),
        "warnings": count(found, Severity.WARNING),
        "files": sorted(names),
        "diagnostics": [diagnostic_to_json(each) for each in found],
    }
    return encoder.dumps(document, indent=2)


def rendered(name: str, source: str | None, diagnostics: Iterable[Diagnostic]) -> str:
    """`{"v": 1, "descriptor": "…", "text": "…" or null, "diagnostics": […]}`."""
    from devserver.events import diagnostic_to_json

    found = [diagnostic_to_json(each) for each in diagnostics]
    return encoder.dumps({"v": 1, "descriptor": name, "text": source, "diagnostics": found})


def count(diagnostics: Iterable[Diagnostic], severity: Severity) -> int:
    return sum(each.severity is severity for each in diagnostics)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`; `no problems` where there are none."""
    found = list(diagnostics)
    parts = []
    for severity, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning")):
        if number := count(found, severity):
            parts.append(f"{number} {word}{'s' if number > 1 else ''}")
    if remarks := count(found, Severity.INFO):
        parts.append(f"{remarks} remark{'s' if remarks > 1 else ''}")
    return ", ".join(parts) or "no problems"
