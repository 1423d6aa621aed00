"""Real P2 descriptors, each in a project of its own, packed and registered: nothing is lost."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import corpus
from datacenter.plugins import jar
from lxml import etree

from devserver.credentials import Credentials
from devserver.datacenter.plugin import Plugin
from devserver.descriptor.mark import mark
from devserver.descriptor.patch import Pieces
from devserver.descriptor.placeholders import PROPERTY
from devserver.model import Target
from devserver.reading import read
from devserver.simulator import SimulatedHost, simulated_host
from devserver.sources import Sources
from devserver.upm.answers import Installed, Outcome, Running
from devserver.upm.client import Upm
from devserver.upm.wire import connections

MAIN = "src/main/resources/atlassian-plugin.xml"
pytestmark = corpus.needed


def pom(names: set[str]) -> str:
    """One that defines what a descriptor needs."""
    own = "".join(
        f"<{name}>value-{number}</{name}>"
        for number, name in enumerate(sorted(names))
        if re.fullmatch(r"[A-Za-z_][\w.-]*", name) and not name.startswith(("project.", "pom."))
    )
    return (
        "<project><groupId>com.acme</groupId><artifactId>app</artifactId><version>1.0</version>"
        "<name>App</name><description>Says</description><url>https://acme.example</url>"
        "<organization><name>Acme</name><url>https://acme.example</url></organization>"
        f"<properties>{own}</properties></project>"
    )


def project(root: Path, data: bytes) -> Plugin:
    (root / MAIN).parent.mkdir(parents=True)
    (root / MAIN).write_bytes(data)
    names = {found[1] for found in PROPERTY.finditer(data.decode("utf-8", "replace"))}
    (root / "pom.xml").write_text(pom(names), "utf-8")
    (root / "target").mkdir()
    built = jar({"atlassian-plugin.xml": b"<atlassian-plugin key='a'/>", "a.txt": b"kept"})
    (root / "target/app-1.0.jar").write_bytes(built)
    return Plugin(root, MAIN)


def declared(body: bytes) -> list[tuple[str, str]]:
    """Tag and key of the modules, read by lxml alone."""
    root = etree.fromstring(body)
    skipped = {"plugin-info", "resource", "vendor", "param", "permissions", "description", "oauth"}
    return [
        (etree.QName(each).localname, each.get("key", "").strip())
        for each in root
        if isinstance(each.tag, str) and etree.QName(each).localname not in skipped
    ]


async def installed(upm: Upm, data: Pieces) -> bool:
    task = await upm.upload(data, "app-1.0.jar", await upm.token())
    outcome: Outcome = Running(0)
    async with asyncio.timeout(10):
        while isinstance(outcome, Running):
            outcome = await upm.poll(task)
    return isinstance(outcome, Installed)


REASONS = {
    "G001": "not well-formed: cut off, or an element that is never closed",
    "G002": "-- inside a comment: the SDK's minifier takes comments out before a host parses them",
    "G005": "a template of an archetype: Velocity makes the descriptor of it (tried below)",
    "X102": "a colon in the plugin key: the framework's own example of a bad one",
    "X111": "no version: the framework's own examples, from before OSGi needed one",
    "X202": "a module key twice: the framework's own example of a bad plugin",
    "X301": "a web-item without a label",
    "X307": "filter locations of before framework 2.1, which no host of today knows",
}
REFUSED = {
    "1and1__video-integration-plugin-confluence__2": {"G001"},
    "Atlas-Authority__MarkdownMacro__5": {"G001"},
    "BCCRiskAdvisory__edgescan-jira-plugin__1": {"G002"},
    "BCCRiskAdvisory__edgescan-jira-plugin__2": {"G002"},
    "BCCRiskAdvisory__edgescan-jira-plugin__3": {"G002"},
    "atlassian-labs__dc-migration-assistant__12": {"X301"},
    **{
        f"mrdon__AMPS__{number}": {"G005"}
        for number in (1, 2, 3, 4, 5, 6, 13, 14, 17, 18, 19, 20, 21, 22, 23, 24)
    },
    "mrdon__PLUG__7": {"X202"},
    "mrdon__PLUG__8": {"X102"},
    "mrdon__PLUG__18": {"X307"},
    "mrdon__PLUG__19": {"X307"},
    "mrdon__PLUG__30": {"X111"},
    "mrdon__PLUG__31": {"X111", "X202"},
    "mrdon__PLUG__32": {"X102", "X111"},
    "mrdon__PLUG__33": {"X111"},
    "mrdon__PLUG__34": {"X111"},
    "mrdon__PLUG__35": {"X102"},
    "mrdon__PLUG__40": {"X111"},
    "mrdon__SAL__33": {"G001"},
}
"""Every file that is not sent, by name, with all that stands against it; none may join unseen."""


async def test_every_module_comes_back_as_declared(tmp_path: Path) -> None:
    """With a pom.xml that defines what its `${…}` need, through our JAR, from the host's mouth."""
    wanted = [each for each in corpus.samples() if each.file.startswith("p2-xml/")]
    refused: dict[str, set[str]] = {}
    async with hosted() as (upm, host):
        for sample in wanted:
            name = Path(sample.file).stem
            if errors := await comes_back(tmp_path / name, sample.data, upm, host):
                refused[name] = errors
    assert refused == REFUSED
    assert set.union(*REFUSED.values()) == set(REASONS)


async def test_what_an_archetype_makes_comes_back_too(tmp_path: Path) -> None:
    """The SDK's templates, once Velocity has put in what `archetype:generate` gives it."""
    facts = {"dollar": "$", "groupId": "com.acme", "artifactId": "app", "package": "com.acme.app"}
    made = 0
    async with hosted() as (upm, host):
        for sample in corpus.samples():
            if REFUSED.get(Path(sample.file).stem) != {"G005"}:
                continue
            text = sample.data.decode().removeprefix("#set( $dollar = '$' )\n")
            text = text.replace("\\${", "${")
            for name, value in facts.items():
                text = text.replace(f"${{{name}}}", value)
            assert not await comes_back(tmp_path / str(made), text.encode(), upm, host)
            made += 1
    assert made == 16


@asynccontextmanager
async def hosted() -> AsyncIterator[tuple[Upm, SimulatedHost]]:
    async with (
        simulated_host(port=0, profile="dc", product="confluence", install_time=0) as host,
        connections() as session,
    ):
        origin = host.url.rpartition("/")[0]
        who = Credentials(origin=origin, user="admin", secret="admin", source="the test")
        yield Upm(session, Target(name="jira", url=host.url), who), host


async def comes_back(root: Path, data: bytes, upm: Upm, host: SimulatedHost) -> set[str]:
    """Whether the host lists just what the file declares; the errors for which it was not sent."""
    plugin = project(root, data)
    sources = Sources(root, MAIN, (), plugin)
    reading = read(sources, sources.look(), lambda _: {})
    descriptor = reading.examined.descriptor if reading.examined else None
    if descriptor is None:
        return {each.code for each in reading.errors}
    assert not reading.errors
    sign = mark("r1", descriptor.digest)
    packed = plugin.pack(descriptor, sign)
    host.state.plugins.pop(descriptor.key, None)
    assert await installed(upm, packed.data)
    app = host.state.plugins[descriptor.key].app
    assert sign in app.description
    keyed = [(tag, key) for tag, key in declared(descriptor.body) if key]
    shown = [(each.type, each.key) for each in app.modules]
    assert [each for each in shown if each in keyed] == keyed
    listed = await upm.plugin(descriptor.key)
    assert listed is not None
    assert {key for _, key in keyed} <= {each.key for each in listed.modules}
    return set()
