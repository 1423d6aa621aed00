"""`validate --fix`: the safe edits written to the files that the user edits, templates too."""

from collections.abc import Iterable
from pathlib import Path

import click

from devserver.cli.checking import Asked, Checked, check
from devserver.descriptor.fix import fixed, unified
from devserver.files import replaced

MAX_ROUNDS = 5
"""An edit may bring another one to light; more rounds than this do not end."""


def mend(checked: Checked, asked: Asked, paths: Iterable[Path], *, dry_run: bool) -> Checked:
    """Make what edits there are, show them on stderr, and check again what is left."""
    given = tuple(paths)
    for _ in range(MAX_ROUNDS):
        if not _round(checked, dry_run=dry_run) or dry_run:
            return checked
        checked = check(given, asked)
    return checked


def _round(checked: Checked, *, dry_run: bool) -> bool:
    """Whether a file was changed."""
    changed = False
    for name, path in checked.paths.items():
        found = [
            each
            for each in checked.diagnostics
            if each.edit is not None and each.edit.position.file == name
        ]
        if not found:
            continue
        seen = checked.files[name]
        new, made = fixed(seen, found)
        if not made:
            continue
        if not dry_run and not _write(path, seen, new):
            click.echo(f"{name} has changed meanwhile: nothing written, run it again", err=True)
            continue
        click.echo(unified(name, seen, new), err=True, nl=False)
        changed = True
    return changed


def _write(path: Path, old: str, new: str) -> bool:
    """Replace the file at once, byte order mark and mode kept, if it still says *old*."""
    before = path.read_bytes()
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    if before != mark + old.encode():
        return False
    return replaced(path, before, mark + new.encode())
