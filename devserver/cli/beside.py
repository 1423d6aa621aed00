"""A `serve` of the same project that runs beside this command: it is used, not fought."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from devserver import eventloop
from devserver.cli import once
from devserver.errors import TargetUnavailable, UsageError

if TYPE_CHECKING:
    import aiohttp

    from devserver.cli.endings import Endings
    from devserver.model import Target
    from devserver.settings import Settings
    from devserver.upm.journal import Journal, Serving

T = TypeVar("T")

LOOK_EVERY = 0.1
STALE_SECONDS = 3.0
"""A `serve` that has come to rest for so long with something else will not take up what is now."""


def serving(settings: "Settings") -> "Serving | None":
    """The process of ours that serves this project."""
    return _noted(lambda journal: journal.serving(str(settings.root)))


def refuse_to_fight(settings: "Settings") -> None:
    """Raises UsageError where a running `serve` would install again what is about to be removed."""
    found = serving(settings)
    keeper = found.pid if found is not None else _keeper(settings)
    if keeper is not None:
        raise UsageError(
            f"upm-dev serve (process {keeper}) keeps {settings.root} registered",
            remedy="end it with Ctrl-C: it unregisters the app itself",
            code="SERVE-RUNS",
        )


def _keeper(settings: "Settings") -> int | None:
    """The process that keeps an app of this project on a target, and has only just begun to."""
    root, urls = str(settings.root), {each.url for each in settings.targets}
    found = (
        each
        for each in _noted(lambda journal: journal.entries()) or ()
        if each.project == root and each.url in urls
    )
    return next((each.pid for each in found if each.is_tended and not each.kept), None)


def _noted(ask: "Callable[[Journal], T]") -> "T | None":
    """What the journal says; None where there is none, or it is broken.

    The command itself says so when it needs it.
    """
    from contextlib import closing

    from devserver.upm.journal import Journal, JournalBroken, default_path

    path = default_path()
    if not path.exists():
        return None
    with closing(Journal(path)) as journal:
        try:
            return ask(journal)
        except JournalBroken:
            return None


def targets_of(found: "Serving", settings: "Settings") -> "Mapping[str, Target]":
    """The project's targets that this `serve` keeps registered, by the name they have there.

    Raises TargetUnavailable where it does not answer.
    """
    state = eventloop.run(_ask(found, settings.timeout))
    names = {each["url"]: name for name, each in state["targets"].items()}
    return {names[each.url]: each for each in settings.targets if each.url in names}


def await_endings(
    found: "Serving", settings: "Settings", targets: "Mapping[str, Target]", endings: "Endings"
) -> None:
    """Wait until `serve` has told what became of the project, as it is now, on *targets*.

    Raises:
        UsageError: it runs with other settings than the project has now.
        TargetUnavailable: it has ended.
    """
    plugin = once.plugin_of(settings)
    wanted = once.descriptors(settings, address=found.address, plugin=plugin)
    digests = {name: wanted[each.name].digest for name, each in targets.items()}
    eventloop.run(_follow(found, settings, digests, endings))


async def _follow(
    found: "Serving", settings: "Settings", digests: Mapping[str, str], endings: "Endings"
) -> None:
    import aiohttp

    from devserver.model import TargetState

    shown: dict[str, Any] = {}
    rested = time.monotonic()
    end = time.monotonic() + settings.timeout
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end and not endings.has_ended:
            state = await _state(session, found, settings.timeout)
            if digests.keys() - state["targets"].keys():
                raise _differs(found)
            for name, digest in digests.items():
                last = state["targets"][name]["last"]
                if last is None or last == shown.get(name):
                    continue
                shown[name] = last
                rested = time.monotonic()
                if last["digest"] == digest:
                    _show(last, settings)
                    endings.note(name, TargetState(last["state"]))
            if time.monotonic() - rested > STALE_SECONDS and _is_stale(shown, digests):
                raise _differs(found)
            await asyncio.sleep(LOOK_EVERY)


def _differs(found: "Serving") -> UsageError:
    return UsageError(
        f"upm-dev serve (process {found.pid}) has something else than the project now",
        remedy="it reads upm-dev.toml, .env and the environment when it starts: end it with Ctrl-C "
        "and start it again",
        code="SERVE-DIFFERS",
    )


def _is_stale(shown: Mapping[str, Any], digests: Mapping[str, str]) -> bool:
    """Whether some target has come to rest with another descriptor than the project's."""
    from devserver.cli.endings import ENDS

    return any(
        name in shown and shown[name]["digest"] != digest and shown[name]["state"] in ENDS
        for name, digest in digests.items()
    )


def _show(last: Mapping[str, Any], settings: "Settings") -> None:
    if settings.json:
        click.echo(json.dumps(last))
        return
    if settings.quiet and last["state"] == "confirmed":
        return
    code = f" [{last['code']}]" if last.get("code") else ""
    reason = f": {last['reason']}" if last.get("reason") else ""
    revision = f" {last['revision']}" if last.get("revision") else ""
    once.say(f"{last['target']}  {last['state']}{revision}{code}{reason}")
    if last.get("remedy"):
        once.say(f"  {last['remedy']}")


async def _ask(found: "Serving", limit: float) -> dict[str, Any]:
    import aiohttp

    async with aiohttp.ClientSession() as session:
        return await _state(session, found, limit)


async def _state(
    session: "aiohttp.ClientSession", found: "Serving", limit: float
) -> dict[str, Any]:
    """What is so there, as its dashboard tells scripts."""
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=limit)
    try:
        async with session.get(f"{found.dashboard}/state", timeout=timeout) as answer:
            answer.raise_for_status()
            state: dict[str, Any] = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise TargetUnavailable(
            f"upm-dev serve (process {found.pid}) does not answer at {found.dashboard}",
            remedy="run upm-dev register again once it has ended",
            code="SERVE-ENDED",
        ) from error
    return state
