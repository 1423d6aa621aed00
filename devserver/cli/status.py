"""`upm-dev status`: per target, what is installed, whose it is, whether it is the newest."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver.cli import options
from devserver.errors import WORST_FIRST, TargetError

if TYPE_CHECKING:
    from devserver.model import Descriptor
    from devserver.settings import Settings
    from devserver.upm.client import Upm
    from devserver.upm.journal import Entry


@click.command
@options.project
@options.shared("target", "user", "json", "trust", "timeout", "quiet", "no_color")
def command(project: Path, **given: object) -> None:
    """What PROJECT's targets run, whose it is, and what killed runs left behind anywhere."""
    import asyncio

    from devserver.upm.journal import Journal, default_path

    settings = options.settings_of(project, given)
    path = default_path()
    journal = Journal(path)
    entries = journal.entries() if path.exists() else ()
    journal.close()
    targets, failed = asyncio.run(_look(settings, entries))
    orphans = [_orphan(each) for each in entries if each.is_orphan]
    if settings.json:
        click.echo(json.dumps({"v": 1, "targets": targets, "orphans": orphans}, indent=2))
    else:
        _show(targets, orphans)
    raise SystemExit(next((each.exit_code for each in WORST_FIRST if each in failed), 0))


async def _look(
    settings: "Settings", entries: "tuple[Entry, ...]"
) -> tuple[list[dict[str, Any]], set[type[TargetError]]]:
    """A document for each target, all asked at once, and the kinds of failure there were."""
    import asyncio

    from devserver.cli.once import descriptors, upms

    if not settings.targets:
        return [], set()
    wanted = descriptors(settings)
    known = {(each.url, each.key): each for each in entries}
    async with upms(settings) as found, asyncio.TaskGroup() as tasks:
        looks = [tasks.create_task(_one(upm, wanted[name], known)) for name, upm in found.items()]
    failed = {kind for look in looks for kind in look.result()[1]}
    return [look.result()[0] for look in looks], failed


async def _one(
    upm: "Upm", wanted: "Descriptor", known: "Mapping[tuple[str, str], Entry]"
) -> tuple[dict[str, Any], set[type[TargetError]]]:
    target = upm.target
    entry = known.get((target.url, wanted.key))
    document: dict[str, Any] = {
        "target": target.name,
        "url": target.url,
        "key": wanted.key,
        "version": wanted.version,
        "installed": None,
        "ours": entry is not None,
    }
    if entry is not None:
        document["since"] = _when(entry.since)
        document["serve"] = entry.pid if entry.is_tended and not entry.kept else None
    try:
        plugin = await upm.plugin(wanted.key)
    except TargetError as error:
        document.update(code=error.code, reason=error.reason, remedy=error.remedy)
        return document, {each for each in WORST_FIRST if isinstance(error, each)}
    if plugin is not None:
        document["installed"] = {
            "version": plugin.version,
            "enabled": plugin.enabled,
            "name": plugin.name,
            "vendor": plugin.vendor or None,
            "restart": plugin.restart,
        }
        document["newest"] = plugin.version == wanted.version
    return document, set()


def _orphan(entry: "Entry") -> dict[str, Any]:
    return {
        "target": entry.target,
        "url": entry.url,
        "key": entry.key,
        "project": entry.project,
        "since": _when(entry.since),
    }


def _show(targets: list[dict[str, Any]], orphans: list[dict[str, Any]]) -> None:
    if not targets:
        click.echo("no target is configured: upm-dev serve would start a simulated host")
    for each in targets:
        click.echo(f"{each['target']}  {each['url']}")
        click.echo(f"  {_sentence(each)}")
    for each in orphans:
        click.echo(
            f"orphan: {each['key']} on {each['target']} ({each['url']}), left by a run in "
            f"{each['project']} that began {each['since']}"
        )
    if orphans:
        click.echo("  upm-dev unregister --orphans --target URL takes them away")


def _sentence(each: dict[str, Any]) -> str:
    if "reason" in each:
        return f"{each['reason']} [{each['code']}]\n  {each['remedy']}"
    installed = each["installed"]
    if installed is None:
        return f"{each['key']} is not installed"
    whose = "ours" if each["ours"] else f"not ours ({installed['vendor'] or 'vendor unknown'})"
    newest = "the newest" if each["newest"] else f"the project has {each['version']}"
    more = "" if installed["enabled"] else ", disabled"
    more += f", restart needed ({installed['restart']})" if installed["restart"] else ""
    tended = f", kept by serve (process {each['serve']})" if each.get("serve") else ""
    return f"{each['key']} {installed['version']}: {whose}, {newest}{more}{tended}"


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
