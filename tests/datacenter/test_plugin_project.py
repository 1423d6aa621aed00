"""Plugin projects as they are: pom.xml and its parents, modules, JARs of every kind and state."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from datacenter.plugins import BUNDLE, KEY, POM, TRANSFORMERLESS, PluginProject, jar

from devserver.datacenter import build, findings
from devserver.datacenter.files import jars
from devserver.datacenter.hostlog import WIDTH, HostLog
from devserver.datacenter.plugin import KEPT, Plugin, plugin_of
from devserver.descriptor.archive import Archive, parse
from devserver.descriptor.mark import mark
from devserver.errors import TargetUnavailable
from devserver.model import Descriptor, Diagnostic
from devserver.reading import Reading, read
from devserver.redact import Redactor
from devserver.settings import Settings
from devserver.sources import Sources, find_descriptor

MAIN = "src/main/resources/atlassian-plugin.xml"


@pytest.fixture
def project(tmp_path: Path) -> PluginProject:
    return PluginProject(tmp_path / "hello")


class Opened:
    """A project as the loop sees it."""

    def __init__(self, root: Path, descriptor: str = MAIN, **how: Any) -> None:
        self.plugin = Plugin(root, descriptor, **how)
        self.sources = Sources(root, descriptor, (), self.plugin)

    def look(self) -> Reading:
        return read(self.sources, self.sources.look(), lambda _: {})

    def good(self) -> Descriptor:
        reading = self.look()
        assert not reading.errors, reading.errors
        assert reading.examined is not None
        assert reading.examined.descriptor is not None
        return reading.examined.descriptor

    def error(self) -> Diagnostic:
        [found] = self.look().errors
        return found

    def told(self) -> list[str]:
        reading = self.look()
        assert reading.examined is not None
        return [each.code for each in reading.examined.warnings() if each.code[0] in "BG"]

    def packed(self) -> Archive:
        found = parse(bytes(self.plugin.pack(self.good(), mark("r1", "0" * 64)).data))
        assert isinstance(found, Archive)
        return found


def test_names_come_from_pom_xml(project: PluginProject) -> None:
    """Key, name and version as Maven would fill them in, with no settings file."""
    project.build()
    descriptor = Opened(project.root).good()
    assert (descriptor.key, descriptor.name, descriptor.version) == (KEY, "Hello", "1.0")


def test_what_no_pom_says_is_read_off_the_jar(project: PluginProject) -> None:
    """A parent that is not on disk: its properties are those that the last build put in."""
    project.edit('key="greet" section="', 'key="greet" section="${their.section}')
    text = project.descriptor.read_text("utf-8")
    project.descriptor.write_text(text.replace("${their.section}", "from-the-parent/"), "utf-8")
    project.build()
    project.descriptor.write_text(text, "utf-8")
    opened = Opened(project.root)
    assert b'section="from-the-parent/system' in opened.good().body
    assert "B008" not in opened.told()
    project.edit("<servlet", '<servlet-x key="n" a="${never.heard.of}"/><servlet')
    assert "B008" in opened.told()
    assert "G005" not in opened.told()  # one word for one thing


def test_a_pom_that_is_no_good(project: PluginProject) -> None:
    """With an entity, or broken: said, and what the JAR has counts."""
    project.build()
    (project.root / "pom.xml").write_text('<!DOCTYPE p [<!ENTITY a "b">]><project/>', "utf-8")
    opened = Opened(project.root)
    assert opened.good().key == KEY
    assert "B012" in opened.told()


def test_a_module_of_a_larger_build(tmp_path: Path) -> None:
    """The descriptor, the pom and the JAR are the module's; two plugins are too many."""
    project = PluginProject(tmp_path / "build" / "parts" / "plugin")
    project.build()
    root = tmp_path / "build"
    (root / "pom.xml").write_text("<project><modules><module>parts</module></modules></project>")
    inner = "<project><modules><module>plugin</module><module>../../x</module></modules></project>"
    (root / "parts" / "pom.xml").write_text(inner)
    name = f"parts/plugin/{MAIN}"
    assert find_descriptor(root) == name
    assert Opened(root, name).good().key == KEY
    made = plugin_of(Settings(root=root), name)
    assert made is not None
    assert made.module == root.resolve() / "parts/plugin"
    PluginProject(root / "other")
    (root / "pom.xml").write_text(
        "<project><modules><module>parts</module><module>other</module></modules></project>"
    )
    several = find_descriptor(root)
    assert isinstance(several, Diagnostic)
    assert several.code == "S002"


