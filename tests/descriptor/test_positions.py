"""From the rendered text back to the file the user edits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.descriptor.positions import Identity
from devserver.descriptor.template import Rendering, render, source_map
from devserver.model import Position

NAME = "a.xml.j2"

Files = dict[str, str]


def maps(files: Files, needle: str, name: str = NAME, occurrence: int = 0) -> str:
    """Where the *occurrence*-th *needle* of the rendered text comes from, as `file:line:column`."""
    encoded = {each: text.encode() for each, text in files.items()}
    result = render(encoded, name, VARIABLES)
    assert isinstance(result, Rendering), result
    at = -1
    for _ in range(occurrence + 1):
        at = result.text.index(needle, at + 1)
    line = result.text.count("\n", 0, at) + 1
    column = at - result.text.rfind("\n", 0, at)
    return str(source_map(encoded, name, VARIABLES).position(line, column))


VARIABLES = {"x": "value", "items": ["one", "two"], "base_url": "http://localhost:8000"}


@pytest.mark.parametrize(
    ("template", "needle", "place"),
    [
        ("<a>\n  <b/>\n</a>", "<b/>", "2:3"),
        ("<a>{{ x }}<b/></a>", "<b/>", "1:11"),
        ("<a k='{{ x }}'/>", "value", "1:7"),
        ("<a k='{{ x }}'/>", "lue", "1:7"),
        ("<a>\n{% for i in items %}\n  <b n='{{ i }}'/>\n{% endfor %}\n<c/>", "<b n='two", "3:3"),
        ("<a>\n{% for i in items %}\n  <b n='{{ i }}'/>\n{% endfor %}\n<c/>", "<c/>", "5:1"),
        ("{% if x %}\n  <b/>\n{% else %}\n  <c/>\n{% endif %}\n<d/>", "<b/>", "2:3"),
        ("{% if not x %}\n  <b/>\n{% else %}\n  <c/>\n{% endif %}\n<d/>", "<c/>", "4:3"),
        ("<a>  {%- if x -%}   <b/>  {%- endif -%}  <c/></a>", "<b/>", "1:21"),
        ("<a>  {%- if x -%}   <b/>  {%- endif -%}  <c/></a>", "<c/>", "1:42"),
        ("a {#- comment\n  of two lines -#}\n <b/>", "<b/>", "3:2"),
        ("<a>\n{% raw %}\n  {{ x }} <b/>\n{% endraw %}\n<c/>", "<b/>", "3:11"),
        ("<a>\n{% raw %}\n  {{ x }} <b/>\n{% endraw %}\n<c/>", "<c/>", "5:1"),
        ("{% macro m(k) %}\n  <b k='{{ k }}'/>\n{% endmacro %}\n<a>\n{{ m(1) }}</a>", "<b", "2:3"),
        ("{% macro m(k) %}\n  <b k='{{ k }}'/>\n{% endmacro %}\n<a>\n{{ m(1) }}</a>", "1", "2:9"),
        ("{% macro m() %}<i>{{ caller() }}</i>{% endmacro %}\n{% call m() %}<b/>{% endcall %}",
         "<b/>", "2:15"),
        ("{% set s %}<b/>{% endset %}\n<a>{{ s }}</a>", "<b/>", "1:12"),
        ("{% filter upper %}<b/>{% endfilter %}", "<B/>", "1:19"),
        ("{% block b %}<b/>{% endblock %}<c/>", "<b/>", "1:14"),
        ("<a>\n    {{ '<b/>\n<c/>'|safe|indent(4) }}\n</a>", "<c/>", "2:5"),
        ("é€😀 {{ x }} <b/>", "<b/>", "1:13"),
        ("<a>\r\n  {{ x }}\r\n  <b/>\r\n</a>", "<b/>", "3:3"),
        ("\ufeff<a> <b/>", "<b/>", "1:5"),
        ("{% with y = 1 %}\n <b/>{{ y }}{% endwith %}", "<b/>", "2:2"),
        ("<a>{% print x %}</a>", "</a>", "1:17"),
    ],
)  # fmt: skip
def test_every_construct_leads_back(template: str, needle: str, place: str) -> None:
    """Text and values map to the line and column of the template they were written in."""
    assert maps({NAME: template}, needle) == f"{NAME}:{place}"


INHERITED = {
    NAME: "{% extends 'base.j2' %}\n{% block b %}\n  <own/>{{ super() }}{% endblock %}\n",
    "base.j2": "<a>\n{% block b %}<first/>{% endblock %}\n{% include 'sub/part.j2' %}</a>\n",
    "sub/part.j2": "{% from 'm.j2' import m %}\n  <part/>{{ m() }}\n",
    "m.j2": "\n{% macro m() %}\n\n   <made/>{% endmacro %}",
}


@pytest.mark.parametrize(
    ("needle", "place"),
    [
        ("<a>", "base.j2:1:1"),
        ("<own/>", f"{NAME}:3:3"),
        ("<first/>", "base.j2:2:14"),
        ("<part/>", "sub/part.j2:2:3"),
        ("<made/>", "m.j2:4:4"),
        ("</a>", "base.j2:3:28"),
    ],
)
def test_it_leads_into_the_right_file(needle: str, place: str) -> None:
    """Inheritance, `super`, includes and imported macros each map to their own file."""
    assert maps(INHERITED, needle) == place


def test_where_marks_would_change_the_text_fewer_are_made() -> None:
    """A template that measures what it captured still maps all that it did not capture."""
    template = "{% set s %}<b/>{% endset %}\n<a>{{ s|length }}</a>\n  <c k='{{ s|trim }}'/>"

    assert maps({NAME: template}, "<c") == f"{NAME}:3:3"
    assert maps({NAME: template}, "4") == f"{NAME}:2:4"


def test_where_no_marks_can_be_made_lines_are_found_by_what_they_say() -> None:
    """The honest rest: a line that stands in one place only, or the template as a whole."""
    marked = "{% macro m() %}\U000f0000{% endmacro %}"  # the user's own private-use characters
    template = f"{marked}\U000f0000\U00100000<a>\n  <b k='1'/>\n  {{{{ x }}}}\n</a>\n"

    assert maps({NAME: template}, "<b") == f"{NAME}:2:3"
    assert maps({NAME: template}, "k=") == f"{NAME}:2:6"
    assert maps({NAME: template}, "value") == NAME


def test_a_template_that_fails_maps_as_a_whole() -> None:
    """There is no text to lead back from; no place is made up."""
    assert source_map({NAME: b"{{ nmae }}"}, NAME, {}).position(1, 1) == Position(NAME)
    assert source_map({"a.xml": b"\xff"}, "a.xml", {}).position(1, 1) == Position("a.xml")


def test_places_outside_the_text_are_the_nearest_there_are() -> None:
    """A parser may point past the end, or at line 0: it still leads somewhere true."""
    found = source_map({NAME: b"<a>\n  <b/>"}, NAME, {})

    assert found.position(99, 99) == Position(NAME, 2, 6)
    assert found.position(0, 0) == Position(NAME, 1, 1)
    assert found.position(1, 99) == Position(NAME, 1, 4)


def test_a_plain_file_maps_to_itself() -> None:
    """What is served as it is has its own lines and columns."""
    assert source_map({"a.xml": b"<a/>"}, "a.xml", {}).position(7, 3) == Position("a.xml", 7, 3)


def test_placeholders_shift_columns() -> None:
    """Columns after a filled-in placeholder are those of the file, on its line and no other."""
    text = (
        '{"a": "{{localBaseUrl}}/x", "b": "{{localBaseUrl}}",\n "c": "{{ environment }}", "d": 1}'
    )
    files = {"a.json": text}

    for needle in ('"a"', '"b"', '"c"', '"d"', "/x", "1}"):
        line, column = text.count("\n", 0, text.index(needle)) + 1, 0
        column = text.index(needle) - text.rfind("\n", 0, text.index(needle))
        rendered = render({"a.json": text.encode()}, "a.json", {"localBaseUrl": "http://h:1"})
        assert isinstance(rendered, Rendering)
        at = rendered.text.index(needle)
        there = (rendered.text.count("\n", 0, at) + 1, at - rendered.text.rfind("\n", 0, at))
        found = source_map(
            {name: each.encode() for name, each in files.items()},
            "a.json",
            {"localBaseUrl": "http://h:1"},
        )
        assert found.position(*there) == Position("a.json", line, column)


def test_a_place_within_a_filled_in_value_is_that_of_the_placeholder() -> None:
    """The middle of `http://localhost:8000` is where `{{` stands."""
    found = Identity("a.json", '{"a": "12345", 1}', [(7, 5, 16)])

    assert found.position(1, 10).column == 8
    assert found.position(1, 14).column == 25


# Properties

WORDS = st.text(st.sampled_from("abcdefgh<>/=\"' é😀\n\t"), min_size=1, max_size=12)


def _nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, inner).map("".join),
        inner.map("{{% if x %}}{}{{% endif %}}".format),
        inner.map("{{% if not x %}}no{{% else %}}{}{{% endif %}}".format),
        inner.map("{{%- if x -%}}{}{{%- endif +%}}".format),
        inner.map("{{% for i in items %}}{}{{{{ i }}}}{{% endfor %}}".format),
        inner.map("\n  {{% for i in items %}}\n{}\n  {{% endfor %}}\n".format),
        inner.map("{{% with y = 1 %}}{}{{{{ y }}}}{{% endwith %}}".format),
        inner.map("{{# a\ncomment #}}{}{{#- another -#}}".format),
        inner.map("{}{{{{ x }}}}".format),
        inner.map("{{% set s %}}{}{{% endset %}}{{{{ s }}}}".format),
        inner.map("{{% call box() %}}{}{{% endcall %}}".format),
        inner.map("{{% filter safe %}}{}{{% endfilter %}}".format),
        st.just("{% include 'part.j2' %}"),
        st.just("{% raw %}raw {{ text }}{% endraw %}"),
    )


TEMPLATES = st.recursive(WORDS, _nest, max_leaves=12)
BOX = "{% macro box() %}[{{ caller() }}]{% endmacro %}"


@given(template=TEMPLATES, part=TEMPLATES.filter(lambda text: "include" not in text))
@settings(max_examples=80, deadline=None)
def test_text_leads_back_to_the_same_text(template: str, part: str) -> None:
    """Wherever the output holds text of a template, its place in the file holds that character."""
    files = {NAME: BOX + template, "part.j2": BOX + part}
    encoded = {name: text.encode() for name, text in files.items()}
    result = render(encoded, NAME, VARIABLES)
    assert isinstance(result, Rendering), result
    found = source_map(encoded, NAME, VARIABLES)
    lines = {name: text.split("\n") for name, text in files.items()}
    values = ("value", "one", "two", "1", "raw {{ text }}")

    for line, written in enumerate(result.text.split("\n"), start=1):
        for column, character in enumerate(written, start=1):
            if character.isspace():  # a piece of white space alone is not marked
                continue
            place = found.position(line, column)
            source = lines[place.file][place.line - 1]
            there = source[place.column - 1 : place.column + 1]
            if there == "{{":
                assert any(character in value for value in values)
            else:
                assert there[:1] == character


@given(template=TEMPLATES)
@settings(max_examples=30, deadline=None)
def test_crlf_changes_nothing_but_line_ends(template: str) -> None:
    """The same template with Windows line ends renders the same, and maps to the same places."""
    template = template.replace("'part.j2'", "'part.j2' ignore missing")
    unix = {NAME: (BOX + template).encode()}
    windows = {NAME: (BOX + template).replace("\n", "\r\n").encode()}
    ours, theirs = (render(each, NAME, VARIABLES, missing=["part.j2"]) for each in (unix, windows))
    assert isinstance(ours, Rendering)
    assert isinstance(theirs, Rendering)

    assert theirs.text.replace("\r\n", "\n") == ours.text
    assert "\n" not in theirs.text.replace("\r\n", "")
    here, there = (
        source_map(each, NAME, VARIABLES, missing=["part.j2"]) for each in (unix, windows)
    )
    for line, written in enumerate(ours.text.split("\n"), start=1):
        for column, character in enumerate(written, start=1):
            if not character.isspace():  # a piece of white space alone is not marked
                assert here.position(line, column) == there.position(line, column)
