"""`upm-dev plan`: the requests that would be sent, as curl, and the difference to what is there."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver.cli import options
from devserver.errors import TargetError, UsageError

if TYPE_CHECKING:
    from devserver.model import Descriptor
    from devserver.settings import Settings
    from devserver.upm.answers import Plugin
    from devserver.upm.client import Upm


@click.command
@options.project
@options.shared("target", "user", "json", "trust", "timeout", "public_url", "port", "no_color")
def command(project: Path, **given: object) -> None:
    """What register would send to PROJECT's targets, and what it would change there.

    The requests can be run as they are, with the password in UPM_DEV_PASSWORD (or the token in
    UPM_DEV_TOKEN); none is sent but the question for what is installed.
    """
    import asyncio

    settings = options.settings_of(project, given)
    if not settings.targets:
        raise UsageError(
            "there is no target to plan for",
            remedy="give --target URL, or write one under [targets.NAME] in upm-dev.toml",
        )
    plans = asyncio.run(_plans(settings))
    if settings.json:
        click.echo(json.dumps({"v": 1, "targets": plans}, indent=2))
        return
    for each in plans:
        click.echo(f"# {each['target']}: {each['url']}")
        for line in each["difference"]:
            click.echo(f"#   {line}")
        click.echo("\n".join(each["requests"]) + "\n")


async def _plans(settings: "Settings") -> list[dict[str, Any]]:
    import asyncio

    from devserver.cli.once import descriptors, upms

    wanted = descriptors(settings)
    async with upms(settings) as found, asyncio.TaskGroup() as tasks:
        plans = [
            tasks.create_task(_plan(settings, upm, wanted[name])) for name, upm in found.items()
        ]
    return [each.result() for each in plans]


async def _plan(settings: "Settings", upm: "Upm", wanted: "Descriptor") -> dict[str, Any]:
    from devserver.cli.once import base_url
    from devserver.upm.where import Where

    target = upm.target
    try:
        difference = differences(await upm.plugin(wanted.key), wanted)
    except TargetError as error:
        difference = [f"not known: {error.reason} [{error.code}]"]
    uri = Where(base_url(settings)).descriptor(target.name, wanted)
    return {
        "target": target.name,
        "url": target.url,
        "key": wanted.key,
        "version": wanted.version,
        "descriptor": uri,
        "difference": difference,
        "requests": requests(target.url, upm.credentials.user, uri, wanted),
    }


def requests(url: str, user: str | None, uri: str, wanted: "Descriptor") -> list[str]:
    """The two requests of an installation for a shell; the secret stays in the environment."""
    from devserver.upm.answers import ROOT
    from devserver.upm.client import INSTALL_TYPES, PLUGINS
    from devserver.upm.wire import USER_AGENT

    if user is None:
        who = '-H "Authorization: Bearer $UPM_DEV_TOKEN"'
        challenge = ""
    else:
        who = f'-u {shlex.quote(user)}:"$UPM_DEV_PASSWORD"'
        challenge = "?os_authType=basic"
    common = f"-A {USER_AGENT} -H 'X-Atlassian-Token: no-check'"
    body = json.dumps({"pluginUri": uri, "pluginName": wanted.name})
    there = f"{url}{ROOT}/"
    return [
        f"TOKEN=$(curl -s -o /dev/null -D - {who} {common} "
        f"-H 'Accept: {PLUGINS}installed+json' {shlex.quote(there + challenge)} "
        "| tr -d '\\r' | sed -n 's/^upm-token: *//Ip')",
        f"curl -si {who} {common} -H 'Content-Type: {INSTALL_TYPES[0]}' "
        f'-d {shlex.quote(body)} {shlex.quote(there)}"?token=$TOKEN"',
    ]


def differences(there: "Plugin | None", wanted: "Descriptor") -> list[str]:
    """What an installation would change, as far as UPM tells: version, enabled, module keys."""
    if there is None:
        return [f"+ {wanted.key} {wanted.version or ''}".rstrip() + " is not installed"]
    lines = []
    if there.version != wanted.version:
        lines.append(f"~ version {there.version} becomes {wanted.version}")
    if not there.enabled:
        lines.append("! it is disabled there, and stays so")
    before = {each.key for each in there.modules}
    after = {each.key for each in wanted.modules}
    lines += [f"+ module {key}" for key in sorted(after - before)]
    lines += [f"- module {key}" for key in sorted(before - after)]
    return lines or ["= nothing that UPM could tell"]
