"""Plugin projects as the SDK lays them out, their JARs made by `zipfile`."""

import io
import os
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.acme</groupId>
  <artifactId>hello</artifactId>
  <version>1.0</version>
  <packaging>atlassian-plugin</packaging>
  <name>Hello</name>
  <properties><atlassian.plugin.key>com.acme.hello</atlassian.plugin.key></properties>
  <build><plugins><plugin>
    <groupId>com.atlassian.maven.plugins</groupId>
    <artifactId>jira-maven-plugin</artifactId>
    <configuration>{settings}</configuration>
  </plugin></plugins></build>
</project>
"""
DESCRIPTOR = """\
<atlassian-plugin key="${atlassian.plugin.key}" name="${project.name}" plugins-version="2">
  <plugin-info>
    <description>Greets.</description>
    <version>${project.version}</version>
    <vendor name="Acme" url="https://acme.example"/>
  </plugin-info>
  <resource type="i18n" name="i18n" location="messages"/>
  <web-item key="greet" section="system.user.options/personal">
    <label key="greet"/>
    <link>/greet</link>
  </web-item>
  <servlet key="hello" class="com.acme.hello.Hello"><url-pattern>/hello</url-pattern></servlet>
</atlassian-plugin>
"""
KEY = "com.acme.hello"
PLAIN = {"Manifest-Version": "1.0"}
BUNDLE = {**PLAIN, "Bundle-ManifestVersion": "2", "Bundle-SymbolicName": KEY}
TRANSFORMERLESS = {
    **BUNDLE,
    "Atlassian-Plugin-Key": KEY,
    "Import-Package": 'com.atlassian.jira.issue;version="[7,9)";resolution:=optional,javax.inject',
    "DynamicImport-Package": "org.slf4j.*",
}


def manifest(headers: Mapping[str, str]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode() + b"\r\n"


def jar(entries: Mapping[str, bytes], headers: Mapping[str, str] = PLAIN) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", manifest(headers))
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


class PluginProject:
    """A folder with a pom.xml, sources and, once it is built, a JAR."""

    def __init__(self, root: Path, *, settings: str = "") -> None:
        self.root = root
        self.resources = root / "src/main/resources"
        self.descriptor = self.resources / "atlassian-plugin.xml"
        self.labels = self.resources / "messages.properties"
        self.jar = root / "target/hello-1.0.jar"
        self.resources.mkdir(parents=True)
        (root / "pom.xml").write_text(POM.format(settings=settings), "utf-8")
        self.descriptor.write_text(DESCRIPTOR, "utf-8")
        self.labels.write_text("greet=Hello\n", "utf-8")

    def source(self, **changed: str) -> str:
        """The descriptor with words exchanged: `source(Greets="Says")`."""
        text = DESCRIPTOR
        for old, new in changed.items():
            text = text.replace(old, new)
        return text

    def edit(self, old: str, new: str) -> None:
        text = self.descriptor.read_text("utf-8")
        assert old in text
        self.descriptor.write_text(text.replace(old, new), "utf-8")

    def build(
        self,
        headers: Mapping[str, str] = PLAIN,
        *,
        more: Mapping[str, bytes] | None = None,
        version: str = "1.0",
        age: float = 60.0,
    ) -> Path:
        """What a build makes; *age* is how many seconds ago."""
        text = self.descriptor.read_text("utf-8")
        for name, value in (
            ("atlassian.plugin.key", KEY),
            ("project.name", "Hello"),
            ("project.version", version),
        ):
            text = text.replace(f"${{{name}}}", value)
        entries = {
            "atlassian-plugin.xml": text.encode(),
            "messages.properties": self.labels.read_bytes(),
            "com/acme/hello/Hello.class": b"\xca\xfe\xba\xbe" * 20,
            **(more or {}),
        }
        self.jar.parent.mkdir(exist_ok=True)
        temporary = self.jar.with_suffix(".tmp")
        temporary.write_bytes(jar(entries, headers))
        built = time.time() - age
        os.utime(temporary, (built, built))
        temporary.replace(self.jar)
        return self.jar
