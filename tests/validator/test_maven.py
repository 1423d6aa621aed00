"""pom.xml as far as it is on disk: properties, parents, profiles, the SDK's plugin."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devserver.descriptor import jar, maven, placeholders
from devserver.surroundings import read_pom, survey

Save = Callable[[str, str | bytes], Path]

PARENT = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <groupId>com.acme</groupId><artifactId>parent</artifactId><version>3.1</version>
  <properties><who>parent</who><product.version>9.12</product.version></properties>
  <profiles>
    <profile><activation><activeByDefault>true</activeByDefault></activation>
      <properties><mode>default</mode></properties></profile>
    <profile><id>other</id><properties><mode>other</mode></properties></profile>
  </profiles>
  <build><pluginManagement><plugins><plugin>
    <artifactId>jira-maven-plugin</artifactId>
    <configuration>
      <productVersion>${product.version}</productVersion><httpPort>2991</httpPort>
      <instructions>
        <Atlassian-Plugin-Key>${atlassian.plugin.key}</Atlassian-Plugin-Key>
        <Atlassian-Scan-Folders>META-INF/plugin-descriptors</Atlassian-Scan-Folders>
      </instructions>
    </configuration>
  </plugin></plugins></pluginManagement></build>
  <modules><module>app</module></modules>
</project>
"""
CHILD = """\
<project>
  <parent><groupId>com.acme</groupId><artifactId>parent</artifactId><version>3.1</version></parent>
  <artifactId>app</artifactId>
  <properties><who>child of ${project.parent.version}</who><a>${b}</a><b>${a}</b></properties>
  <build><plugins><plugin><artifactId>jira-maven-plugin</artifactId></plugin></plugins></build>
</project>
"""


def test_properties_are_inherited_and_resolved() -> None:
    """The child's win; group and version come from the parent; the SDK's own default key."""
    pom = maven.read({"app/pom.xml": CHILD.encode(), "pom.xml": PARENT.encode()}, "app/pom.xml")

    assert pom is not None
    assert pom.properties["project.groupId"] == "com.acme"
    assert pom.properties["project.version"] == "3.1"
    assert pom.properties["who"] == "child of 3.1"
    assert pom.properties["mode"] == "default"
    assert pom.properties["atlassian.plugin.key"] == "com.acme.app"
    assert pom.parents == ("pom.xml",)
    assert pom.product == "jira"
    assert pom.settings == {"productVersion": "9.12", "httpPort": "2991"}
    assert pom.transformerless
    assert pom.scanned


SAID = (
    "${version} ${artifactId} ${groupId} ${name} ${packaging}|${pom.version} ${parent.version}"
    "|${project.description}|${project.organization.name} ${organization.name}|${project.url}"
    "|${project.scm.url} ${project.inceptionYear} ${project.build.finalName}"
)
FILLED = (
    "1.0 app com.acme app jar|1.0 3.1|Says|Acme Inc Acme Inc|https://acme.example/app"
    "|https://scm.example/app 2020 app-1.0"
)
"""What Maven 3.8.7 with maven-resources-plugin 3.3.1 makes of that, with these two poms."""


def test_what_is_said_of_the_project_is_known_as_maven_knows_it() -> None:
    """With a prefix and without; from the parent what it inherits, the url with its own name."""
    more = (
        "<description>Says</description><url>https://acme.example</url>"
        "<organization><name>Acme Inc</name></organization><inceptionYear>2020</inceptionYear>"
        "<scm><url>https://scm.example</url></scm><modules>"
    )
    parent = PARENT.replace("<modules>", more)
    child = CHILD.replace(
        "<artifactId>app</artifactId>", "<artifactId>app</artifactId><version>1.0</version>"
    )
    pom = maven.read({"app/pom.xml": child.encode(), "pom.xml": parent.encode()}, "app/pom.xml")

    assert pom is not None
    assert placeholders.fill(SAID, pom.properties) == FILLED


def test_the_pom_above_that_is_another_projects(save: Save) -> None:
    """Only the parent that is named is one: Maven looks elsewhere then, and we call it absent."""
    save(".git/HEAD", "")
    save(
        "pom.xml",
        PARENT.replace("<artifactId>parent</artifactId>", "<artifactId>else</artifactId>"),
    )
    pom = read_pom(save("app/pom.xml", CHILD).parent)

    assert pom is not None
    assert pom.absent == ("pom.xml",)
    assert "mode" not in pom.properties


def test_what_cannot_be_known_stays_a_placeholder() -> None:
    """A circle, an unknown name, a parent that is not on disk: named, never guessed."""
    pom = maven.read({"app/pom.xml": CHILD.encode()}, "app/pom.xml")

    assert pom is not None
    assert pom.absent == ("pom.xml",)
    assert "${" in pom.properties["a"]
    assert placeholders.fill("${nope} ${project.artifactId}", pom.properties) == "${nope} app"
    assert placeholders.unknown("${nope} ${nope} ${project.name}", pom.properties) == ("nope",)


@pytest.mark.parametrize(
    "text",
    [
        "<project",
        '<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><project>&x;</project>',
        "<other/>",
        "",
    ],
)
def test_a_bad_pom_is_none(text: str) -> None:
    """The same safe parser: no entity, no DTD."""
    assert maven.read({"pom.xml": text.encode()}) is None


