"""Real P2 descriptors, each in a project of its own, packed and registered: nothing is lost."""

import asyncio
import re
from pathlib import Path

import corpus
from datacenter.plugins import jar
from lxml import etree

from devserver.credentials import Credentials
from devserver.datacenter.plugin import Plugin
from devserver.descriptor.mark import mark
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


async def installed(upm: Upm, data: bytes) -> bool:
    task = await upm.upload(data, "app-1.0.jar", await upm.token())
    outcome: Outcome = Running(0)
    async with asyncio.timeout(10):
        while isinstance(outcome, Running):
            outcome = await upm.poll(task)
    return isinstance(outcome, Installed)


async def test_every_module_comes_back_as_declared(tmp_path: Path) -> None:
    """With a pom.xml that defines what its `${…}` need, through our JAR, from the host's mouth."""
    wanted = [each for each in corpus.samples() if each.file.startswith("p2-xml/")]
    taken = 0
    async with (
        simulated_host(port=0, profile="dc", product="confluence", install_time=0) as host,
        connections() as session,
    ):
        origin = host.url.rpartition("/")[0]
        who = Credentials(origin=origin, user="admin", secret="admin", source="the test")
        upm = Upm(session, Target(name="jira", url=host.url), who)
        for number, sample in enumerate(wanted):
            if sample.template not in ("", "${...}") or not sample.well_formed:
                continue
            taken += await comes_back(tmp_path / str(number), sample.data, upm, host)
    assert taken > len(wanted) * 0.7


async def comes_back(root: Path, data: bytes, upm: Upm, host: SimulatedHost) -> bool:
    plugin = project(root, data)
    sources = Sources(root, MAIN, (), plugin)
    reading = read(sources, sources.look(), lambda _: {})
    descriptor = reading.examined.descriptor if reading.examined else None
    if descriptor is None:  # a genuine mistake of its owner's, told: nothing is sent
        assert reading.errors
        return False
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
    return True
