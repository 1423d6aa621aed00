"""`validate --fix`: safe edits alone, shown, never over somebody else's change."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from devserver.cli import fixing
from devserver.cli.checking import Asked, check

Run = Callable[..., Result]
Save = Callable[[str, str | bytes], Path]
NAME = "atlassian-plugin.xml"


def test_what_has_one_safe_edit_is_mended(run: Run, save: Save, good: str) -> None:
    """Several in one go, the difference on stderr, everything else as it was."""
    bad = good.replace("plugins-version", "pluginsVersion").replace('weight="10"', 'weight="10.0"')
    file = save(NAME, bad)
    file.chmod(0o640)

    result = run("validate", "--fix")

    assert result.exit_code == 0
    assert file.read_text() == good
    assert file.stat().st_mode & 0o777 == 0o640
    assert '+<atlassian-plugin key="com.acme.app" name="Acme" plugins-version="2">' in result.stderr
    assert [each.name for each in file.parent.iterdir()] == [NAME]


def test_a_dry_run_writes_nothing(run: Run, save: Save, good: str) -> None:
    """The difference is shown, the errors stay."""
    bad = good.replace('weight="10"', 'weight="10.0"')
    file = save(NAME, bad)

    result = run("validate", "--fix", "--dry-run")

    assert result.exit_code == 1
    assert '+  <web-section key="s" location="l" weight="10"/>' in result.stderr
    assert file.read_text() == bad


def test_templates_are_mended_in_the_file_that_says_it(run: Run, save: Save, good: str) -> None:
    """An include is edited; what comes out of an expression is left alone."""
    section = '  <web-section key="s" location="l" weight="10"/>\n'
    save("upm-dev.toml", "[app]\nvariables = { weight = '20.0' }\n")
    save(
        "atlassian-plugin.xml.j2",
        good.replace(
            section,
            '{% include "a.xml" %}<web-section key="t" location="l" weight="{{ weight }}"/>\n',
        ),
    )
    include = save("a.xml", section.replace('"10"', '"10.0"'))

    result = run("validate", "--fix")

    assert include.read_text() == section
    assert result.exit_code == 1
    assert "20.0" in result.stdout


def test_json_is_mended_too(run: Run, save: Save) -> None:
    """Commas and comments that JSON does not have, one after the other; misspelt names."""
    file = save(
        "atlassian-connect.json",
        '{\n  // ours\n  "key": "com.acme.app", "name": "Acme",\n  "baseUrl": "https://a.example/",\n'
        '  "scope": ["READ"],\n  "authentication": {"type": "none",},\n}\n',
    )

    result = run("validate", "--fix")

    assert result.exit_code == 0, result.stdout
    assert file.read_text() == (
        '{\n  \n  "key": "com.acme.app", "name": "Acme",\n  "baseUrl": "https://a.example",\n'
        '  "scopes": ["READ"],\n  "authentication": {"type": "none"}\n}\n'
    )


def test_a_file_that_changed_meanwhile_is_not_touched(
    run: Run, save: Save, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was checked is no longer what is there: nothing is written."""
    file = save(NAME, good.replace('weight="10"', 'weight="10.0"'))
    asked = Asked()
    checked = check((file,), asked)
    newer = good.replace('weight="10"', 'weight="11.0"')
    file.write_text(newer)

    fixing.mend(checked, asked, (file,), dry_run=False)

    assert file.read_text() == newer
    assert "has changed meanwhile" in capsys.readouterr().err
