"""`upm-dev status`: per target, what is installed, whose it is, whether it is the newest."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver.cli import once, options
from devserver.errors import WORST_FIRST, TargetError

if TYPE_CHECKING:
    from devserver.datacenter.plugin import Plugin
    from devserver.model import Descriptor
    from devserver.settings import Settings
    from devserver.upm.answers import Plugin as Listed
    from devserver.upm.client import Upm
    from devserver.upm.journal import Entry


@click.command
@options.project
@options.shared(
    "target", "user", "json", "trust", "timeout", "resources", "classes", "yes", "quiet", "no_color"
)
def command(project: Path, **given: object) -> None:
    """What PROJECT's targets run, whose it is, and what killed runs left behind anywhere."""
    from contextlib import closing

    from devserver import eventloop
    from devserver.upm.journal import Journal, default_path

    settings = options.settings_of(project, given)
    with closing(Journal(default_path())) as journal:
        entries = journal.entries() if journal.path.exists() else ()
    orphans = [_orphan(each) for each in entries if each.is_orphan]
    targets: list[dict[str, Any]] = []
    failed: set[type[TargetError]] = set()
    try:
        targets, failed = eventloop.run(_look(settings, entries))
    finally:  # what was left behind is told even where the descriptor is broken
        if settings.json:
            click.echo(json.dumps({"v": 1, "targets": targets, "orphans": orphans}, indent=2))
        else:
            _show(settings, targets, orphans)
    raise SystemExit(next((each.exit_code for each in WORST_FIRST if each in failed), 0))


async def _look(
    settings: "Settings", entries: "tuple[Entry, ...]"
) -> tuple[list[dict[str, Any]], set[type[TargetError]]]:
    """A document for each target, all asked at once, and the kinds of failure there were."""
    import asyncio

    if not settings.targets:
        return [], set()
    plugin = once.plugin_of(settings)
    wanted = once.descriptors(settings, plugin=plugin)
    known = {(each.url, each.key): each for each in entries}
    async with once.upms(settings) as found, asyncio.TaskGroup() as tasks:
        looks = [
            tasks.create_task(_one(upm, wanted[name], known, plugin)) for name, upm in found.items()
        ]
    failed = {kind for look in looks for kind in look.result()[1]}
    return [look.result()[0] for look in looks], failed


async def _one(
    upm: "Upm",
    wanted: "Descriptor",
    known: "Mapping[tuple[str, str], Entry]",
    plugin: "Plugin | None",
) -> tuple[dict[str, Any], set[type[TargetError]]]:
    from devserver.addresses import is_this_machine

    target = upm.target
    entry = known.get((target.url, wanted.key))
    # The SDK installs a plugin's JAR on this machine by itself: it is ours when its key is.
    adopted = plugin is not None and is_this_machine(target.url)
    document: dict[str, Any] = {
        "target": target.name,
        "url": target.url,
        "key": wanted.key,
        "version": wanted.version,
        "installed": None,
        "ours": entry is not None or adopted,
    }
    if entry is not None:
        document["since"] = entry.began
        document["serve"] = entry.pid if entry.is_tended and not entry.kept else None
    try:
        listed = await upm.plugin(wanted.key)
    except TargetError as error:
        document.update(code=error.code, reason=error.reason, remedy=error.remedy)
        return document, {each for each in WORST_FIRST if isinstance(error, each)}
    if listed is not None:
        document["installed"] = {
            "version": listed.version,
            "enabled": listed.enabled,
            "name": listed.name,
            "vendor": listed.vendor or None,
            "restart": listed.restart,
        }
        document |= _newest(listed, wanted, plugin, entry)
    return document, set()


def _newest(
    listed: "Listed", wanted: "Descriptor", plugin: "Plugin | None", entry: "Entry | None"
) -> dict[str, Any]:
    """Whether it is what the project has now: for a JAR by our mark in it, else by the version.

    Of what we put there ourselves the journal knows every byte but our address.
    """
    if plugin is None:
        same = entry is None or entry.digest in (wanted.anywhere, wanted.digest)
        return {"newest": same and listed.version == wanted.version}
    from devserver.descriptor.mark import mark_in

    mark = mark_in(listed.description)
    return {"newest": mark is not None and wanted.digest[:12] in mark, "mark": mark}


def _orphan(entry: "Entry") -> dict[str, Any]:
    return {
        "target": entry.target,
        "url": entry.url,
        "key": entry.key,
        "project": entry.project,
        "since": entry.began,
    }


def _show(
    settings: "Settings", targets: list[dict[str, Any]], orphans: list[dict[str, Any]]
) -> None:
    if not settings.targets:
        once.say("no target is configured: upm-dev serve would start a simulated host")
    width = max((len(each["target"]) for each in targets), default=0)
    for each in targets:
        once.say(f"{each['target']:<{width}}  {each['url']}")
        once.say(f"  {_sentence(each)}")
    for each in orphans:
        once.say(
            f"orphan: {each['key']} on {each['target']} ({each['url']}), left by a run in "
            f"{each['project']} that began {each['since']}"
        )
    if orphans:
        once.say("  upm-dev unregister --orphans takes them away")


def _sentence(each: dict[str, Any]) -> str:
    if "reason" in each:
        return f"{each['reason']} [{each['code']}]\n  {each['remedy']}"
    installed = each["installed"]
    if installed is None:
        missing = f"{each['key']} is not installed"
        left = ", though upm-dev had installed it: removed there" if each["ours"] else ""
        return missing + (left if "since" in each else "")
    whose = "ours" if each["ours"] else f"not ours ({installed['vendor'] or 'vendor unknown'})"
    more = "" if installed["enabled"] else ", disabled"
    more += f", restart needed ({installed['restart']})" if installed["restart"] else ""
    tended = f", kept by serve (process {each['serve']})" if each.get("serve") else ""
    return f"{each['key']} {installed['version']}: {whose}, {_age(each)}{more}{tended}"


def _age(each: dict[str, Any]) -> str:
    if each["newest"]:
        return "the newest"
    if "mark" not in each and each["installed"]["version"] != each["version"]:
        return f"the project has {each['version']}"
    if "mark" not in each:
        return "not the newest: the project renders another one now"
    return "not the newest" if each["mark"] else "as a build made it, not upm-dev"