def test_the_newest_jar_that_is_the_plugin(project: PluginProject) -> None:
    """Sources, tests, documentation and what a shading leaves are none; Gradle's is one."""
    project.build()
    others = ("hello-1.0-sources.jar", "hello-1.0-tests.jar", "hello-1.0-javadoc.jar",
              "original-hello-1.0.jar")  # fmt: skip
    for each in others:
        (project.root / "target" / each).write_bytes(b"")
    found = jars(project.root, project.root, None)
    assert [each.name for each in found] == ["target/hello-1.0.jar"]
    gradle = project.root / "build/libs/hello-2.jar"
    gradle.parent.mkdir(parents=True)
    gradle.write_bytes(project.jar.read_bytes())
    assert jars(project.root, project.root, None)[0].name == "build/libs/hello-2.jar"
    assert jars(project.root, project.root, "target/hello-1.0.jar")[0].path.name == "hello-1.0.jar"


def test_no_jar_and_two(project: PluginProject) -> None:
    """Nothing to exchange the descriptor in: build first; two equally new: name one."""
    opened = Opened(project.root)
    assert opened.error().code == "B001"
    assert "atlas-package" in opened.error().fix
    project.build()
    (project.root / "target/other-1.0.jar").write_bytes(project.jar.read_bytes())
    stamp = project.jar.stat().st_mtime
    os.utime(project.root / "target/other-1.0.jar", (stamp, stamp))
    assert opened.error().code == "B002"
    assert "[app] jar" in opened.error().fix


def test_a_build_that_is_no_good_is_not_put_back(project: PluginProject) -> None:
    """It has come since the last look: the next one tells what is wrong with it."""
    project.edit("</atlassian-plugin>", "</nothing>")
    project.build()
    with pytest.raises(TargetUnavailable, match="cannot be read"):
        Opened(project.root).plugin.as_built(mark("r1", "0" * 12), "1.0")


def test_what_is_too_large_in_the_jar_stays(project: PluginProject) -> None:
    """Nobody can say what the build made of it, so it is not exchanged, and is named."""
    (project.resources / "big.properties").write_text("a=b\n", "utf-8")
    big = b"a=b\n" * (9 << 18)
    project.build(more={"big.properties": big})
    opened = Opened(project.root)
    assert "B009" in opened.told()
    assert opened.packed().read("big.properties", 2 * len(big)) == big


def test_a_word_for_the_jar_goes_round_no_circle(project: PluginProject) -> None:
    """Links that lead back took `**` an age; what is hidden is nobody's JAR."""
    built = project.build()
    hidden = project.root / ".mvn/wrapper.jar"
    hidden.parent.mkdir()
    hidden.write_bytes(b"")
    for name in "abc":
        (project.root / name).symlink_to(".")
    found = Opened(project.root, jar="**/*.jar").plugin.build.jars()
    assert [each.path for each in found] == [built]


