"""Variables files: what they say, and where they are wrong."""

import sys

import pytest

from devserver.descriptor.variables import YAML_LIMIT, merged
from devserver.model import Diagnostic, Position


def wrong(name: str, text: str | bytes) -> Diagnostic:
    data = text if isinstance(text, bytes) else text.encode()
    found = merged({name: data}, [name])
    assert isinstance(found, tuple)
    (diagnostic,) = found
    return diagnostic


def test_all_three_kinds_say_the_same() -> None:
    """TOML, JSON and YAML make the same variables, with or without a byte order mark."""
    expected = {"name": "Hello", "modules": [{"key": "a", "weight": 1}]}
    files = {
        "v.toml": b'name = "Hello"\n[[modules]]\nkey = "a"\nweight = 1\n',
        "v.json": b'\xef\xbb\xbf{"name": "Hello", "modules": [{"key": "a", "weight": 1}]}',
        "v.yaml": b"name: Hello\nmodules:\n- {key: a, weight: 1}\n",
        "v.YML": b"name: Hello\nmodules: [{key: a, weight: 1}]\n",
    }

    for name in files:
        assert merged(files, [name]) == expected


def test_a_later_file_wins() -> None:
    """The order of the settings is the order of precedence; what is not there is passed over."""
    files = {"a.toml": b"x = 1\ny = 1", "b.json": b'{"y": 2}', "c.yaml": b""}

    assert merged(files, ["a.toml", "none.toml", "b.json", "c.yaml"]) == {"x": 1, "y": 2}
    assert merged(files, []) == {}


@pytest.mark.parametrize(
    ("name", "text", "line", "column"),
    [
        ("v.toml", "a = 1\nb = = 2\n", 2, 5),
        ("v.toml", "a = 1\nb = [1,", 2, 8),
        ("v.json", '{"a": 1,\n "b" 2}', 2, 6),
        ("v.json", "", 1, 1),
        ("v.yaml", "a: 1\nb: [1, 2\n", 3, 1),
        ("v.yaml", "a: 1\nb: !!python/object:os.system x\n", 2, 4),
        ("v.yaml", "a: &x [*y]", 1, 8),
        ("v.toml", "a = 1" + "0" * 5000, 0, 0),
        ("v.json", '{"a": 1' + "0" * 5000 + "}", 0, 0),
        ("v.yaml", "a: 2020-99-99\n", 0, 0),
        ("v.yaml", "a: \x07\n", 0, 0),
    ],
)
def test_syntax_errors_have_a_place(name: str, text: str, line: int, column: int) -> None:
    """V001 with line and column, as far as the parser knows them."""
    diagnostic = wrong(name, text)

    assert diagnostic.code == "V001"
    assert diagnostic.position == Position(name, line, column)
    assert diagnostic.message
    assert "at line" not in diagnostic.message


@pytest.mark.parametrize("name", ["v.json", "v.yaml"])
def test_nesting_without_end(name: str) -> None:
    """A file of a hundred thousand brackets is a mistake, not a crash."""
    assert wrong(name, "[" * 100_000).code == "V001"


def test_other_kinds_of_file() -> None:
    """V002 says what would be read."""
    diagnostic = wrong("v.ini", "a=1")

    assert diagnostic.code == "V002"
    assert ".toml" in diagnostic.fix


@pytest.mark.parametrize(
    ("name", "text"), [("v.json", "[1]"), ("v.yaml", "- 1"), ("v.json", "1"), ("v.yaml", "1: 2")]
)
def test_what_is_no_table(name: str, text: str) -> None:
    """V003: a template needs names."""
    assert wrong(name, text).code == "V003"


def test_bytes_that_are_no_text() -> None:
    """S006, as for any other file."""
    assert wrong("v.toml", b"a = '\xff'").code == "S006"


def test_every_mistake_is_told_at_once() -> None:
    """Two bad files make two diagnostics."""
    found = merged({"a.toml": b"=", "b.json": b"{"}, ["a.toml", "b.json"])

    assert isinstance(found, tuple)
    assert [each.position.file for each in found] == ["a.toml", "b.json"]


def test_yaml_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PyYAML the diagnostic names what to install."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    diagnostic = wrong("v.yaml", "a: 1")

    assert diagnostic.code == "V002"
    assert "upm-dev[yaml]" in diagnostic.fix


def test_merges_of_merges_end() -> None:
    """`<<` may copy, but not without bound; ordinary uses work."""
    ordinary = b"base: &b {x: 1}\nother:\n  <<: *b\n  y: 2\nmany:\n  <<: [*b, {z: 3}]\n"
    found = merged({"v.yaml": ordinary}, ["v.yaml"])
    assert isinstance(found, dict)
    assert found["other"] == {"x": 1, "y": 2}
    assert found["many"] == {"x": 1, "z": 3}

    # PyYAML 6.0.4 copies a key once, whatever names it how often; so each level has one more.
    lines = ["a0: &a0 {k0: 1}"]
    lines += [f"a{i}: &a{i}\n  <<: *a{i - 1}\n  k{i}: 1" for i in range(1, 200)]
    diagnostic = wrong("v.yaml", "\n".join(lines))
    assert diagnostic.code == "V001"
    assert "copies more than" in diagnostic.message


def test_yaml_that_would_take_seconds() -> None:
    """PyYAML is slow: past a quarter of a megabyte another format is asked for."""
    diagnostic = wrong("v.yaml", "a: 1\n" + "# \n" * (YAML_LIMIT // 3))

    assert diagnostic.code == "V002"
    assert diagnostic.fix == "use JSON"
