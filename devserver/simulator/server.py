"""The simulated host's server: routes, the order of the gates, ports, and `simulated_host`."""

import ipaddress
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from random import Random, SystemRandom

from aiohttp import web

from devserver.errors import CannotStart, PortInUse, UsageError
from devserver.simulator import (
    administration,
    appframe,
    control,
    controlpage,
    installer,
    pages,
    platform,
    rest,
)
from devserver.simulator.faults import Fault
from devserver.simulator.faulty import faulty
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.journal import Journal
from devserver.simulator.middle import answered, gated, journaled
from devserver.simulator.profile import Profile, load_product, load_profile
from devserver.simulator.reach import Network, Reach
from devserver.simulator.users import DEFAULT_USERS, User

BOTH_LOOPBACKS = ("127.0.0.1", "::1")


def routes(context: str) -> list[web.RouteDef]:
    """Everything there is, in the order it is looked up. A slash at the end is tolerated."""
    api = context + r"/rest/plugins/{api:1\.0|latest}"
    slash = "{slash:/?}"
    one = f"{api}/{{key:[^/]+}}-key"
    module = f"{one}/modules/{{module:[^/]+}}-key{slash}"
    task = f"{{id:[^/]+}}{slash}"
    return [
        web.get(f"{api}{slash}", rest.installed, allow_head=True),
        web.post(f"{api}{slash}", rest.install),
        web.get(f"{api}/pending{slash}", rest.pending_tasks),
        web.post(f"{api}/pending{slash}", rest.only_in_debug_mode),
        web.get(f"{api}/pending/{task}", rest.pending),
        web.delete(f"{api}/pending/{task}", rest.only_in_debug_mode),
        web.delete(f"{api}/tasks{slash}", rest.forget_tasks),
        web.get(f"{api}/tasks/{task}", rest.new_style_task),
        web.get(f"{one}/summary{slash}", rest.plugin_summary),
        web.get(module, rest.module),
        web.put(module, rest.module),
        web.get(f"{one}{slash}", rest.plugin),
        web.put(f"{one}{slash}", rest.change_plugin),
        web.delete(f"{one}{slash}", rest.uninstall),
        web.get(f"{context}/status{slash}", platform.status),
        web.get(f"{context}/plugins/servlet/oauth/consumer-info{slash}", platform.consumer_info),
        web.post(f"{context}/rest/pat/{{api:1\\.0|latest}}/tokens{slash}", platform.personal_token),
        web.get("/keys/{kid}", platform.install_key),
        *control.ROUTES,
        *controlpage.ROUTES,
        *pages.routes(context),
        *appframe.routes(context),
        *installer.routes(context),
        *administration.routes(api, slash),
        web.get(f"{api}/{{key:[^/]+}}{slash}", rest.without_suffix),
    ]


async def dress(request: web.Request, response: web.StreamResponse) -> None:
    """Headers that every answer of a host has."""
    response.headers["Server"] = "Apache-Coyote/1.1"
    response.headers["X-Content-Type-Options"] = "nosniff"


def make_app(host: SimulatedHost) -> web.Application:
    app = web.Application(middlewares=[journaled, answered, faulty, gated], client_max_size=1 << 20)
    app[HOST] = host
    app.add_routes(routes(host.context))
    app.on_response_prepare.append(dress)
    return app