@pytest.mark.parametrize("pattern", ["**x", "target/[", "target", "nope/*.jar"])
def test_a_word_for_the_jar_that_names_none(project: PluginProject, pattern: str) -> None:
    """Whatever the settings say: there is no such JAR, and nothing breaks."""
    project.build()
    assert Opened(project.root, jar=pattern).error().code == "B001"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JAR"),
        (b"PK\x03\x04 half", "not whole"),
        (jar({"obr.xml": b"", "a.jar": b""}), "OBR"),
        (jar({"a.txt": b""}), "no atlassian-plugin.xml"),
        (jar({"atlassian-plugin.xml": b"<a/>", "../evil": b""}), "outside its root"),
    ],
    ids=["empty", "half", "OBR", "another JAR", "climbs"],
)
def test_a_jar_that_is_none(project: PluginProject, data: bytes, said: str) -> None:
    """Told as what it is; once it is a good one it is taken."""
    project.jar.parent.mkdir()
    project.jar.write_bytes(data)
    opened = Opened(project.root)
    assert opened.error().code == "B003"
    assert said in opened.error().message
    with pytest.raises(TargetUnavailable):
        opened.plugin.as_built("[m]", None)
    project.build()
    opened.good()


def test_a_jar_of_a_gigabyte_is_not_read(project: PluginProject) -> None:
    """Its size alone is enough."""
    project.jar.parent.mkdir()
    with project.jar.open("wb") as file:
        file.truncate(1 << 30)
    started = time.process_time()
    assert "larger than 256 MB" in Opened(project.root).error().message
    assert time.process_time() - started < 1


def test_what_is_packed(project: PluginProject) -> None:
    """The descriptor with its mark, translations and what a folder scan finds; the rest as is."""
    scanned = project.resources / "META-INF/plugin-descriptors/made.xml"
    scanned.parent.mkdir(parents=True)
    scanned.write_text("<atlassian-plugin/>")
    project.build(more={"META-INF/plugin-descriptors/made.xml": b"<atlassian-plugin/>"})
    scanned.write_text("<atlassian-plugin><web-item/></atlassian-plugin>")
    project.labels.write_text("greet=Good day\n")
    (project.resources / "more.properties").write_text("a=b\n")
    packed = Opened(project.root).packed()
    assert b"[upm-dev r1 000000000000]" in (packed.read("atlassian-plugin.xml") or b"")
    assert packed.read("messages.properties") == b"greet=Good day\n"
    assert packed.read("more.properties") == b"a=b\n"
    assert b"web-item" in (packed.read("META-INF/plugin-descriptors/made.xml") or b"")
    assert packed.read("com/acme/hello/Hello.class") == b"\xca\xfe\xba\xbe" * 20


def test_resources_go_along_when_asked(project: PluginProject) -> None:
    """A script takes its minified twin's place too; what the build made anew stays, and is told."""
    script = project.resources / "js/a.js"
    style = project.resources / "css/a.css"
    for each in (script, style):
        each.parent.mkdir()
    script.write_text("one();\ntwo();\nthree();\n")
    style.write_text("a { b: c }\nd { e: f }\ng { h: i }\n")
    less = b"a{b:c}d{e:f}g{h:i}"
    more = {"js/a.js": script.read_bytes(), "js/a-min.js": b"one(),two()", "css/a.css": less}
    project.build(more=more)
    assert Opened(project.root).packed().read("js/a.js") == more["js/a.js"]
    opened = Opened(project.root, resources=True)
    opened.good()
    script.write_text("one();\ntwo();\nfour();\n")
    packed = opened.packed()
    assert packed.read("js/a.js") == packed.read("js/a-min.js") == script.read_bytes()
    assert packed.read("css/a.css") == less
    assert "B009" in opened.told()


FILTERED = "v=${project.version}\na=b\nc=d\n"


def test_a_source_that_comes_later_is_what_the_build_made_of_it(project: PluginProject) -> None:
    """A checkout brings one of which the JAR has the filtered form: that stays."""
    built = FILTERED.replace("${project.version}", "1.0").encode()
    project.build(more={"other.properties": built})
    opened = Opened(project.root)
    opened.good()
    (project.resources / "other.properties").write_text(FILTERED)
    assert opened.packed().read("other.properties") == built
    assert opened.told() == []
    (project.resources / "other.properties").write_text(FILTERED.replace("a=b", "a=x"))
    assert opened.packed().read("other.properties") == built.replace(b"a=b", b"a=x")


