"""`upm-dev simulator`: the simulated host on its own."""

import asyncio
import signal
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver import eventloop
from devserver.errors import INTERRUPTED
from devserver.simulator.profile import product_names, profile_names

if TYPE_CHECKING:
    from devserver.simulator import SimulatedHost


@click.command(name="simulator", context_settings={"auto_envvar_prefix": "UPM_DEV_SIMULATOR"})
@click.option(
    "--profile",
    default="xml-era",
    show_default=True,
    metavar="NAME|FILE",
    help=f"Which host to play: {', '.join(profile_names())}, or a TOML file.",
)
@click.option("--product", type=click.Choice(product_names()), default="jira", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), help="Default: the product's; 0: any free.")
@click.option(
    "--base-url",
    metavar="URL",
    help="What redirects and callbacks name. Default: http://localhost:PORT and the context.",
)
@click.option("--context", help="Context path. Default: the product's (/jira).")
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="ADDRESS",
    help="Listen here instead of on 127.0.0.1 and ::1.",
)
@click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file of what goes wrong.",
)
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Append every exchange as JSON Lines.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep what is installed in this file.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="A name beside localhost under which the pages may be opened.",
)
@click.option(
    "--add-user",
    "added",
    multiple=True,
    metavar="NAME",
    help="One more system administrator, whose password is the name. Repeatable.",
)
@click.option("--seed", type=int, help="Makes tokens, ids and faults repeatable.")
@click.option(
    "--allow-fetch",
    multiple=True,
    metavar="CIDR",
    help="A network beside loopback that descriptors may come from.",
)
@click.option(
    "--allow-loopback", is_flag=True, help="Cloud profiles: take http and local URLs too."
)
@click.option(
    "--install-time",
    type=click.FloatRange(0, 3600),
    default=0.03,
    show_default=True,
    metavar="SECONDS",
    help="How long an installation takes; 0: at once.",
)
def command(**options: Any) -> None:
    """Run a host with a UPM that needs no Atlassian product."""
    try:
        eventloop.run(_run(**options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(INTERRUPTED) from None


async def _run(
    *, faults: Path | None, hosts: tuple[str, ...], added: tuple[str, ...], **options: Any
) -> None:
    from devserver.simulator.faults import parse_faults
    from devserver.simulator.server import BOTH_LOOPBACKS, simulated_host
    from devserver.simulator.users import DEFAULT_USERS, Role, User

    task = asyncio.current_task()
    assert task is not None
    for signum in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    scripted = parse_faults(faults.read_text("utf-8")) if faults else ()
    users = (*DEFAULT_USERS, *(User(name, name, Role.SYSADMIN, name) for name in added))
    async with simulated_host(
        hosts=hosts or BOTH_LOOPBACKS, faults=scripted, users=users, **options
    ) as host:
        for each in hosts:
            if not ip_address(each).is_loopback:
                click.echo(f"warning: whoever reaches {each} can install apps here", err=True)
        click.echo(banner(host))
        await asyncio.Event().wait()


def banner(host: "SimulatedHost") -> str:
    """Where it is, who may log in, and how to register an app by curl."""
    version, _ = host.version
    api = f"{host.url}/rest/plugins/1.0/"
    kind = "application/vnd.atl.plugins.install.uri+json"
    body = '{"pluginUri":"http://localhost:8000/atlassian-plugin.xml"}'
    lines = [
        f"simulated {host.product.title} {version}, UPM {host.profile.upm}",
        f"  base URL  {host.url}",
        f"  profile   {host.profile.name}: {host.profile.summary}",
        f"  users     {', '.join(f'{name}/{name}' for name in host.state.users.names)}",
    ]
    who = "-u admin:admin"
    if not host.profile.basic:
        token = host.state.users.new_personal_token("admin")
        lines.append(f"  token     {token} (a personal access token of admin)")
        who = f"-H 'Authorization: Bearer {token}'"
    return "\n".join(
        [
            *lines,
            "",
            "to register by curl:",
            f"  T=$(curl -sI {who} '{api}' | tr -d '\\r' | sed -n 's/^upm-token: //Ip')",
            f"  curl -si {who} -H 'Content-Type: {kind}' \\",
            f"""    -d '{body}' "{api}?token=$T\"""",
        ]
    )
