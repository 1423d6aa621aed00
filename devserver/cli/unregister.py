"""`upm-dev unregister`: take our app away from its targets, or what a crash left behind."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from devserver.cli import consent, once, options, questions
from devserver.errors import WORST_FIRST, TargetError, TargetUnavailable, UsageError

if TYPE_CHECKING:
    from devserver.model import Target
    from devserver.settings import Settings
    from devserver.upm.client import Upm
    from devserver.upm.journal import Entry, Journal


@click.command
@options.project
@options.shared("target", "user", "trust", "timeout", "yes", "quiet", "no_color")
@click.option(
    "--orphans", is_flag=True, help="What killed runs left behind, of any project, on any target."
)
@click.option(
    "--forget",
    is_flag=True,
    help="With --orphans: forget those that cannot be taken away, as their host is gone.",
)
def command(project: Path, orphans: bool, forget: bool, **given: object) -> None:
    """Take PROJECT's app away from its targets: what upm-dev installed there, nothing else.

    With --orphans it is what killed runs left, wherever that was; --target names some of them.
    """
    from contextlib import closing

    from devserver import eventloop
    from devserver.cli import beside
    from devserver.upm.journal import Journal, default_path

    if forget and not orphans:
        raise UsageError("--forget goes with --orphans", remedy="add --orphans")
    settings = options.settings_of(project, given)
    if not orphans:
        once.require_targets(settings, "unregister from")
        beside.refuse_to_fight(settings)
    with closing(Journal(default_path())) as journal:
        known = journal.entries() if journal.path.exists() else ()
        if orphans:
            chosen = _orphans(settings, known, everywhere=not given["target"])
        else:
            urls = {each.url for each in settings.targets}
            root = str(settings.root)
            chosen = [each for each in known if each.url in urls and each.project == root]
        if not chosen:
            what = "no orphan" if orphans else f"nothing of {settings.root}"
            once.say(f"{what} is left on any target, as far as upm-dev knows")
            return
        user = str(given["user"] or "") or settings.environ.get("UPM_DEV_USER")
        failed = eventloop.run(_remove(settings, journal, chosen, user=user, forget=forget))
    raise SystemExit(next((each.exit_code for each in WORST_FIRST if each in failed), 0))


def _orphans(settings: "Settings", known: "Iterable[Entry]", *, everywhere: bool) -> "list[Entry]":
    urls = {each.url for each in settings.targets}
    return [each for each in known if each.is_orphan and (everywhere or each.url in urls)]


async def _remove(
    settings: "Settings",
    journal: "Journal",
    entries: "Sequence[Entry]",
    *,
    user: str | None,
    forget: bool,
) -> set[type[TargetError]]:
    """Uninstall *entries*, on all targets at once; the kinds of failure that there were."""
    import asyncio

    settings = replace(settings, targets=tuple(_targets(settings, entries, user)))
    project = {each.url: Path(each.project) for each in entries}
    permissions = consent.of(settings, questions.confirm(), root=lambda t: project[t.url])
    async with once.upms(settings, permissions) as found:
        by_url = {upm.target.url: upm for upm in found.values()}
        async with asyncio.TaskGroup() as tasks:
            removals = [
                (each, tasks.create_task(_uninstall(by_url[each.url], each))) for each in entries
            ]
    failed: set[type[TargetError]] = set()
    gone: list[Entry] = []
    for entry, removal in removals:
        outcome = removal.result()
        if isinstance(outcome, str):
            gone.append(entry)
            once.say(f"{entry.target}: {outcome}")
        elif forget or _is_given_up(entry, outcome):
            gone.append(entry)
            once.say(f"{entry.target}: {entry.key} is forgotten: {outcome.reason}")
        else:
            failed.update(each for each in WORST_FIRST if isinstance(outcome, each))
            once.say(f"{entry.target}: {entry.key} stays: {once.told(outcome)}", err=True)
            if entry.is_orphan:
                once.say("  if that host is gone for good: --orphans --forget", err=True)
    for entry in gone:  # last: a journal that is broken hides nothing of the above
        journal.gone(entry.url, entry.key)
    return failed


def _is_given_up(entry: "Entry", error: TargetError) -> bool:
    """Whether the user says that an orphan's host will not come back."""
    ask = questions.confirm()
    if ask is None or not entry.is_orphan or not isinstance(error, TargetUnavailable):
        return False
    return ask(f"{entry.target} ({entry.url}): {error.reason}. Forget {entry.key} there?")


async def _uninstall(upm: "Upm", entry: "Entry") -> str | TargetError:
    """What became of it, for the user."""
    try:
        there = await upm.plugin(entry.key)
        if there is None:
            return f"{entry.key} was gone already"
        if not there.user_installed:
            return f"{entry.key} came with the product and stays"
        await upm.uninstall(entry.key)
    except TargetError as error:
        return error
    return f"{entry.key} is gone"


def _targets(settings: "Settings", entries: "Iterable[Entry]", user: str | None) -> "list[Target]":
    """The targets of *entries*: those of the settings where they are the same hosts.

    The others have names that no target of this project has: a name leads to a password.
    """
    from devserver.model import Target

    known = {each.url: each for each in settings.targets}
    for each in entries:
        if each.url not in known:
            name = f"{each.target}@{each.url.partition('://')[2]}"
            known[each.url] = Target(name=name, url=each.url, user=user)
    return [known[url] for url in dict.fromkeys(each.url for each in entries)]
