"""What changed between two descriptors, and what that means."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from corpus import examined

from devserver.descriptor.diff import Impact, diff, impact, sentence
from devserver.model import ChangeKind, Descriptor

Run = Callable[..., Result]
Save = Callable[[str, str | bytes], Path]

REMOTE = """\
<atlassian-plugin key="com.acme.app" name="Acme" plugins-version="2">
  <plugin-info>
    <version>1.0</version>
    <vendor name="Acme" url="https://acme.example"/>
    <permissions><permission>read_content</permission></permissions>
  </plugin-info>
  <remote-plugin-container key="c" display-url="http://localhost:8000"/>
  <general-page key="one" name="One" url="/one"/>
  <general-page key="two" name="Two" url="/two"/>
</atlassian-plugin>
"""
CONNECT = {
    "key": "com.acme.app",
    "baseUrl": "https://acme.example",
    "authentication": {"type": "jwt"},
    "lifecycle": {"installed": "/installed"},
    "scopes": ["WRITE"],
    "modules": {"generalPages": [{"key": "one", "name": {"value": "One"}, "url": "/one"}]},
}


def descriptor(text: str) -> Descriptor:
    """The descriptor in a text that is good."""
    found = examined(text.encode(), is_json=text.startswith("{")).descriptor
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("old", "new", "means", "words"),
    [
        ("  <general", "<!-- a -->\n\n <general", Impact.NONE, []),
        ('key="one" name="One"', 'name="One"   key="one"', Impact.NONE, []),
        (
            'url="/one"',
            'url="/uno"',
            Impact.REREGISTER,
            ['general-page "one": @url "/one" -> "/uno"'],
        ),
        (
            "<version>1.0",
            "<version>1.1",
            Impact.REREGISTER,
            ['descriptor: plugin-info/version "1.0" -> "1.1"'],
        ),
        (
            '<general-page key="one" name="One" url="/one"/>',
            "",
            Impact.BREAKING,
            ['general-page "one" removed'],
        ),
        ('key="one"', 'key="uno"', Impact.BREAKING, ['general-page "uno" renamed from "one"']),
        (
            'key="com.acme.app"',
            'key="com.acme.new"',
            Impact.BREAKING,
            ['descriptor: @key "com.acme.app" -> "com.acme.new"'],
        ),
        ("localhost:8000", "localhost:9000", Impact.BREAKING, None),
        (
            "<permissions>",
            "<permissions><permission>create_oauth_link</permission>",
            Impact.NEEDS_APPROVAL,
            None,
        ),
        (
            "</plugin-info>",
            '<param name="atlassian-licensing-enabled">true</param></plugin-info>',
            Impact.NEEDS_APPROVAL,
            None,
        ),
        (
            "</atlassian-plugin>",
            '<webhook key="w" event="page_created" url="/w"/></atlassian-plugin>',
            Impact.REREGISTER,
            ['webhook "w" added'],
        ),
    ],
)
def test_a_change_is_named_and_weighed(
    old: str, new: str, means: Impact, words: list[str] | None
) -> None:
    """Each change of a remote app: what became of which module, and the class of it."""
    before, after = descriptor(REMOTE), descriptor(REMOTE.replace(old, new))

    assert impact(before, after) is means
    if words is not None:
        assert [sentence(each) for each in diff(before, after)] == words


def test_order_is_no_change() -> None:
    """Modules in another order are the same descriptor."""
    one = '  <general-page key="one" name="One" url="/one"/>\n'
    moved = REMOTE.replace(one, "").replace("</atlassian-plugin>", one + "</atlassian-plugin>")

    assert descriptor(REMOTE).canonical == descriptor(moved).canonical


@pytest.mark.parametrize(
    ("change", "means"),
    [
        ({"scopes": ["READ", "WRITE"]}, Impact.REREGISTER),
        ({"scopes": ["ADMIN"]}, Impact.NEEDS_APPROVAL),
        ({"enableLicensing": True}, Impact.NEEDS_APPROVAL),
        ({"baseUrl": "https://other.example"}, Impact.BREAKING),
        ({"modules": {}}, Impact.BREAKING),
    ],
)
def test_connect_descriptors_are_weighed_too(change: dict[str, object], means: Impact) -> None:
    """Scopes count with what they include."""
    before, after = descriptor(json.dumps(CONNECT)), descriptor(json.dumps({**CONNECT, **change}))

    assert impact(before, after) is means
    assert descriptor(json.dumps(CONNECT, indent=4, sort_keys=True)).canonical == before.canonical


def test_the_first_revision_adds_everything() -> None:
    """With nothing before, every module is added."""
    changes = diff(None, descriptor(REMOTE))

    assert {each.kind for each in changes} == {ChangeKind.ADDED}
    assert impact(None, descriptor(REMOTE)) is Impact.REREGISTER


def test_the_command_compares_files_and_git(run: Run, save: Save, tmp_path: Path) -> None:
    """Two files; a committed one with the project; trouble is one sentence and exit code 2."""
    save("atlassian-plugin.xml", REMOTE)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "One"]):
        subprocess.run([*git, *command], cwd=tmp_path, check=True)
    save("atlassian-plugin.xml", REMOTE.replace('url="/one"', 'url="/uno"'))
    save("broken.xml", "<a>")

    shown = run("diff", "HEAD:atlassian-plugin.xml")
    document = json.loads(run("diff", "HEAD:atlassian-plugin.xml", ".", "--json").stdout)

    assert shown.stdout == 'general-page "one": @url "/one" -> "/uno"\nimpact: re-register\n'
    assert document["impact"] == "re-register"
    assert document["changes"][0]["facts"] == [{"path": "@url", "old": "/one", "new": "/uno"}]
    assert run("diff", "HEAD:nothing.xml").exit_code == 2
    assert run("diff", "broken.xml").exit_code == 2


def test_no_escape_sequence_passes_through_a_diff() -> None:
    """A descriptor's control characters are shown, not obeyed."""
    before = descriptor(REMOTE)
    after = descriptor(REMOTE.replace('name="One"', 'name="\u202eOne"'))

    assert "\u202e" not in sentence(diff(before, after)[0])
