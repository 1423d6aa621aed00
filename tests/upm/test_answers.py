"""Reading what targets answer: every shape that is known, and nothing that a body could break."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devserver.upm import answers
from devserver.upm.answers import Plugin, Task

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["status", "links", "done", "self", "key", "tasks", "type", "plugins", "pingAfter"]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_bytes_never_break_it(body: bytes) -> None:
    """Whatever comes is a value or None."""
    said = answers.document(body)
    assert said is None or isinstance(said, dict)
    answers.identity(body)


@given(JSON)
@example({"plugins": [True]})
def test_json_never_breaks_it(said: Any) -> None:
    """Fields of any type are read as far as they make sense."""
    body = said if isinstance(said, dict) else {"status": said, "links": said, "tasks": said}
    answers.task(body)
    answers.progress(body)
    answers.plugin(body)
    answers.plugins(body)
    answers.pending(body)


@given(st.text(max_size=100))
def test_links_never_leave_the_upm(link: str) -> None:
    """What is taken of a link has no host and does not climb."""
    path = answers.relative(link)

    assert path is None or ".." not in path.split("/")


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("/jira/rest/plugins/1.0/pending/1", "pending/1"),
        ("https://h/rest/plugins/latest/a-key?x=1#y", "a-key"),
        ("/jira/rest/plugins/1.0/../../secure", None),
        ("https://h/login.jsp", None),
        ("", None),
    ],
)
def test_relative(link: str, path: str | None) -> None:
    """Only what follows the UPM's root is ever used."""
    assert answers.relative(link) == path


def test_a_textarea_is_taken_off() -> None:
    """With and without its content escaped (upm-protocol.md §3)."""
    assert answers.document(b'<textarea>{"a":1}</textarea>') == {"a": 1}
    assert answers.document(b"<textarea>{&quot;a&quot;:1}</textarea>") == {"a": 1}


def test_pending_installs() -> None:
    """Those that run, whoever asked for them; other kinds of tasks are left out."""
    links = {"self": "/rest/plugins/1.0/pending/7"}
    tasks = [
        {"type": "INSTALL", "status": {"done": False, "source": "App"}, "links": links},
        {"type": "INSTALL", "status": {"done": True}, "links": links},
        {"type": "UPDATE_ALL", "status": {"done": False}, "links": links},
        "nonsense",
    ]

    assert answers.pending({"tasks": tasks}) == (Task("pending/7", 200, "App"),)


def test_plugins() -> None:
    """Items without a key are no plugins."""
    body = json.loads('{"plugins":[{"key":"a","version":"1","vendor":{"name":"V"}},{"name":"x"}]}')

    assert answers.plugins(body) == (Plugin(key="a", version="1", vendor="V"),)


@pytest.mark.parametrize(
    "body",
    [
        b"<consumer><key>k</key></consumer>",
        b"<consumer><publicKey>p</publicKey></consumer>",
        b"<html>",
        b'<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/passwd">]><c><key>&e;</key></c>',
    ],
)
def test_an_identity_that_is_none(body: bytes) -> None:
    """Half of one, none at all, or one that would have us read a file."""
    assert answers.identity(body) is None


def test_what_no_host_would_say() -> None:
    """Nested without end, delays without end, entries that are none: read as nothing."""
    assert answers.document(b'{"a":' + b"[" * 200_000) is None
    running = answers.progress({"status": {"done": False}, "pingAfter": float("inf")})
    assert isinstance(running, answers.Running)
    assert running.ping_after_ms == answers.LONGEST_MS
    assert answers.plugins({"plugins": [True, "x", {"key": "a"}]}) == (answers.Plugin(key="a"),)


def test_terminals_are_not_told_what_to_do() -> None:
    """Escape sequences in what a target says are shown as what they are: nothing."""
    plugin = answers.plugin(
        {"key": "a", "version": "\x1b[2J1\rok", "vendor": {"name": "\x1b]0;me\x07\x85\x0b"}}
    )

    assert plugin is not None
    assert f"{plugin.version}{plugin.vendor}".isprintable()


def test_links_cannot_change_the_request() -> None:
    """A line break in a link stays part of the path."""
    assert answers.relative("/rest/plugins/1.0/a\r\nX: y") == "a%0D%0AX:%20y"
