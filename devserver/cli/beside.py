"""A `serve` of the same project that runs beside this command: it is used, not fought."""

import time
from typing import TYPE_CHECKING

import click

from devserver.errors import NotConfirmed, UsageError

if TYPE_CHECKING:
    from devserver.settings import Settings
    from devserver.upm.journal import Entry

LOOK_EVERY = 0.2


def somebody(settings: "Settings") -> "Entry | None":
    """An installation that another process of ours keeps on one of these targets."""
    import os

    from devserver.upm.journal import Journal, JournalBroken, default_path

    path = default_path()
    if not path.exists():
        return None
    journal = Journal(path)
    urls = {each.url for each in settings.targets}
    try:
        entries = journal.entries()
    except JournalBroken:
        return None  # the command itself says so, when it needs the journal
    finally:
        journal.close()
    return next(
        (
            each
            for each in entries
            if each.url in urls
            and each.project == str(settings.root)
            and each.pid != os.getpid()
            and not each.kept
            and each.is_tended
        ),
        None,
    )


def await_registration(settings: "Settings") -> int:
    """Wait until every target lists the project's descriptor as it is now.

    That is what can be seen from beside: the proof by callback comes to the other process.
    """
    import asyncio

    from devserver.cli.once import descriptors, upms

    wanted = descriptors(settings)

    async def wait() -> int:
        end = time.monotonic() + settings.timeout
        async with upms(settings) as found:
            missing = dict(found)
            while missing and time.monotonic() < end:
                for name, upm in tuple(missing.items()):
                    plugin = await upm.plugin(wanted[name].key)
                    if plugin and plugin.version == wanted[name].version:
                        click.echo(f"{name}: {plugin.key} {plugin.version} is there", err=True)
                        del missing[name]
                if missing:
                    await asyncio.sleep(LOOK_EVERY)
        return NotConfirmed.exit_code if missing else 0

    entry = somebody(settings)
    if entry is not None:
        click.echo(f"upm-dev serve (process {entry.pid}) keeps it registered", err=True)
    return asyncio.run(wait())


def refuse_to_fight(settings: "Settings") -> None:
    """Raises UsageError where a running `serve` would install again what is about to be removed."""
    entry = somebody(settings)
    if entry is not None:
        raise UsageError(
            f"upm-dev serve (process {entry.pid}) keeps {entry.key} registered on {entry.target}",
            remedy="end it with Ctrl-C: it unregisters the app itself",
            code="SERVE-RUNS",
        )
