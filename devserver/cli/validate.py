"""`upm-dev validate`: what is wrong with descriptors, where it was written."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver.cli.options import shared

if TYPE_CHECKING:
    from devserver.cli.checking import Checked

FORMATS = ("text", "json", "github", "sarif", "junit")


def _codes(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """`--ignore X2,G005` and `--ignore X2 --ignore G005` alike."""
    return tuple(each.strip() for text in value for each in text.split(",") if each.strip())


@click.command(name="validate")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATH]...")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="text: frames.")
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--select", multiple=True, callback=_codes, metavar="IDS", help="Only these rules.")
@click.option("--ignore", multiple=True, callback=_codes, metavar="IDS", help="Not these: X2,G005.")
@click.option("--fix", is_flag=True, help="Make the edits that are safe, and show them.")
@click.option("--dry-run", is_flag=True, help="With --fix: show the edits, write nothing.")
@click.option("--built", is_flag=True, help="What is deployed: no placeholder may be left.")
@click.option("--product", metavar="NAME", help="For this product: jira, confluence:9, ...")
@click.option("--profile", metavar="NAME", help="For this kind of host: dc, cloud, connect, ...")
@click.option("--target", metavar="URL|NAME", help="For this host, as far as its address tells.")
@shared("quiet", "no_color")
@click.pass_context
def command(ctx: click.Context, /, paths: tuple[Path, ...], **given: Any) -> None:
    """Check descriptors: projects, folders, templates, .xml, .json, .jar.

    With -, a descriptor is read from standard input: as it is, for a template needs its project.
    Folders are searched. Nothing of the project is run. Exit code 0: no errors; 1: errors; 2: the
    command line or the settings are wrong.
    """
    from devserver.cli.checking import Asked, check

    asked = Asked(
        strict=given["strict"],
        select=given["select"],
        ignore=given["ignore"],
        built=given["built"],
        product=given["product"],
        profile=given["profile"],
        target=given["target"],
        quiet=given["quiet"],
    )
    checked = check(paths or (Path(),), asked)
    if given["fix"] or given["dry_run"]:
        from devserver.cli.fixing import mend

        checked = mend(checked, asked, paths or (Path(),), dry_run=given["dry_run"])
    _write(ctx, checked, given["form"], quiet=given["quiet"])
    if any(each.is_error for each in checked.diagnostics):
        ctx.exit(1)


def _write(ctx: click.Context, checked: "Checked", form: str, *, quiet: bool) -> None:
    from devserver import colours
    from devserver.descriptor import report

    diagnostics, files = checked.diagnostics, checked.files
    if form == "text":
        colour = colours.wanted(ctx.find_root().color, sys.stdout)
        shown = [each for each in diagnostics if each.is_error] if quiet else diagnostics
        click.echo(report.text(shown, files, colour=colour), nl=False)
        if not quiet:
            click.echo(report.summary(diagnostics))
    elif form == "json":
        click.echo(report.json(diagnostics, checked.names))
    else:
        from devserver.descriptor import formats

        if form == "github":
            click.echo(formats.github(diagnostics), nl=False)
        elif form == "sarif":
            click.echo(formats.sarif(diagnostics))
        else:
            click.echo(formats.junit(diagnostics, checked.names), nl=False)
