"""`upm-dev diff`: what changed between two descriptors, as modules, and what that means."""

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver.cli.options import settings_of, shared
from devserver.errors import UsageError

if TYPE_CHECKING:
    from devserver.model import Descriptor

GIT_SECONDS = 10
LIMIT = 8 * 1024 * 1024
INSTALLED = "target:"


@click.command(name="diff")
@click.argument("old")
@click.argument("new", default=".")
@shared("json", "user", "trust", "yes", "no_color")
def command(old: str, new: str, **given: Any) -> None:
    """Compare OLD with NEW (the project here, where it is left out).

    Each is a file, a project, a git revision of a file (HEAD:atlassian-plugin.xml), or, for OLD,
    target:NAME for what a target has installed. Nothing of the project is run.
    """
    if old.startswith(INSTALLED):
        _installed(old.removeprefix(INSTALLED), new, given)
        return
    from devserver.cli.once import say
    from devserver.descriptor.diff import diff, impact, sentence

    before, after = _descriptor(old, given), _descriptor(new, given)
    changes, worst = diff(before, after), impact(before, after)
    if given["json"]:
        from devserver.events import plain

        document = {"v": 1, "impact": worst.value, "changes": plain(changes)}
        click.echo(json.dumps(document, indent=2))
        return
    for each in changes:
        say(sentence(each))
    click.echo(f"impact: {worst.value}")


def _descriptor(named: str, given: dict[str, Any]) -> "Descriptor":
    """The descriptor of a file, a project or a git revision.

    Raises UsageError where there is none, or where it has errors.
    """
    from devserver.cli.reading import read
    from devserver.descriptor.examine import SERVED

    path = Path(named)
    if not path.exists() and ":" in named:
        return _committed(named)
    result = read(settings_of(path, given), SERVED)
    errors = [each for each in result.diagnostics if each.is_error]
    if result.examined is None or result.examined.descriptor is None:
        raise _unfit(named, f"{errors[0].position}: {errors[0].message}" if errors else "is empty")
    return result.examined.descriptor


def _committed(named: str) -> "Descriptor":
    """The descriptor at `REVISION:path`: the blob alone, so no template is rendered."""
    from devserver.descriptor.decode import decode
    from devserver.descriptor.examine import SERVED, looks_like_json
    from devserver.descriptor.judge import Placer, judge

    if named.startswith("-"):
        raise UsageError(f"{named} is no git revision", remedy="write it like HEAD:path/to/file")
    data = _blob(named)
    is_json = looks_like_json(named, data)
    text, flaws = decode(data, xml=not is_json)
    if text is None or named.endswith(".j2"):
        raise _unfit(named, "is a template, or no text: compare what it renders to")
    result = judge(text, data, is_json, flaws, Placer(named), SERVED)
    if result.descriptor is None:
        raise _unfit(named, f"{result.errors[0].position}: {result.errors[0].message}")
    return result.descriptor


def _blob(named: str) -> bytes:
    """What git has: no hook, no filter, no pager, no network of the repository's choosing."""
    command = ["git", "-c", "core.fsmonitor=false", "--no-pager", "cat-file", "blob", named]
    environment = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "PATH": _path()}
    try:
        run = subprocess.run(
            command, capture_output=True, timeout=GIT_SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise UsageError(f"git cannot be asked for {named}: {exc}", remedy="install git") from exc
    if run.returncode or len(run.stdout) > LIMIT:
        words = run.stderr.decode("utf-8", "replace").strip() or "it is too large"
        raise UsageError(
            f"{named} is neither a file nor in git: {words}", remedy="write it like HEAD:path"
        )
    return run.stdout


def _path() -> str:
    import os

    return os.environ.get("PATH", os.defpath)


def _unfit(named: str, why: str) -> UsageError:
    return UsageError(
        f"{named} cannot be compared: {why}", remedy="upm-dev validate shows every mistake"
    )


def _installed(name: str, new: str, given: dict[str, Any]) -> None:
    """What UPM tells of the installed app, against the project."""
    from devserver import eventloop
    from devserver.cli.once import descriptors, say, upms
    from devserver.cli.plan import differences

    settings = settings_of(Path(new), {**given, "target": (name,)})

    async def ask() -> list[str]:
        wanted = descriptors(settings)
        async with upms(settings) as found:
            (target, upm) = next(iter(found.items()))
            return differences(await upm.plugin(wanted[target].key), wanted[target])

    lines = eventloop.run(ask())
    if given["json"]:
        click.echo(json.dumps({"v": 1, "target": name, "difference": lines}, indent=2))
    else:
        say("\n".join(lines))
