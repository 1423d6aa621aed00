"""Small projects for tests, saved the ways editors save."""

import os
from pathlib import Path

TEMPLATE = """\
<atlassian-plugin key="{{ key }}" name="{{ name }}" plugins-version="2">
  <plugin-info>
    <description>Says hello.</description>
    <version>{{ version }}</version>
    <vendor name="Acme" url="https://acme.example"/>
  </plugin-info>
  <remote-plugin-container key="container" display-url="{{ base_url }}"/>
  {% include "page.xml.j2" %}
  <webhook key="installed" event="remote_plugin_installed" url="/installed"/>
</atlassian-plugin>
"""

PAGE = """\
<general-page key="hello" name="Hello" url="/hello"/>
"""

SETTINGS = """\
[app]
variables = { key = "com.acme.hello", name = "Hello World", version = "1.0" }
"""


class Project:
    """A folder with a template, an include and settings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.template = root / "atlassian-plugin.xml.j2"
        self.include = root / "page.xml.j2"
        self.settings = root / "upm-dev.toml"
        self.template.write_text(TEMPLATE, encoding="utf-8")
        self.include.write_text(PAGE, encoding="utf-8")
        self.settings.write_text(SETTINGS, encoding="utf-8")

    def template_with(self, version: str) -> str:
        return TEMPLATE.replace("{{ version }}", version)

    def save(self, text: str, file: Path | None = None) -> None:
        """In one write, as most editors do."""
        (file or self.template).write_text(text, encoding="utf-8")

    def save_by_rename(self, text: str, file: Path | None = None) -> None:
        """Write a neighbour and rename it over the file."""
        file = file or self.template
        temporary = file.with_name(file.name + "~tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)

    def save_as_vim(self, text: str, file: Path | None = None) -> None:
        """Rename the old one away, write the new one, fix its mode, drop the old one."""
        file = file or self.template
        backup = file.with_name(file.name + "~")
        file.rename(backup)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o644)
        backup.unlink()

    def truncate(self, file: Path | None = None) -> None:
        """The first half of a save in two steps."""
        os.truncate(file or self.template, 0)
