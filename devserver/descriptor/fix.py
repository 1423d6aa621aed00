"""Safe edits put into a text: each at its place, none where the text is not what was expected."""

import difflib
from collections.abc import Iterable

from devserver.descriptor.decode import LINE_BREAK
from devserver.descriptor.visible import visible
from devserver.model import Diagnostic


def fixed(text: str, diagnostics: Iterable[Diagnostic]) -> tuple[str, tuple[Diagnostic, ...]]:
    """*text* with the edits of these diagnostics of one file, and those that could be made.

    An edit whose place in the text holds something else (it came out of an expression or a macro)
    is left out, as is one that overlaps an earlier one.
    """
    starts = [0, *(found.end() for found in LINE_BREAK.finditer(text))]
    made: list[tuple[int, int, str, Diagnostic]] = []
    for each in diagnostics:
        edit = each.edit
        if edit is None or not 0 < edit.position.line <= len(starts):
            continue
        start = starts[edit.position.line - 1] + edit.position.column - 1
        end = start + edit.length
        if text[start:end] != edit.old:
            continue
        if any(start < other_end and other_start < end for other_start, other_end, *_ in made):
            continue
        made.append((start, end, edit.text, each))
    for start, end, new, _ in sorted(made, key=lambda one: one[:2], reverse=True):
        text = text[:start] + new + text[end:]
    return text, tuple(each for *_, each in made)


def unified(name: str, old: str, new: str) -> str:
    """The difference as `diff -u` shows it, nothing raw in it."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
    return visible("".join(line if line.endswith("\n") else f"{line}\n" for line in lines))
