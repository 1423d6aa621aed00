"""`upm-dev simulator`: the simulated host on its own."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import click

from devserver.errors import INTERRUPTED
from devserver.simulator.profile import product_names, profile_names


@click.command(name="simulator")
@click.option(
    "--profile",
    default="xml-era",
    show_default=True,
    metavar="NAME|FILE",
    help=f"Which host to play: {', '.join(profile_names())}, or a TOML file.",
)
@click.option("--product", type=click.Choice(product_names()), default="jira", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), help="Default: the product's; 0: any free.")
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
        asyncio.run(_run(**options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(INTERRUPTED) from None


async def _run(*, faults: Path | None, hosts: tuple[str, ...], **options: Any) -> None:
    from devserver.simulator.faults import parse_faults
    from devserver.simulator.server import BOTH_LOOPBACKS, simulated_host

    task = asyncio.current_task()
    assert task is not None
    for signum in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, task.cancel)
    scripted = parse_faults(faults.read_text("utf-8")) if faults else ()
    async with simulated_host(hosts=hosts or BOTH_LOOPBACKS, faults=scripted, **options) as host:
        version, _ = host.version
        click.echo(f"simulated {host.product.title} {version}, UPM {host.profile.upm}")
        click.echo(f"  base URL  {host.url}")
        click.echo(f"  profile   {host.profile.name}: {host.profile.summary}")
        click.echo(f"  users     {', '.join(f'{name}/{name}' for name in host.state.users.names)}")
        api = f"{host.url}/rest/plugins/1.0/"
        click.echo("\nto register by curl:")
        click.echo(
            f"  T=$(curl -sI -u admin:admin '{api}?os_authType=basic' | tr -d '\\r'"
            " | sed -n 's/^upm-token: //Ip')"
        )
        click.echo(
            "  curl -si -u admin:admin -H 'Content-Type:"
            " application/vnd.atl.plugins.install.uri+json' \\\n"
            '    -d \'{"pluginUri":"http://localhost:8000/atlassian-plugin.xml"}\''
            f' "{api}?token=$T"'
        )
        await asyncio.Event().wait()
