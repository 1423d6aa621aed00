"""`upm-dev callback`: send an app a genuine callback, or one that it must not accept."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devserver import eventloop
from devserver.errors import UsageError

if TYPE_CHECKING:
    from devserver.simulator.app import App
    from devserver.simulator.lab import Lab, Sent

FORGERIES = (
    "unsigned",
    "bad-signature",
    "wrong-consumer",
    "wrong-issuer",
    "stale",
    "replayed",
    "wrong-qsh",
    "foreign-client",
    "expired",
    "alg-none",
    "hs256",
    "other-base-url",
)


@click.command(name="callback")
@click.argument("event")
@click.option("--to", "base_url", required=True, metavar="URL", help="The app's base URL.")
@click.option(
    "--path", help="Where the app takes the event. Default: /EVENT, or what the descriptor says."
)
@click.option(
    "--descriptor",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read key, paths and dialect from this descriptor.",
)
@click.option("--key", default="com.example.app", show_default=True, help="The app's key.")
@click.option(
    "--forge",
    type=click.Choice(FORGERIES),
    multiple=True,
    help="Send this wrong one instead. Repeatable.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Send a genuine one and every wrong one; exit 1 when the app lets one in.",
)
@click.option(
    "--signed-install/--no-signed-install",
    default=True,
    help="Sign installed and uninstalled by RS256, as Cloud does.",
)
@click.option(
    "--body",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Post this file instead of the host's own payload.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default=True,
    help="Where the host that signs is to be found, for apps that ask it for its key.",
)
@click.option(
    "--allow",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="A network beside loopback in which the app may be.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")
def command(**options: Any) -> None:
    """Send EVENT to an app, signed as a host signs it, or deliberately wrong.

    XML-era events (remote_plugin_installed ...) are signed by OAuth 1.0a RSA-SHA1, Connect's
    (installed, enabled ...) by JWT. Where the app knows a shared secret already, give it as
    UPM_DEV_CALLBACK_SECRET: a command line is for all to see.
    """
    sent = eventloop.run(_run(**options))
    if options["as_json"]:
        click.echo(json.dumps([_json(each) for each in sent]))
    else:
        for each in sent:
            _tell(each)
    if any(not each.as_it_should for each in sent):
        raise SystemExit(1)


async def _run(
    *,
    event: str,
    base_url: str,
    path: str | None,
    descriptor: Path | None,
    key: str,
    forge: tuple[str, ...],
    everything: bool,
    signed_install: bool,
    body: Path | None,
    port: int,
    networks: tuple[str, ...],
    as_json: bool,
) -> "list[Sent]":
    from devserver.simulator.lab import Lab
    from devserver.simulator.server import simulated_host

    app = _app(event, base_url, descriptor, key)
    where = path or _path(app, event)
    profile = "connect" if app.kind == "connect-json" else "xml-era"
    async with simulated_host(port=port, profile=profile, allow_fetch=networks) as host:
        if not as_json:
            click.echo(f"the host is {host.url}; keys at {host.origin}/keys", err=True)
        lab = Lab(
            host,
            app,
            rs256=signed_install,
            secret=os.environ.get("UPM_DEV_CALLBACK_SECRET", ""),
        )
        if everything:
            return await lab.all(event, where)
        if not forge:
            return [await lab.genuine(event, where, body.read_bytes() if body else None)]
        return [await _forged(lab, name, event, where) for name in forge]


async def _forged(lab: "Lab", name: str, event: str, path: str) -> "Sent":
    if name not in lab.forgeries:
        raise UsageError(
            f"{event} is not signed in a way that has a {name}",
            remedy=f"it has: {', '.join(lab.forgeries)}",
        )
    return await lab.forge(name, event, path)


def _app(event: str, base_url: str, descriptor: Path | None, key: str) -> "App":
    """The app that is called: from its descriptor, or as little as a call needs."""
    from dataclasses import replace

    from devserver.simulator.app import App, Kind
    from devserver.simulator.artefact import recognise
    from devserver.simulator.refusal import Refusal

    base_url = base_url.rstrip("/")
    if descriptor is None:
        connect = event in ("installed", "enabled", "disabled", "uninstalled")
        kind = Kind.CONNECT_JSON if connect else Kind.REMOTE_XML
        return App(kind=kind, key=key, name=key, version="1.0", base_url=base_url)
    kinds = tuple(kind.value for kind in Kind)
    found = recognise(descriptor.read_bytes(), descriptor.name, "", kinds)
    if isinstance(found, Refusal):
        raise UsageError(f"{descriptor}: {found.message}", remedy="upm-dev validate says more")
    return replace(found, base_url=base_url)


def _path(app: "App", event: str) -> str:
    declared = app.lifecycle_url(event) or next(iter(app.webhooks(event)), None)
    return declared or f"/{event.removeprefix('remote_plugin_')}"


def _tell(sent: "Sent") -> None:
    answer = sent.answer
    what = str(answer.status) if answer.status is not None else answer.error
    verdict = "ok" if sent.as_it_should else "LET IN" if sent.let_in else "NOT ACCEPTED"
    if answer.status is None:
        verdict = "NO ANSWER"
    click.echo(f"{verdict:<13} {sent.name:<15} {sent.says}: {what} in {answer.ms:.0f} ms")


def _json(sent: "Sent") -> dict[str, Any]:
    return {
        "name": sent.name,
        "says": sent.says,
        "genuine": sent.genuine,
        "status": sent.answer.status,
        "error": sent.answer.error,
        "ms": round(sent.answer.ms, 1),
        "let_in": sent.let_in,
        "as_it_should": sent.as_it_should,
    }