def listen(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Sockets on every one of *hosts* with the same port; 0: one that is free on all of them.

    An address family that this machine does not have is left out. Raises PortInUse.
    """
    for _ in range(20):
        sockets: list[socket.socket] = []
        try:
            chosen = port
            for host in hosts:
                if (one := _bind(host, chosen)) is not None:
                    sockets.append(one)
                    chosen = one.getsockname()[1]
            if sockets:
                return sockets
            raise CannotStart(f"none of {', '.join(hosts)} is an address of this machine")
        except OSError as error:
            for one in sockets:
                one.close()
            if port:
                raise PortInUse(hosts[0], port) from error
    raise CannotStart("no port is free", remedy="try again")


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageError(f"{text} is no network: {error}", remedy="10.0.0.0/8, say") from error


def _bind(host: str, port: int) -> socket.socket | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise CannotStart(f"{host} is no IP address", remedy="--host 127.0.0.1, say") from error
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    try:
        one = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return None
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
        one.listen(128)
        one.setblocking(False)
    except OSError as error:
        one.close()
        if error.errno in _NO_SUCH_ADDRESS:
            return None
        raise
    return one


_NO_SUCH_ADDRESS = frozenset({99, 49, 97, 47})
"""EADDRNOTAVAIL and EAFNOSUPPORT of Linux and macOS: the machine has no IPv6, say."""


@asynccontextmanager
async def simulated_host(
    *,
    port: int | None = None,
    or_free: bool = False,
    profile: str | Profile = "xml-era",
    product: str = "jira",
    context: str | None = None,
    hosts: Sequence[str] = BOTH_LOOPBACKS,
    users: Iterable[User] = DEFAULT_USERS,
    install_time: float = 0.03,
    faults: Iterable[Fault] = (),
    seed: int | None = None,
    allow_fetch: Iterable[str] = (),
    allow_loopback: bool = False,
    log: Path | None = None,
    state: Path | None = None,
    allow_hosts: Iterable[str] = (),
    base_url: str | None = None,
    callback_timeout: float = 5.0,
) -> AsyncIterator[SimulatedHost]:
    """Run a simulated host while the block runs.

    Args:
        port: to listen on; 0 for any free one; None for the product's own (Jira: 2990).
        or_free: take a free port where that one is taken, instead of raising PortInUse.
        profile: a name (`upm-dev simulator --help` lists them), a TOML file, or a Profile.
        context: context path; None for the product's own.
        install_time: seconds an installation takes when nothing else delays it. With 0 a task may
            be done at the first poll; else one poll always sees it running.
        seed: makes tokens, ids and faults repeatable.
        allow_fetch: networks, beside loopback, from which descriptors may be fetched.
        allow_loopback: let a Cloud profile take http and local URLs.
        allow_hosts: names, beside localhost, under which the pages may be opened.
        base_url: the configured base URL, which redirects and callbacks name; None: where we are.
        callback_timeout: seconds that an app has to accept a connection, and to answer.
        state: a file in which the host survives a restart.
        log: a file that every exchange is appended to, as JSON Lines.

    Raises PortInUse, CannotStart, UsageError.
    """
    played = load_profile(profile) if isinstance(profile, str) else profile
    made = load_product(product)
    random = Random(seed) if seed is not None else SystemRandom()
    if context is None:
        context = played.contexts.get(made.name, made.context)
    context = f"/{context.strip('/')}" if context.strip("/") else ""
    wanted = made.port if port is None else port
    try:
        sockets = listen(hosts, wanted)
    except PortInUse:
        if not or_free:
            raise
        sockets = listen(hosts, 0)
    async with AsyncExitStack() as stack:
        for one in sockets:
            stack.callback(one.close)
        host = SimulatedHost(
            played,
            made,
            port=sockets[0].getsockname()[1],
            context=context,
            users=tuple(users),
            reach=Reach(_network(each) for each in allow_fetch),
            random=random,
            install_time=install_time,
            loopback_allowed=allow_loopback,
            journal=stack.enter_context(closing(Journal(log))),
            names=(*hosts, *allow_hosts),
            kept_in=state,
            base_url=base_url.rstrip("/") if base_url else None,
            callback_timeout=callback_timeout,
        )
        host.script(*faults)
        stack.push_async_callback(host.close)
        runner = web.AppRunner(
            make_app(host), access_log=None, shutdown_timeout=0.2, handler_cancellation=True
        )
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        for one in sockets:
            await web.SockSite(runner, one).start()
        host.spawn(host.keep())
        yield host