def test_parents_outside_the_repository_are_not_followed() -> None:
    """`relativePath` that climbs out, or that is empty, leads nowhere."""
    for path in ("../../../etc/pom.xml", ""):
        child = CHILD.replace("</parent>", f"<relativePath>{path}</relativePath></parent>")
        pom = maven.read({"app/pom.xml": child.encode()}, "app/pom.xml")
        assert pom is not None
        assert pom.absent == ()


def test_a_properties_bomb_is_bounded() -> None:
    """Ten levels of ten references each stop before they fill the memory."""
    levels = "".join(f"<p{i}>{f'${{p{i + 1}}}' * 10}</p{i}>" for i in range(12))
    pom = maven.read({"pom.xml": f"<project><properties>{levels}</properties></project>".encode()})

    assert pom is not None
    assert max(map(len, pom.properties.values())) < 2_000_000


def test_amps_names_its_product() -> None:
    """`amps-maven-plugin` with a <product>; other plugins say nothing."""
    build = "<build><plugins><plugin><artifactId>{}</artifactId>{}</plugin></plugins></build>"
    inner = (
        "<configuration><products><product><id>confluence</id></product></products></configuration>"
    )

    def product(artifact: str, configuration: str = "") -> str | None:
        text = f"<project>{build.format(artifact, configuration)}</project>"
        pom = maven.read({"pom.xml": text.encode()})
        return pom.product if pom else None

    assert product("amps-maven-plugin", inner) == "confluence"
    assert product("amps-maven-plugin") is None
    assert product("maven-bamboo-plugin") == "bamboo"
    assert product("maven-compiler-plugin") is None


def test_the_edge_reads_parents_inside_the_repository(save: Save, tmp_path: Path) -> None:
    """From a module up to the top of the repository, no further; links out are not followed."""
    save("repo/.git/HEAD", "")
    save("repo/pom.xml", PARENT)
    save("repo/app/pom.xml", CHILD)
    save("repo/app/src/main/resources/atlassian-plugin.xml", "<atlassian-plugin/>")
    outside = save("outside.xml", PARENT)
    (tmp_path / "repo/linked").mkdir()
    (tmp_path / "repo/linked/pom.xml").symlink_to(outside)

    project = survey(tmp_path / "repo", "app/src/main/resources/atlassian-plugin.xml")

    assert project.properties["atlassian.plugin.key"] == "com.acme.app"
    assert project.transformerless
    assert project.classes is None
    assert read_pom(tmp_path / "repo/linked") is None


def test_manifests_are_unfolded() -> None:
    """Lines of 72 bytes go on with a blank; sections after the first are not looked at."""
    manifest = jar.parse_manifest(
        b"Bundle-SymbolicName: com.acme\r\n .app\r\n"
        b"Atlassian-Scan-Folders: a, b/\r\n\r\nName: x\r\n"
    )

    assert manifest == {"Bundle-SymbolicName": "com.acme.app", "Atlassian-Scan-Folders": "a, b/"}


def test_jars_that_cannot_be_deployed(tmp_path: Path) -> None:
    """Entries outside the root, twice the same, an OBR with two plugins or none: a word each."""
    import warnings
    import zipfile

    def words(name: str, entries: list[tuple[str, bytes]]) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with zipfile.ZipFile(tmp_path / name, "w") as made:
                for entry, data in entries:
                    made.writestr(entry, data)
        with (tmp_path / name).open("rb") as file:
            _, diagnostics = jar.read(file, name)
        return " ".join(each.message for each in diagnostics)

    plugin = ("atlassian-plugin.xml", b"<atlassian-plugin/>")
    assert "outside its root" in words("a.jar", [plugin, ("../x", b"")])
    assert "twice" in words("b.jar", [plugin, plugin])
    assert "without a JAR" in words("c.obr", [("obr.xml", b"")])
    assert words("d.jar", [plugin]) == ""
    inner = (tmp_path / "d.jar").read_bytes()
    assert "2 plugins" in words("e.obr", [("a.jar", inner), ("b.jar", inner)])


def test_scanned_descriptors_belong_to_the_jar(tmp_path: Path) -> None:
    """Those in the folders that the manifest names are checked as parts."""
    import zipfile

    with zipfile.ZipFile(tmp_path / "a.jar", "w") as made:
        made.writestr(
            "META-INF/MANIFEST.MF", b"Atlassian-Scan-Folders: META-INF/plugin-descriptors\n"
        )
        made.writestr("atlassian-plugin.xml", b"<atlassian-plugin/>")
        made.writestr("META-INF/plugin-descriptors/wr.xml", b"<bundles/>")
        made.writestr("other/wr.xml", b"<bundles/>")
        made.writestr("i18n.properties", b"a.b=1\n# c\nd\\:e : 2\nf\\\n  g=3\n")
    with (tmp_path / "a.jar").open("rb") as file:
        (found,), _ = jar.read(file, "a.jar")

    assert list(found.descriptors) == ["atlassian-plugin.xml", "META-INF/plugin-descriptors/wr.xml"]
    assert found.labels is not None
    assert found.labels["i18n"] == {"a.b", "d:e", "fg"}
    assert jar.project(found).scanned
