"""What was masked on a page is put back where it came from, or nothing is sent."""

import json

import pytest

from devserver.callbacks import unmask


@pytest.mark.parametrize(
    ("edited", "original", "sent"),
    [
        ("/a?x=1", "/b?jwt=s", "/a?x=1"),
        ("/a?jwt=***&x=2", "/b?x=1&jwt=s%2Bt", "/a?jwt=s%2Bt&x=2"),
        ("/a?other=***", "/b?jwt=s", None),
        ("/***", "/b?jwt=s", None),
        ("/a?x=a***b", "/b?x=1", None),
    ],
)
def test_paths(edited: str, original: str, sent: str | None) -> None:
    """By the name of the parameter."""
    assert unmask.path(edited, original) == sent


@pytest.mark.parametrize(
    ("edited", "original", "sent"),
    [
        ({"a": 2}, {"a": 1, "s": "x"}, {"a": 2}),
        ({"s": "***", "a": 2}, {"a": 1, "s": "x"}, {"s": "x", "a": 2}),
        ({"l": [{"s": "***"}, 5]}, {"l": [{"s": "é"}]}, {"l": [{"s": "é"}, 5]}),
        ({"l": ["***", "***"]}, {"l": ["x"]}, None),
        ({"new": "***"}, {"s": "x"}, None),
        ({"s": "Bearer ***"}, {"s": "Bearer x"}, None),
    ],
)
def test_json(edited: object, original: object, sent: object) -> None:
    """By the place in the document."""
    found = unmask.body(json.dumps(edited).encode(), json.dumps(original).encode())
    assert (json.loads(found) if found is not None else None) == sent


def test_other_bodies() -> None:
    """Forms by name; what cannot be understood only where nothing is masked."""
    assert unmask.body(b"user=me&password=***", b"password=a%20b&user=x") == (
        b"user=me&password=a+b"
    )
    assert unmask.body(b"token: ***", b"token: x") is None
    assert unmask.body(b"\xff***", b"\xff") is None
    assert unmask.body(b"\xff", b"\xfe") == b"\xff"
