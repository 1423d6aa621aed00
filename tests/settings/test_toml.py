"""TOML: the place of every key and value agrees with what tomllib reads."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.settings import toml

DOCUMENT = """\
# a comment = 1
top = 1
"quoted \\u0041" = 'x' # = 2
a.b . "c" = true

[server] # comment
  port = 8000
hosts = [ "a", # not [this]
  [1, 2], { x = 1, y = { z = "}" } },
]

[app]
text = \"\"\"
port = "not a key"
\\\"\"\" \"\"\"\"
literal = '''
[nothing]'''
table = { name = "He said [no]", deep.er = 1979-05-27T07:32:00Z }

[targets."my jira"]
url = 'http://x'

[[many]]
k = 1
[[many]]
[many.sub]
k = 2
"""


def flat(value: Any, path: toml.KeyPath = ()) -> dict[toml.KeyPath, Any]:
    """Every path of a document with its value, tables and arrays left out."""
    if isinstance(value, dict):
        return {k: v for key, each in value.items() for k, v in flat(each, (*path, key)).items()}
    if isinstance(value, list):
        return {k: v for i, each in enumerate(value) for k, v in flat(each, (*path, i)).items()}
    return {path: value}


def test_every_value_of_a_document_has_its_place() -> None:
    """Strings of all kinds, arrays, inline tables, dotted keys, arrays of tables."""
    document = tomllib.loads(DOCUMENT)
    places = toml.places(DOCUMENT)

    assert set(flat(document)) <= set(places.values)
    lines = DOCUMENT.split("\n")
    for path, line, column, begin in [
        (("top",), 2, 7, "1"),
        (("quoted A",), 3, 19, "'x'"),
        (("a", "b", "c"), 4, 13, "true"),
        (("server", "port"), 7, 10, "8000"),
        (("server", "hosts", 1, 1), 9, 7, "2"),
        (("server", "hosts", 2, "y", "z"), 9, 30, '"}"'),
        (("app", "literal"), 16, 11, "'''"),
        (("app", "table", "deep", "er"), 18, 44, "1979"),
        (("targets", "my jira", "url"), 21, 7, "'http"),
        (("many", 1, "sub", "k"), 27, 5, "2"),
    ]:
        position = places.value("f", path)
        assert (position.line, position.column) == (line, column), path
        assert lines[line - 1][column - 1 :].startswith(begin)


def test_a_path_that_is_not_there_is_placed_at_its_table() -> None:
    """As near as can be said; the file as a whole where nothing is."""
    places = toml.places(DOCUMENT)

    assert str(places.key("f", ("server", "nothing"))) == "f:6:2"
    assert str(places.key("f", ("nothing",))) == "f"


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a = \n", 1, 5, "Invalid value"),
        ("\n[a\n", 2, 3, "Expected ']'"),
        ('a = "x', 1, 7, "at the end of the file"),
        ("a = 1\na = 2\n", 2, 6, "Cannot overwrite"),
    ],
)
def test_why_a_text_is_no_toml(text: str, line: int, column: int, words: str) -> None:
    """tomllib's words, with the place taken out of them."""
    found = toml.read(text)

    assert isinstance(found, toml.Misread)
    assert (found.line, found.column) == (line, column)
    assert words in found.message
    assert "(at" not in found.message


KEYS = st.text(alphabet="ab-_. \"'\\\n#=[]é", max_size=4)
VALUES = st.recursive(
    st.booleans() | st.integers(0, 99) | st.text(alphabet="ab\"'\\ #=[]{},é", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


def written(value: Any) -> str:
    """A value as TOML, inline; JSON's strings are TOML's."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {written(each)}" for key, each in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[ " + " , ".join(map(written, value)) + " ]"
    return json.dumps(value)


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_places_of_any_document(document: dict[str, Any]) -> None:
    """What stands at the place of a value is that value."""
    text = "".join(f"{json.dumps(key)} = {written(each)}\n" for key, each in document.items())
    assert toml.read(text) == document

    places = toml.places(text)

    for path, value in flat(document).items():
        assert text[places.values[path] :].startswith(json.dumps(value)), path


@given(st.text(alphabet="[]{}=.,\"'#\n ab1", max_size=30))
def test_places_of_whatever_is_toml(text: str) -> None:
    """tomllib says what is; then every value has a place."""
    document = toml.read(text)

    if isinstance(document, dict):
        assert set(flat(document)) <= set(toml.places(text).values)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\nvariables = {a = " + "[" * 2000 + "]" * 2000 + "}",
        "x = 1\na = " + "{a = " * 2000 + "1" + "}" * 2000,
        "[app.variables]\n" + ".".join("a" * 50_000) + " = 1",
        "[app]\n" + " . ".join(['"a"'] * 5000) + " = 1",
        "x = 1\n[" + ".".join("a" * 5000) + "]",
    ],
    ids=["lists", "tables", "dotted key", "quoted key", "header"],
)
def test_what_nests_too_deep_is_misread_where_it_does(text: str) -> None:
    """Not a crash of the parser, nor its gigabytes."""
    found = toml.read(text)

    assert isinstance(found, toml.Misread)
    assert "levels deep" in found.message
    assert found.line == 2


@pytest.mark.parametrize(
    "text", ['"\\"' * 200_000, '"""\\' * 200_000, "'''" * 99_999, "[]." * 99_999]
)
def test_broken_strings_are_read_past_once(text: str) -> None:
    """Nothing is scanned again from each quote."""
    assert isinstance(toml.read("a = " + text), toml.Misread)


@given(st.text("[]{}.=,\n\"'a# \\", max_size=200))
def test_shallow_documents_are_left_to_the_parser(text: str) -> None:
    """What is no deeper than anybody writes is never refused for that."""
    found = toml.read(text)

    if isinstance(found, toml.Misread) and "levels deep" in found.message:
        assert text.count(".") + text.count("[") + text.count("{") > toml.DEEPEST