def test_a_new_build_may_treat_sources_otherwise(project: PluginProject) -> None:
    """What was found out with the JAR before counts no more."""
    source = project.resources / "other.properties"
    source.write_text(FILTERED)
    project.build(more={"other.properties": FILTERED.encode()})
    opened = Opened(project.root)
    source.write_text(FILTERED.replace("a=b", "a=x"))
    assert opened.packed().read("other.properties") == source.read_bytes()

    built = source.read_bytes().replace(b"${project.version}", b"1.0")
    project.build(more={"other.properties": built}, age=30)
    assert opened.packed().read("other.properties") == built
    source.write_text(FILTERED.replace("a=b", "a=y"))
    assert opened.packed().read("other.properties") == built.replace(b"a=x", b"a=y")

    project.build(more={"other.properties": source.read_bytes()}, age=20)
    opened.good()  # as it is, now
    project.build(more={"other.properties": built}, age=15)
    source.write_text(FILTERED.replace("a=b", "a=z"))
    assert opened.packed().read("other.properties") == built.replace(b"a=x", b"a=z")

    project.build(more={"other.properties": source.read_bytes()}, age=10)
    assert opened.packed().read("other.properties") == source.read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_may_be_readable_later(project: PluginProject) -> None:
    """Without another change of it."""
    built = project.build()
    built.chmod(0)
    opened = Opened(project.root)
    assert opened.error().code == "B003"
    built.chmod(0o644)
    assert opened.good().key == KEY


def test_classes_go_along_when_asked(project: PluginProject) -> None:
    """Those that an IDE has compiled since; otherwise newer sources are spoken of."""
    project.build()
    source = project.root / "src/main/java/com/acme/hello/Hello.java"
    compiled = project.root / "target/classes/com/acme/hello/Hello.class"
    for each in (source, compiled):
        each.parent.mkdir(parents=True)
    source.write_text("class Hello {}")
    compiled.write_bytes(b"new")
    assert Opened(project.root).told() == ["B010"]
    assert Opened(project.root).packed().read("com/acme/hello/Hello.class") != b"new"
    opened = Opened(project.root, classes=True)
    assert opened.told() == []
    assert opened.packed().read("com/acme/hello/Hello.class") == b"new"


def test_a_signature_goes_with_a_word(project: PluginProject) -> None:
    """It would not fit the new descriptor."""
    project.build(more={"META-INF/ACME.SF": b"s", "META-INF/ACME.RSA": b"s"})
    opened = Opened(project.root)
    assert opened.told() == ["B011"]
    assert not opened.packed().signature


def test_what_the_manifest_does_not_let_through(project: PluginProject) -> None:
    """Placed in the user's file, before anything is sent."""
    project.build(TRANSFORMERLESS)
    opened = Opened(project.root)
    opened.good()
    project.edit("com.acme.hello.Hello", "com.acme.hello.Gone")
    found = opened.error()
    assert (found.code, found.position.file, found.position.line) == ("B005", MAIN, 12)
    project.edit("com.acme.hello.Gone", "com.atlassian.jira.web.Gone")
    assert opened.error().code == "B006"
    project.edit("com.atlassian.jira.web.Gone", "com.acme.hello.Hello")
    project.edit("<servlet", '<component key="c" class="com.acme.hello.Hello"/><servlet')
    assert opened.error().code == "X117"
    project.build(BUNDLE)
    opened.good()


