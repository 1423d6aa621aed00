"""A look is followed until nothing more is needed, and no further."""

from pathlib import Path

from devserver.reading import MAX_LOOKS, read
from devserver.sources import Sources


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
