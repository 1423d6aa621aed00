"""`upm-dev plan`: the requests that would be sent, as curl, and the difference to what is there."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver.cli import once, options
from devserver.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devserver.datacenter.plugin import Plugin
    from devserver.model import Descriptor
    from devserver.settings import Settings
    from devserver.upm.answers import Plugin as Listed
    from devserver.upm.client import Upm

FOLDER = "JAR_FOLDER"
"""The variable of the shell that the requests of a JAR's upload read."""


@click.command
@options.project
@options.shared("target", "user", "json", "trust", "timeout", "public_url", "port", "yes")
@options.shared(*options.PLUGIN, "no_color")
@click.option(
    "--jars",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="JAR: write the one that each target would be sent into DIR/TARGET.",
)
def command(project: Path, jars: Path | None, **given: object) -> None:
    """What register would send to PROJECT's targets, and what it would change there.

    The requests can be run as they are, with the password in UPM_DEV_PASSWORD (or the token in
    UPM_DEV_TOKEN); none is sent but the question for what is installed. Those of a plugin in a JAR
    need the JAR, which --jars writes.
    """
    from devserver import eventloop

    settings = options.settings_of(project, given)
    once.require_targets(settings, "plan for")
    plans = eventloop.run(_plans(settings, jars))
    if settings.json:
        click.echo(json.dumps({"v": 1, "targets": plans}, indent=2))
        return
    for each in plans:
        once.say(f"# {each['target']}: {each['url']}")
        for line in each["difference"]:
            once.say(f"#   {line}")
        # Not through `say`: it takes `Bearer $UPM_DEV_TOKEN` for a token.
        click.echo("\n".join(each["requests"]) + "\n")


async def _plans(settings: "Settings", jars: Path | None) -> list[dict[str, Any]]:
    import asyncio

    plugin = once.plugin_of(settings)
    if jars is not None and plugin is None:
        raise UsageError("--jars is for plugins that go into a JAR", remedy="leave it out")
    wanted = once.descriptors(settings, plugin=plugin)
    packed = _pack(wanted, plugin, jars) if plugin else {}
    async with once.upms(settings) as found, asyncio.TaskGroup() as tasks:
        plans = [
            tasks.create_task(_plan(settings, upm, wanted[name], packed.get(name)))
            for name, upm in found.items()
        ]
    return [each.result() for each in plans]


def _pack(
    wanted: "Mapping[str, Descriptor]", plugin: "Plugin", jars: Path | None
) -> dict[str, str]:
    """Where each target's JAR is, as the shell is to read it; written where *jars* says.

    Raises:
        UsageError: it cannot be written.
        TargetUnavailable: the build is just writing it.
    """
    from devserver.descriptor.mark import mark

    places = {}
    for target, descriptor in wanted.items():
        packed = plugin.pack(descriptor, mark("r1", descriptor.digest))
        if jars is None:
            places[target] = f'"${FOLDER}"/{shlex.quote(f"{target}/{packed.name}")}'
            continue
        file = jars / target / packed.name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"".join(packed.data))
        except OSError as exc:
            raise UsageError(
                f"{file} cannot be written: {(exc.strerror or str(exc)).lower()}",
                remedy="name a folder in which you may write",
            ) from exc
        places[target] = shlex.quote(str(file.absolute()))
    return places


async def _plan(
    settings: "Settings", upm: "Upm", wanted: "Descriptor", jar: str | None
) -> dict[str, Any]:
    from devserver.upm.where import Where

    target, user = upm.target, upm.credentials.user
    try:
        difference = differences(await upm.plugin(wanted.key), wanted)
    except TargetError as error:
        difference = [f"not known: {line.strip()}" for line in once.told(error).splitlines()[:1]]
        difference += [error.remedy]
    uri = Where(once.base_url(settings)).descriptor(target.name, wanted)
    if jar is None:
        requests = by_uri(target.url, user, uri, wanted)
    elif settings.install_folder is not None:
        requests = [f"cp {jar} {shlex.quote(str(settings.install_folder))}/"]
    else:
        requests = by_upload(target.url, user, jar)
    if jar is not None and FOLDER in jar:
        difference.append(f"upm-dev plan --jars DIR writes the JAR; run this with {FOLDER}=DIR")
    return {
        "target": target.name,
        "url": target.url,
        "key": wanted.key,
        "version": wanted.version,
        "descriptor": uri if jar is None else None,
        "difference": difference,
        "requests": requests,
    }


def by_uri(url: str, user: str | None, uri: str, wanted: "Descriptor") -> list[str]:
    """The two requests of an installation by address, for a shell."""
    from devserver.upm.client import INSTALL_TYPES

    body = json.dumps({"pluginUri": uri, "pluginName": wanted.name})
    token, post = _exchange(url, user)
    return [token, f"{post} -H 'Content-Type: {INSTALL_TYPES[0]}' -d {shlex.quote(body)}"]


def by_upload(url: str, user: str | None, jar: str) -> list[str]:
    """The two requests of an upload (upm-protocol.md §3); *jar* is a word of the shell's."""
    token, post = _exchange(url, user)
    form = f"-F plugin=@{jar}';type=application/java-archive'"
    return [token, f"{post} -H 'Accept: application/json' {form}"]


def _exchange(url: str, user: str | None) -> tuple[str, str]:
    """The question for a token, and the POST without its body; the secret stays in the environment.

    curl reads it as a header from a shell's builtin: an argument would be in the list of processes
    until curl has hidden it.
    """
    from devserver.upm.answers import ROOT
    from devserver.upm.client import PLUGINS
    from devserver.upm.wire import USER_AGENT

    if user is None:
        who, challenge = """printf 'Authorization: Bearer %s\\n' "$UPM_DEV_TOKEN\"""", ""
    else:
        pair = f'printf %s:%s {shlex.quote(user)} "$UPM_DEV_PASSWORD"'
        who = f"""printf 'Authorization: Basic %s\\n' "$({pair} | base64 | tr -d '\\n')\""""
        challenge = "?os_authType=basic"
    common = f"-H @- -A {USER_AGENT} -H 'X-Atlassian-Token: no-check'"
    there = f"{url}{ROOT}/"
    return (
        f"TOKEN=$({who} | curl -s -o /dev/null -D - {common} "
        f"-H 'Accept: {PLUGINS}installed+json' {shlex.quote(there + challenge)} "
        "| tr -d '\\r' | sed -n 's/^upm-token: *//Ip')",
        f'{who} | curl -si {common} {shlex.quote(there)}"?token=$TOKEN"',
    )


def differences(there: "Listed | None", wanted: "Descriptor") -> list[str]:
    """What an installation would change, as far as UPM tells: version, enabled, module keys."""
    if there is None:
        return [f"+ {wanted.key} {wanted.version or ''}".rstrip() + " is not installed"]
    lines = []
    if there.version != wanted.version:
        lines.append(f"~ version {there.version} becomes {wanted.version}")
    if not there.enabled:
        lines.append("! it is disabled there, and stays so")
    before = {each.key for each in there.modules}
    after = {each.key for each in wanted.modules if each.type != "resource"}
    lines += [f"+ module {key}" for key in sorted(after - before)]
    lines += [f"- module {key}" for key in sorted(before - after)]
    return lines or ["= nothing that UPM could tell"]
