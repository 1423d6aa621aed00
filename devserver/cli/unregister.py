"""`upm-dev unregister`: take our app away from its targets, or what a crash left behind."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from devserver.cli import options
from devserver.errors import WORST_FIRST, TargetError, UpmDevError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devserver.settings import Settings
    from devserver.upm.journal import Entry, Journal


@click.command
@options.project
@options.shared("target", "user", "trust", "timeout", "quiet", "no_color")
@click.option("--orphans", is_flag=True, help="What killed runs left behind, of any project.")
def command(project: Path, orphans: bool, **given: object) -> None:
    """Take PROJECT's app away from its targets: what upm-dev installed there, nothing else."""
    import asyncio

    from devserver.cli import beside
    from devserver.upm.journal import Journal, default_path

    settings = options.settings_of(project, given)
    if not settings.targets:
        raise UsageError(
            "there is no target to unregister from",
            remedy="give --target URL, or write one under [targets.NAME] in upm-dev.toml",
        )
    if not orphans:
        beside.refuse_to_fight(settings)
    journal = Journal(default_path())
    urls = {each.url for each in settings.targets}
    ours = [each for each in journal.entries() if each.url in urls]
    chosen = [
        each for each in ours if (each.is_orphan if orphans else each.project == str(settings.root))
    ]
    if not chosen:
        what = "no orphan" if orphans else f"nothing of {settings.root}"
        click.echo(f"{what} is on {', '.join(sorted(urls))}, as far as upm-dev knows")
    failed = asyncio.run(_remove(settings, journal, chosen))
    journal.close()
    raise SystemExit(next((each.exit_code for each in WORST_FIRST if each in failed), 0))


async def _remove(
    settings: "Settings", journal: "Journal", entries: "Iterable[Entry]"
) -> set[type[TargetError]]:
    """Uninstall *entries*; the kinds of failure that there were."""
    from devserver.cli.once import upms

    failed: set[type[TargetError]] = set()
    async with upms(settings) as found:
        by_url = {upm.target.url: upm for upm in found.values()}
        for entry in entries:
            upm = by_url[entry.url]
            try:
                there = await upm.plugin(entry.key)
                if there is not None and not there.user_installed:
                    click.echo(f"{entry.target}: {entry.key} came with the product and stays")
                    journal.gone(entry.url, entry.key)
                    continue
                await upm.uninstall(entry.key)
            except TargetError as error:
                failed.update(each for each in WORST_FIRST if isinstance(error, each))
                click.echo(f"{entry.target}: {entry.key} stays: {_told(error)}", err=True)
                continue
            journal.gone(entry.url, entry.key)
            click.echo(f"{entry.target}: {entry.key} is gone")
    return failed


def _told(error: UpmDevError) -> str:
    return f"{error.reason} [{error.code}]\n  {error.remedy}"
