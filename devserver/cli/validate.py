"""`upm-dev validate`: what is wrong with a descriptor, where it was written."""

import sys
from pathlib import Path
from typing import Any

import click

from devserver.cli.options import settings_of, shared


@click.command(name="validate")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How to write what was found.",
)
@shared("quiet", "no_color")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[Path, ...], form: str, **given: Any) -> None:
    """Check descriptors: projects, templates, .xml and .json files.

    Exit code 0: no errors; 1: errors; 2: the command line or the settings are wrong.
    """
    from devserver import colours
    from devserver.cli.reading import read
    from devserver.descriptor import report
    from devserver.descriptor.document import Context
    from devserver.model import Diagnostic

    diagnostics: list[Diagnostic] = []
    files: dict[str, str] = {}
    for path in paths or (Path(),):
        reading = read(settings_of(path, given), Context())
        diagnostics += reading.diagnostics
        files |= reading.files
    if form == "json":
        click.echo(report.json(diagnostics, files))
    else:
        colour = colours.wanted(ctx.find_root().color, sys.stdout)
        click.echo(report.text(diagnostics, files, colour=colour), nl=False)
        if not given["quiet"]:
            click.echo(report.summary(diagnostics))
    if any(each.is_error for each in diagnostics):
        ctx.exit(1)
