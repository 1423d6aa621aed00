"""A look is followed until nothing more is needed, and no further."""

from pathlib import Path

import pytest

from devserver.reading import MAX_LOOKS, read
from devserver.sources import Sources

XML = """\
<atlassian-plugin key="com.acme.hello" name="Hello" plugins-version="2">
  <plugin-info><version>1.0</version></plugin-info>
</atlassian-plugin>
"""


def chain(root: Path, links: int) -> Sources:
    """A template whose includes are found one after the other, by computed names."""
    (root / "main.xml.j2").write_text("{% set n = '1' %}{% include n ~ '.j2' %}", encoding="utf-8")
    for number in range(1, links):
        text = "{% set n = '" + str(number + 1) + "' %}{% include n ~ '.j2' %}"
        (root / f"{number}.j2").write_text(text, encoding="utf-8")
    (root / f"{links}.j2").write_text('<atlassian-plugin key="a"/>', encoding="utf-8")
    return Sources(root, "main.xml.j2")


def test_computed_names_are_followed(tmp_path: Path) -> None:
    """Each rendering tells what it lacks; the last snapshot has it all."""
    sources = chain(tmp_path, 5)

    reading = read(sources, sources.look(), lambda files: {})

    assert reading.examined is not None
    assert {f"{number}.j2" for number in range(1, 6)} <= set(reading.snapshot.files)


def test_a_chain_without_end_is_the_users_mistake(tmp_path: Path) -> None:
    """It is told as a diagnostic: nothing crashes."""
    sources = chain(tmp_path, MAX_LOOKS + 20)

    reading = read(sources, sources.look(), lambda files: {})

    assert [each.code for each in reading.errors] == ["T005"]
    assert reading.errors[0].position.file == "main.xml.j2"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("atlassian-plugin.xml", "#set( $d = '$' )\n" + XML),
        ("atlassian-plugin.xml", XML.replace("</a", "{% if 1 < 2 %}</a")),
        ("atlassian-connect.json", '{"key": "a", "baseUrl": "http://a", "version": <%= v %>}'),
    ],
    ids=["Velocity", "Jinja in a plain file", "ERB in JSON"],
)  # fmt: skip
def test_another_tools_template_is_not_served(tmp_path: Path, name: str, text: str) -> None:
    """`validate` reads around its directives; a host would not, so it is never handed one."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    sources = Sources(tmp_path, name)

    reading = read(sources, sources.look(), lambda files: {})

    assert "G005" in [each.code for each in reading.errors]
    assert reading.examined is not None
    assert reading.examined.descriptor is None
