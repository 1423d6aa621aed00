"""Projects that mean harm: what they hold neither stops nor slows nor breaks out of `validate`."""

import json
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.dom import minidom

import pytest
from click.testing import Result
from work import growth

from devserver.cli.search import descriptors
from devserver.descriptor import jar, maven
from devserver.descriptor.placeholders import MAX_GROWTH, fill

NAME = "atlassian-plugin.xml"
Run = Callable[..., Result]
Save = Callable[[str, str | bytes], Path]


def codes(result: Result) -> list[str]:
    return [each["code"] for each in json.loads(result.stdout)["diagnostics"]]


@pytest.mark.parametrize("pattern", ["*a" * 25 + "b", "a*" * 25 + "b", "**/a*/" * 20 + "b"])
def test_a_gitignore_of_stars_costs_next_to_nothing(pattern: str, tmp_path: Path) -> None:
    """A pattern that backtracks for ever in a plain regular expression."""
    (tmp_path / ".gitignore").write_text(f"{pattern}\n")
    folder = tmp_path.joinpath(*["a" * 40] * 8)
    folder.mkdir(parents=True)
    (folder / NAME).write_text("<a/>")

    assert [*descriptors(tmp_path)] == [folder / NAME]


SIMPLE = ["c", "c/", "/c", "a/*", "a/?", "/a/*/c", "[", "[!a]", "\\a", "\\!a", "a\\", "b/c/*.xml"]
DEEP = ["a/**", "a/**/c", "a/**/b", "**/c", "a**", "***"]
SEVERAL = ["a/**\n!a/c", "*\n!*/", "/*\n!/a", "*.xml\n!/a/**"]


@pytest.mark.parametrize("pattern", [*SIMPLE, *DEEP, *SEVERAL])
def test_gitignore_is_read_as_git_reads_it(pattern: str, tmp_path: Path) -> None:
    """Anchored or not, `**` for any number of folders, the last line wins: git says so."""
    for each in ("a/b/c", "a/c", "b/c", "c"):
        (tmp_path / each).mkdir(parents=True)
        (tmp_path / each / NAME).write_text("<a/>")
    (tmp_path / ".gitignore").write_text(f"{pattern}\n")
    git = ("git", "-C", str(tmp_path))
    subprocess.run([*git, "init", "-q"], check=True)
    listed = [*git, "ls-files", "--others", "--exclude-standard", f"*{NAME}"]
    theirs = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()

    ours = [each.relative_to(tmp_path).as_posix() for each in descriptors(tmp_path)]

    assert sorted(ours) == sorted(theirs)


def test_pipes_are_not_waited_for(run: Run, save: Save, good: str) -> None:
    """Where a .gitignore, a pom.xml, labels or a JAR should be, nothing hangs."""
    save("src/main/resources/" + NAME, good)
    for each in (".gitignore", "pom.xml", "src/main/resources/i18n.properties", "app.jar"):
        os.mkfifo(each)

    assert run("validate", ".").exit_code == 0
    assert codes(run("validate", "app.jar", "--format", "json")) == ["S003"]


def test_properties_that_multiply_stay_placeholders() -> None:
    """A billion laughs in `${…}`: what is filled in is bounded, for one text and for a pom."""
    levels = "".join(f"<a{n}>{f'${{a{n + 1}}}' * 10}</a{n}>" for n in range(40))
    pom = maven.read({"pom.xml": f"<project><properties>{levels}</properties></project>".encode()})

    assert pom is not None
    assert sum(len(each) for each in pom.properties.values()) < 2 * MAX_GROWTH
    filled = fill("${a0}" * 1000, pom.properties)
    assert len(filled) <= 5000 + MAX_GROWTH


def test_a_descriptor_that_unpacks_without_end_is_refused(run: Run, tmp_path: Path) -> None:
    """S005, not half of it judged; labels have the same bounds."""
    with zipfile.ZipFile(tmp_path / "a.jar", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, b" " * (jar.LIMIT + 1))
        archive.writestr("a.properties", b"#" * (jar.LIMIT + 1))

    result = run("validate", "a.jar", "--format", "json")

    assert codes(result) == ["S005"]


def test_many_entries_are_read_in_linear_time(tmp_path: Path) -> None:
    """Names and their doubles are looked up, not searched for."""

    def read(entries: int) -> None:
        path = tmp_path / f"{entries}.jar"
        if not path.exists():
            with zipfile.ZipFile(path, "w") as archive:
                for number in range(entries):
                    archive.writestr(f"{number}.properties", b"")
                archive.writestr(NAME, b"<a/>")
                with pytest.warns(UserWarning, match="Duplicate"):
                    archive.writestr(NAME, b"<a/>")
        with path.open("rb") as file:
            jar.read(file, path.name)

    assert growth(read, 1000, 4000) < 8


ODD = "\u202ea\x1b[31m%0A::error::,\n"


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit"])
def test_odd_names_and_words_break_no_format(form: str, run: Run, save: Save) -> None:
    """Bytes that are no text, control, bidi and non-characters, line breaks, workflow commands."""
    odd = os.fsdecode(b"\xff\xfe") + ODD
    save(f"{odd}/atlassian-connect.json", json.dumps({"key": f"\ufffe\uffff{ODD}", "baseUrl": ODD}))

    result = run("validate", odd, "--format", form)

    assert result.exit_code == 1
    assert not set(result.stdout) & {"\u202e", "\x1b", "\ufffe", "\uffff"}
    assert result.stdout.encode()
    if form in ("json", "sarif"):
        assert json.loads(result.stdout)
    elif form == "junit":
        minidom.parseString(result.stdout)
    elif form == "github":
        lines = result.stdout.splitlines()
        assert all(each.startswith(("::error file=", "::warning file=", "::n")) for each in lines)


@pytest.mark.parametrize(("root", "code"), [("foo", "G007"), ("atlassian-plugin", "X101")])
def test_a_comment_makes_no_descriptor_of_it(root: str, code: str, run: Run, save: Save) -> None:
    """What could not be served stays an error, whatever its own comments ask for."""
    save(NAME, f"<!-- upm-dev: ignore X,G,R,S,T not me -->\n<{root}/>")

    result = run("validate", "--format", "json")

    assert (result.exit_code, codes(result)) == (1, [code])
