"""`upm-dev render`: the exact bytes that would be served."""

import sys
from pathlib import Path
from typing import Any

import click

from devserver.cli.options import project, settings_of, shared


@click.command(name="render")
@project
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    help="json: one document with the text and what is wrong with it.",
)
@click.option("--check/--no-check", default=True, help="Fail where the descriptor has errors.")
@shared("target", "public_url", "port", "no_color")
@click.pass_context
def command(ctx: click.Context, /, project: Path, form: str, check: bool, **given: Any) -> None:
    """Write the descriptor of PROJECT as it would be served.

    Errors go to stderr, and with them exit code 1; the descriptor is written all the same where
    there is one.
    """
    from devserver import colours
    from devserver.cli.reading import read
    from devserver.descriptor import report
    from devserver.descriptor.examine import SERVED

    settings = settings_of(project, given)
    target = settings.targets[0] if settings.targets else None
    reading = read(settings, SERVED, target)
    errors = [each for each in reading.diagnostics if each.is_error]
    examined = reading.examined
    text = examined.text if examined else None
    if form == "json":
        click.echo(report.rendered(reading.name, text, reading.diagnostics))
    else:
        if errors:
            colour = colours.wanted(ctx.find_root().color, sys.stderr)
            click.echo(report.text(errors, reading.files, colour=colour), err=True, nl=False)
        if examined and examined.descriptor:
            sys.stdout.buffer.write(examined.descriptor.body)
            sys.stdout.buffer.flush()
        elif text is not None:
            sys.stdout.buffer.write(text.encode("utf-8", "replace"))
            sys.stdout.buffer.flush()
    if errors and check:
        ctx.exit(1)