def test_what_is_no_plugin_project(project: PluginProject, tmp_path: Path) -> None:
    """A remote app, a JSON descriptor, a plain XML plugin: no JAR is made of them."""
    assert plugin_of(Settings(root=project.root), MAIN) is not None
    project.edit("</atlassian-plugin>", '<remote-plugin-container key="c"/></atlassian-plugin>')
    assert plugin_of(Settings(root=project.root), MAIN) is None
    (tmp_path / "atlassian-plugin.xml").write_text("<atlassian-plugin/>")
    assert plugin_of(Settings(root=tmp_path), "atlassian-plugin.xml") is None
    assert plugin_of(Settings(root=tmp_path, jar="x.jar"), "atlassian-plugin.xml") is not None


def test_a_parent_pom_on_disk(tmp_path: Path) -> None:
    """Its properties count, and a change of it is a change."""
    project = PluginProject(tmp_path / "build" / "plugin")
    root = tmp_path / "build"
    parent = "<project><groupId>com.acme</groupId><artifactId>p</artifactId><version>1.0</version>"
    (root / "pom.xml").write_text(f"{parent}<modules><module>plugin</module></modules></project>")
    child = POM.format(settings="").replace("<version>1.0</version>", "")
    child = child.replace("<groupId>com.acme</groupId>", f"<parent>{parent[9:]}</parent>")
    (root / "plugin/pom.xml").write_text(child)
    (root / ".git").mkdir()
    project.build()
    opened = Opened(root, f"plugin/{MAIN}")
    assert opened.good().version == "1.0"


def test_the_log_of_the_product_that_the_sdk_runs(tmp_path: Path) -> None:
    """Found where the SDK puts it; read from where it stood, or anew where it was begun anew."""
    log = tmp_path / "target/jira/home/log/atlassian-jira.log"
    log.parent.mkdir(parents=True)
    log.write_text("2026-11-23 ERROR com.acme.hello earlier\n" * 3, "utf-8")
    found = HostLog(tmp_path)
    found.begin()
    assert found.since([KEY]) == []
    with log.open("a", encoding="utf-8") as file:
        file.write("2026-11-23 WARN com.acme.hello now\n2026-11-23 INFO another\n")
    [told] = found.since([KEY, ""])
    assert told.lines == ("2026-11-23 WARN com.acme.hello now",)
    log.write_text("2026-11-24 WARN com.acme.hello rotated\n", "utf-8")
    assert found.since([KEY])[0].lines == ("2026-11-24 WARN com.acme.hello rotated",)
    log.unlink()
    assert found.since([KEY]) == []


def test_a_log_gives_no_half_of_a_secret(tmp_path: Path) -> None:
    """A line is cut once the secrets are out of it."""
    log = tmp_path / "a.log"
    log.write_text("")
    found = HostLog(tmp_path, [log], Redactor(["correct-horse-battery-staple"]).text)
    found.begin()
    log.write_text(f"2026-11-24 {KEY} {'x' * (WIDTH - 50)} correct-horse-battery-staple\n")
    [told] = found.since([KEY])
    assert "correct" not in told.lines[0]
    assert len(told.lines[0]) <= WIDTH


def test_a_build_is_waited_for_a_while(
    project: PluginProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins with taking the JAR away; after a minute there is none, and each build has one."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    project.build()
    opened = Opened(project.root)
    opened.good()

    def waited() -> bool:
        return "waiting" in opened.plugin.build.awaited(opened.look().errors)

    for _ in range(2):
        project.jar.unlink()
        assert waited()
        now[0] += build.BUILD_SECONDS - 1
        assert waited()
        now[0] += 2
        assert not waited()
        project.build()
        opened.good()


def test_what_went_along_is_forgotten_in_time(project: PluginProject) -> None:
    """A morning of saves is not kept in memory."""
    project.build()
    opened = Opened(project.root)
    for number in range(KEPT + 5):
        project.labels.write_text(f"greet=Hello {number}\n")
        opened.good()
    assert len(opened.plugin._packs) == KEPT


def test_every_finding_says_what_to_do() -> None:
    """`upm-dev explain` has a remedy for each code."""
    assert findings.CODES.keys() == findings.REMEDIES.keys()
