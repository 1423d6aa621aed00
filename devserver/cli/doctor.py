"""`upm-dev doctor`: the project and each target, check by check, each failure with its remedy."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from devserver.cli import consent, options, questions
from devserver.errors import UpmDevError

if TYPE_CHECKING:
    from devserver.datacenter.plugin import Plugin
    from devserver.settings import Settings
    from devserver.upm.check import Check

    Shown = list[tuple[str, list[Check]]]
    """What is looked at, in its order: a target may be called like the project."""

SECRET_FILES = (".env", ".netrc")
GIT_SECONDS = 5


@click.command
@options.project
@options.shared(
    "target", "user", "port", "host", "public_url", "json", "trust", "timeout", "no_color", "yes"
)
def command(project: Path, **given: object) -> None:
    """Look at PROJECT and its targets, check by check. Exit code 1 where one fails.

    Nothing is installed: what a target takes, and whether it reaches us, is tried with what no host
    can install.
    """
    from devserver import eventloop, trust

    settings = options.settings_of(project, given)
    settings = trust.believed(settings, trust.allow(settings, questions.confirm()))
    permissions = consent.of(settings, questions.confirm())
    jars = _plugin(settings) is not None
    shown: Shown = [("project", list(_project(settings)))]
    shown += eventloop.run(_targets(settings, permissions, jars=jars)).items()
    if settings.json:
        click.echo(json.dumps({"v": 1, "checks": _document(shown)}, indent=2))
    else:
        _show(shown)
    worst = {check.level.value for _, checks in shown for check in checks}
    raise SystemExit(1 if "failure" in worst else 0)


def _project(settings: "Settings") -> "Iterator[Check]":
    from devserver.cli import beside
    from devserver.cli.once import base_url
    from devserver.sources import find_descriptor
    from devserver.upm.check import Check, Level
    from devserver.web.listen import open_sockets

    found = settings.descriptor or find_descriptor(settings.root)
    if isinstance(found, str) and (settings.root / found).is_file():
        yield Check("descriptor", Level.OK, f"{found}; upm-dev validate looks into it")
    elif isinstance(found, str):
        remedy = "correct [app] descriptor, or write it: upm-dev init makes one"
        yield Check("descriptor", Level.FAILURE, f"{found} is not there", remedy)
    else:
        yield Check("descriptor", Level.FAILURE, found.message, found.fix, found.code)
    if (plugin := _plugin(settings)) is not None:
        unfit = plugin.unfit
        if unfit is None:
            yield Check("JAR", Level.OK, f"{plugin.file_name}: its descriptor is exchanged")
        else:
            yield Check("JAR", Level.FAILURE, unfit.message, unfit.fix, unfit.code)
    try:
        for each in open_sockets(settings.host, settings.port):
            each.close()
        free = f"{settings.port} is free" if settings.port else "any free one will do"
        yield Check("port", Level.OK, free)
    except UpmDevError as error:
        if (serve := beside.serving(settings)) is not None:
            message = f"upm-dev serve of this project runs (process {serve.pid})"
            yield Check("port", Level.OK, message)
        else:
            yield Check("port", Level.WARNING, error.reason, error.remedy, error.code)
    if settings.public_url:
        yield Check("address", Level.OK, f"targets are told {base_url(settings)}")
    if not settings.targets:
        message = "none is configured: serve starts a simulated host"
        yield Check("targets", Level.OK, message)
    for name in SECRET_FILES:
        yield from _secret_file(settings.root / name)


def _plugin(settings: "Settings") -> "Plugin | None":
    """The plugin whose JAR is what goes to the targets; None where that is the descriptor."""
    from devserver.datacenter.plugin import plugin_of
    from devserver.sources import find_descriptor

    found = settings.descriptor or find_descriptor(settings.root)
    return plugin_of(settings, found) if isinstance(found, str) else None


def _secret_file(file: Path) -> "Iterator[Check]":
    from devserver.upm.check import Check, Level

    if not file.is_file():
        return
    name = file.name
    is_open = bool(file.stat().st_mode & 0o077)
    if is_open:
        message = f"{name} can be read by other users of this machine"
        yield Check("secrets", Level.WARNING, message, f"chmod 600 {file}", "C014")
    if _git(file.parent, "ls-files", "--error-unmatch", name) == 0:
        message = f"git tracks {name}, with what is secret in it"
        remedy = f"git rm --cached {name}, and change the secret: it is in the history"
        yield Check("secrets", Level.FAILURE, message, remedy)
    elif _git(file.parent, "check-ignore", "-q", name) == 1:
        message = f"git does not ignore {name}: the next git add takes it along"
        yield Check("secrets", Level.WARNING, message, f"write {name} into .gitignore")
    elif not is_open:
        yield Check("secrets", Level.OK, f"{name} is yours alone, and not in git")


def _git(folder: Path, *arguments: str) -> int | None:
    """How git answers about *folder*; None without git. It runs nothing that a project names."""
    import os

    from devserver.credentials import for_child

    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
            env=for_child(os.environ),
        )
        return done.returncode
    return None


async def _targets(
    settings: "Settings", permissions: consent.Permissions, *, jars: bool
) -> "dict[str, list[Check]]":
    """Every target's checks, all targets at once."""
    import asyncio

    from devserver.addresses import served_at
    from devserver.cli.once import base_url, upms
    from devserver.upm.check import Check, Level
    from devserver.upm.checkup import WayBack, checkup
    from devserver.upm.probing import Probe
    from devserver.web.listen import open_sockets

    if not settings.targets:
        return {}
    probe = Probe()
    servers = []
    address = base_url(settings)
    with suppress(UpmDevError):  # the port is taken, which the project's checks have said
        sockets = open_sockets(settings.host, settings.port)
        address = settings.public_url or served_at(settings.host, sockets[0].getsockname()[1])
        for each in sockets:
            servers.append(await asyncio.start_server(probe.serve, sock=each))
    back = WayBack(address, probe) if servers else None
    try:
        async with upms(settings, permissions) as found, asyncio.TaskGroup() as tasks:

            async def look(name: str) -> list[Check]:
                upm = found[name]
                may = upm.wire.barred is None
                checks = checkup(upm, asks=may, back=back, jars=jars)
                return [each async for each in checks]

            looks = {name: tasks.create_task(look(name), name=name) for name in found}
    except UpmDevError as error:
        return {
            "targets": [Check("credentials", Level.FAILURE, error.reason, error.remedy, error.code)]
        }
    finally:
        for server in servers:
            server.close()
    return {name: look.result() for name, look in looks.items()}


def _document(shown: "Shown") -> list[dict[str, str]]:
    return [
        {
            "of": name,
            "check": each.name,
            "level": each.level.value,
            "message": each.message,
            "remedy": each.remedy,
            "code": each.code,
        }
        for name, checks in shown
        for each in checks
    ]


def _show(shown: "Shown") -> None:
    from devserver.cli.once import say
    from devserver.descriptor.visible import visible

    marks = {
        "ok": click.style("ok     ", fg="green"),
        "warning": click.style("warning", fg="yellow"),
        "failure": click.style("failure", fg="red"),
    }
    for name, checks in shown:
        say(name)
        for each in checks:
            code = f" [{each.code}]" if each.code else ""
            told = visible(f"{each.name}: {each.message}{code}")
            click.echo(f"  {marks[each.level.value]}  {told}")
            if each.remedy:
                say(f"           {each.remedy}")
