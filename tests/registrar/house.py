"""A small house for the registrar: our public port, the Bus, and a simulated host to register with.

Everything is real: the descriptor is fetched over HTTP, callbacks are signed and verified.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from devserver.callbacks.call import Call
from devserver.callbacks.verifier import Verifier
from devserver.credentials import Credentials
from devserver.events import Bus, CallbackReceived, Event, TargetChanged
from devserver.model import CallbackSpec, Descriptor, Kind, Revision, Target, TargetState
from devserver.publish import Published
from devserver.registrar import ByUri, Limits, Permission, Registrar, Where
from devserver.simulator import SimulatedHost
from devserver.upm.client import Upm
from devserver.upm.journal import Journal
from devserver.upm.wire import connections
from devserver.web.listen import open_sockets, serving
from devserver.web.public import Received, Site, public_app

QUICK = Limits(confirm=2.0, task=5.0, first_retry=0.02, last_retry=0.2, side=1.0)


def remote(
    base_url: str, *, key: str = "com.example.hello", version: str = "1.0", comment: str = ""
) -> Descriptor:
    """An XML-era descriptor with the webhook that confirms it."""
    said = f"<!-- {comment} -->" if comment else ""
    body = (
        f'<atlassian-plugin key="{key}" name="Hello" plugins-version="2">{said}'
        f"<plugin-info><version>{version}</version></plugin-info>"
        f'<remote-plugin-container key="container" display-url="{base_url}"/>'
        '<webhook key="installed" event="remote_plugin_installed" url="/installed"/>'
        "</atlassian-plugin>"
    )
    spec = CallbackSpec("remote_plugin_installed", "/installed")
    return Descriptor(
        kind=Kind.REMOTE_XML,
        key=key,
        name="Hello",
        version=version,
        body=body.encode(),
        canonical=hashlib.sha256(body.replace(said, "").encode()).hexdigest(),
        base_url=base_url,
        confirming=spec,
        callbacks=(spec,),
    )


@dataclass
class House:
    """Our half of the loop: what `serve` has around its registrars."""

    bus: Bus
    published: Published
    url: str
    events: list[Event] = field(default_factory=list)
    registrars: list[Registrar] = field(default_factory=list)
    upms: dict[str, Upm] = field(default_factory=dict)
    number: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, TargetChanged) and event.state is TargetState.REGISTERING:
            self.published.hold(event.target, event.digest or "")
        self._news.set()

    def save(self, **descriptor: str) -> Revision:
        """A save of the user's: the next revision, published and offered to every target."""
        return self.offer(remote(self.url, **descriptor))

    def offer(self, descriptor: Descriptor) -> Revision:
        self.number += 1
        names = [each.target.name for each in self.registrars]
        revision = Revision(self.number, dict.fromkeys(names, descriptor))
        self.published.add(revision)
        for registrar in self.registrars:
            registrar.offer(revision, time.monotonic())
        return revision

    def save_each(self, keys: dict[str, str]) -> None:
        """A save of a project whose targets have keys of their own, by target name."""
        self.number += 1
        # Of hosts that are shared nobody can tell whose callback it is: what they list has to do.
        made = {name: remote("http://localhost:1", key=key) for name, key in keys.items()}
        revision = Revision(self.number, made)
        self.published.add(revision)
        for registrar in self.registrars:
            registrar.offer(revision, time.monotonic())

    @property
    def uri(self) -> str:
        """What the first target was told to fetch last."""
        descriptor = remote(self.url)
        return f"{self.url}/atlassian-plugin.xml?target=jira&rev={descriptor.digest}"

    def told(self, target: str = "jira") -> list[TargetChanged]:
        return [e for e in self.events if isinstance(e, TargetChanged) and e.target == target]

    def states(self, target: str = "jira") -> list[str]:
        return [event.state.value for event in self.told(target)]

    async def until(
        self,
        state: TargetState,
        *,
        revision: str | None = None,
        target: str = "jira",
        count: int = 1,
        within: float = 5.0,
    ) -> TargetChanged:
        """The event that says that a target reached *state* (for the *count*-th time)."""

        def found() -> list[TargetChanged]:
            return [
                event
                for event in self.told(target)
                if event.state is state and revision in (None, event.revision)
            ]

        await self.wait(lambda: len(found()) >= count, within=within)
        return found()[count - 1]

    async def wait(self, condition: Callable[[], bool], *, within: float = 5.0) -> None:
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def house(
    *hosts: str | SimulatedHost,
    limits: Limits = QUICK,
    names: tuple[str, ...] = ("jira",),
    secret: str = "admin",
    keep: bool = False,
    request_limit: float = 2.0,
    run: bool = True,
    prepared: bool = False,
    journal: Journal | None = None,
    permissions: tuple[Permission, ...] = (),
) -> AsyncIterator[House]:
    """Our public port and a registrar for each of *hosts*, running while the block runs."""
    async with AsyncExitStack() as stack:
        bus, published = Bus(), Published()
        session = await stack.enter_async_context(connections())
        upms: dict[str, Upm] = {}
        verifier: list[Verifier] = []

        async def receive(request: web.Request, spec: CallbackSpec, body: bytes) -> Received:
            call = Call(
                method=request.method,
                url=made.url + request.path_qs,
                headers=request.headers,
                body=body,
            )
            found = await verifier[0].verify(call, spec, base_url=made.url)
            bus.publish(
                CallbackReceived(
                    target=found.target,
                    event=found.event,
                    verdict=found.verdict,
                    status=204,
                    ms=0,
                    path=request.path,
                    key=found.key,
                    reason=found.reason,
                )
            )
            return Received(204)

        sockets = open_sockets(None, 0)
        app = public_app(Site(published, bus, receive), frozenset())
        port = await stack.enter_async_context(serving(app, sockets))
        made = House(bus, published, f"http://localhost:{port}")
        made.upms = upms
        stack.enter_context(bus.listening(made.hear))
        for name, host in zip(names, hosts, strict=True):
            url = host if isinstance(host, str) else host.url
            target = Target(name=name, url=url, user="admin")
            origin = url if url.count("/") == 2 else url.rpartition("/")[0]
            who = Credentials(origin=origin, user="admin", secret=secret, source="the test")
            upms[name] = Upm(session, target, who, limit=request_limit)
            made.registrars.append(
                Registrar(
                    target,
                    upms[name],
                    bus,
                    delivery=ByUri(upms[name], Where(made.url)),
                    keep=keep,
                    limits=limits,
                    journal=journal,
                    permissions=permissions,
                )
            )
        verifier.append(Verifier(upms))
        if prepared:
            await verifier[0].prepare()
        if not run:
            yield made
            return
        async with running(made):
            yield made


@asynccontextmanager
async def running(our: House) -> AsyncIterator[None]:
    """Run the registrars while the block runs."""
    async with asyncio.TaskGroup() as tasks:
        work = [tasks.create_task(each.run()) for each in our.registrars]
        try:
            yield
        finally:
            for each in work:
                each.cancel()
