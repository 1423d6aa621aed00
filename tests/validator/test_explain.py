"""`upm-dev explain`, docs/rules/, and `render`."""

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from devserver.descriptor.rules.pages import pages
from devserver.descriptor.rules.pages.book import book

Run = Callable[..., Result]
Save = Callable[[str, str | bytes], Path]
DOCS = Path(__file__).parents[2] / "docs" / "rules"


def test_the_pages_on_disk_are_current() -> None:
    """docs/rules/ is what `upm-dev explain --write docs/rules` writes."""
    there = {each.name: each.read_text(encoding="utf-8") for each in DOCS.iterdir()}

    assert there == dict(book())


def test_every_page_is_in_the_book() -> None:
    """Each rule has its section, and a line in the index."""
    whole = "".join(book().values())

    assert [code for code in pages() if f'<a id="{code.lower()}"></a>' not in whole] == []


def test_a_rule_a_setting_and_a_refusal_are_explained(run: Run, tmp_path: Path) -> None:
    """One command for every code that anything prints."""
    for code, words in (
        ("x314", "Cannot find web resource module"),
        ("T002", "not defined"),
        ("C002", "does not know"),
        ("NET-CONNECTION-REFUSED", "othing listens"),
        ("G010", "UPM"),
        ("E703", "profile"),
    ):
        assert words in run("explain", code).stdout

    listed = run("explain").stdout
    assert all(code in listed for code in pages())
    unknown = run("explain", "X3144")
    assert unknown.exit_code == 2
    assert "did you mean X314?" in unknown.stderr
    assert run("explain", "--write", str(tmp_path / "rules")).exit_code == 0
    assert len([*(tmp_path / "rules").iterdir()]) == len(book())


def test_render_writes_the_bytes_that_would_be_served(run: Run, save: Save, good: str) -> None:
    """A plain file as it is; a broken one with its errors on stderr and exit code 1."""
    save("atlassian-plugin.xml", good)
    assert run("render").stdout == good

    save("atlassian-plugin.xml", good.replace('weight="10"', 'weight="x"'))
    broken = run("render")
    assert broken.exit_code == 1
    assert "X206" in broken.stderr
    assert run("render", "--no-check").exit_code == 0
    document = json.loads(run("render", "--format", "json").stdout)
    assert document["diagnostics"][0]["code"] == "X206"


def test_render_fills_mavens_placeholders(run: Run, save: Save, good: str) -> None:
    """`${…}` as the SDK would filter it, escaped; what pom.xml does not know stays."""
    save("pom.xml", "<project><artifactId>a</artifactId><version>2 &amp; 3</version></project>")
    save("atlassian-plugin.xml", good.replace("1.0.0", "${project.version}-${unknown}"))

    assert "<version>2 &amp; 3-${unknown}</version>" in run("render").stdout
