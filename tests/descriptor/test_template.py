"""Rendering: text, wanted files, and diagnostics at the place the user has to mend."""

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from work import growth

from devserver.descriptor.references import references
from devserver.descriptor.template import Failure, Rendering, Wanted, render
from devserver.model import Diagnostic, Position

NAME = "atlassian-plugin.xml.j2"

Files = Mapping[str, str]


def outcome(
    template: str,
    variables: Mapping[str, Any] | None = None,
    *,
    name: str = NAME,
    files: Files | None = None,
    missing: tuple[str, ...] = (),
) -> Rendering | Wanted | Failure:
    given = {name: template, **(files or {})}
    encoded = {each: text.encode() for each, text in given.items()}
    return render(encoded, name, variables or {}, missing=missing)


def rendered(template: str, variables: Mapping[str, Any] | None = None, **more: Any) -> str:
    result = outcome(template, variables, **more)
    assert isinstance(result, Rendering), result
    return result.text


def failed(template: str, variables: Mapping[str, Any] | None = None, **more: Any) -> Diagnostic:
    """The one diagnostic of a template that fails."""
    result = outcome(template, variables, **more)
    assert isinstance(result, Failure), result
    (diagnostic,) = result.diagnostics
    assert diagnostic.is_error
    return diagnostic


# What comes out


def test_values_are_escaped_for_xml() -> None:
    """What a variable holds cannot break the XML around it."""
    assert rendered("<a>{{ x }}</a>", {"x": "<b> & 'c'"}) == "<a>&lt;b&gt; &amp; &#39;c&#39;</a>"


def test_values_are_not_escaped_for_json() -> None:
    """JSON has escapes of its own: `tojson`."""
    template = '{"a": {{ x|tojson }}, "b": "{{ y }}"}'
    text = rendered(template, {"x": 'q"<', "y": "a & b"}, name="atlassian-connect.json.j2")

    assert text == '{"a": "q\\"\\u003c", "b": "a & b"}'


def test_tags_leave_no_blank_lines_and_the_last_line_keeps_its_end() -> None:
    """Lines that hold a tag alone leave nothing; the final line end stays."""
    template = "<a>\n  {% if true %}\n  <b/>\n  {% endif %}\n</a>\n"

    assert rendered(template) == "<a>\n  <b/>\n</a>\n"


def test_line_ends_stay_as_they_were_written() -> None:
    """Windows line ends, and even mixed ones, come out as they went in."""
    template = "<a>\r\n{% if true %}\r\n  <b/>\r\n{% endif %}\r\n<c/>\n</a>\r\n"

    assert rendered(template) == "<a>\r\n  <b/>\r\n<c/>\n</a>\r\n"


def test_each_file_keeps_its_own_line_ends() -> None:
    """An include with other line ends than its parent changes nothing in either."""
    text = rendered("a\n{% include 'b.j2' %}c\n", files={"b.j2": "b\r\n"})

    assert text == "a\nb\r\nc\n"


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    """What Notepad puts in front is dropped, and columns count without it."""
    assert rendered("\ufeff<a/>") == "<a/>"
    assert failed("\ufeff{{ x }}").position.column == 4


def test_includes_imports_macros_and_inheritance() -> None:
    """All that jinja2 offers to share text works over the project's files."""
    text = rendered(
        "{% extends 'base.j2' %}{% from 'macros.j2' import item %}"
        "{% block body %}{{ super() }}{{ item('k') }}{% include 'part.j2' %}{% endblock %}",
        {"x": 1},
        files={
            "base.j2": "<a>{% block body %}<first/>{% endblock %}</a>",
            "macros.j2": "{% macro item(key) %}<item key='{{ key }}'/>{% endmacro %}",
            "part.j2": "<part x='{{ x }}'/>",
        },
    )

    assert text == "<a><first/><item key='k'/><part x='1'/></a>"


ORDINARY = [
    ("{{ [1, 2, 3]|sum }}{{ 7 // 2 }}{{ 2 ** 10 }}{{ 7 % 4 }}{{ -3 }}{{ 1 / 4 }}", "6310243-30.25"),
    ("{{ 'a' ~ 1 ~ none }}{{ 'ab' * 2 }}{{ [1] + [2] }}", "a1Noneabab[1, 2]"),
    ("{{ 'abcd'[1:3] }}{{ 'abcd'[-1] }}{{ [1, 2][0] }}{{ 'abc'[::-1] }}", "bcd1cba"),
    ("{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "a1b2"),
    ("{% for x in [1, 2, 3] if x is odd %}{{ loop.index }}{{ x }}{% else %}-{% endfor %}", "1123"),
    ("{% for x in [] %}{% else %}none{% endfor %}", "none"),
    ("{% for x in [[1, [2]], [3]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}",
     "123"),
    ("{{ 'a,b'.split(',')|join('; ') }}{{ ' x '|trim }}{{ 'x'|upper }}", "a; bxX"),
    ("{{ 'a-b'|replace('-', '_') }}{{ ('<' ~ '-')|replace('-', '_'|safe) }}", "a_b&lt;_"),
    ("{{ '%s is %05.2f' % ('pi', 3.14159) }} {{ '%s-%s'|format('a', 'b') }}", "pi is 03.14 a-b"),
    ("{{ '{} {a.b:>4}'.format(1, a={'b': 2}) }}", "1    2"),
    ("{{ '{a}'.format_map({'a': 1}) }}", "1"),
    ("{{ [3, 1, 2]|sort|join }}{{ ['b', 'a', 'b']|unique|join }}{{ [1, 2, 3]|batch(2)|list }}",
     "123ba[[1, 2], [3]]"),
    ("{{ [{'k': 1}, {'k': 2}]|map(attribute='k')|list }}{{ [1, 2]|map('string')|join('+') }}",
     "[1, 2]1+2"),
    ("{{ [{'k': 1}, {'k': 2}]|selectattr('k', 'gt', 1)|list|length }}", "1"),
    ("{% for g in [{'k': 1, 'v': 'a'}, {'k': 1, 'v': 'b'}]|groupby('k') %}{{ g.grouper }}"
     "{{ g.list|length }}{% endfor %}", "12"),
    ("{{ {'b': 1, 'a': 2}|dictsort }}", "[(&#39;a&#39;, 2), (&#39;b&#39;, 1)]"),
    ("{% set ns = namespace(n=0) %}{% for x in range(4) %}{% set ns.n = ns.n + x %}{% endfor %}"
     "{{ ns.n }}", "6"),
    ("{% macro m(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{{ caller() if caller is defined }}"
     "{% endmacro %}{{ m(1) }}{% call m(1, 3, 4) %}x{% endcall %}", "12()13(4,)x"),
    ("{% set x %}<b/>{% endset %}{{ x }}{% filter upper %}a<b>{% endfilter %}", "<b/>A<B>"),
    ("{% with a = 1 %}{{ a }}{% endwith %}{% raw %}{{ a }}{% endraw %}{# no #}", "1{{ a }}"),
    ("{% autoescape false %}{{ '<' }}{% endautoescape %}{{ '<' }}{{ '<'|safe }}{{ '<'|e }}",
     "<&lt;<&lt;"),
    ("{{ 'x' if false }}{{ x|default('d') }}{{ 1 if x is undefined else 2 }}{{ x is defined }}",
     "d1False"),
    ("{{ 1 < 2 <= 2 }}{{ 'a' in 'abc' }}{{ 1 not in [2] }}{{ not true }}{{ 1 == 1.0 and 2 }}",
     "TrueTrueTrueFalse2"),
    ("{{ dict(a=1)['a'] }}{{ {1: {'x': 5}}[1].x }}{{ 'a\\tb'.expandtabs(4) }}", "15a   b"),
    ("{{ 'a\\nb'|indent(2) }}{{ 'one two'|wordwrap(3) }}", "a\n  bone\ntwo"),
    ("{{ 'abcdefghij'|truncate(5, true, '', 0) }}", "abcde"),
    ("{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}"
     "{% set j = joiner(',') %}{{ j() }}x{{ j() }}", "abax,"),
    ("{% for x in 'abc' %}{{ loop.cycle('1', '2') }}{{ loop.last }}{{ loop.changed(1) }},"
     "{% endfor %}", "1FalseTrue,2FalseFalse,1TrueFalse,"),
    ("{{ {'a': '<', 'b': none}|xmlattr }}{{ 'a b&'|urlencode }}{{ 1234567|filesizeformat }}",
     " a=&#34;&lt;&#34;".replace("&#34;", '"') + "a%20b%261.2 MB"),
    ("{{ 3.14159|round(2) }}{{ '42'|int + 1 }}{{ '1.5'|float }}{{ -1|abs }}{{ 'a b'|wordcount }}",
     "3.14431.512"),
    ("{{ '<b>x</b> y'|striptags }}{{ 'a b'|title }}{{ 'ab'|reverse }}{{ 'ab'|center(6) }}.",
     "x yA Bba  ab  ."),
    ("{{ 'ab'.center(4, '-') }}{{ 'ab'.replace('a', 'c') }}{{ ','.join(['a', 'b']) }}",
     "-ab-cba,b"),
    ("{{ {'a': [1]}|tojson(indent=1)|replace('\\n', '') }}{{ [1]|pprint }}", '{ "a": [  1 ]}[1]'),
    ("{% block b scoped %}{{ self.c() }}{% endblock %}{% block c %}c{% endblock %}", "cc"),
    ("{{ [1, 2, 3]|slice(2)|list }}{{ [1, 2]|first }}{{ [1, 2]|last }}{{ 'ab'|list|length }}",
     "[[1, 2], [3]]122"),
    ("{{ [1, 2]|max }}{{ ['b', 'a']|min }}{{ [[1], [2]]|sum(start=[]) }}{{ {'a': 1}|items|list }}",
     "2a[1, 2][(&#39;a&#39;, 1)]"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "text"), ORDINARY, ids=range(len(ORDINARY)))
def test_ordinary_templates_do_what_jinja2_does(template: str, text: str) -> None:
    """The sandbox changes nothing about a template that asks for nothing odd."""
    assert rendered(template) == text


def test_what_took_part_is_told() -> None:
    """The result names every template that took part, and no other."""
    files = {"a.j2": "{% import 'b.j2' as b %}", "b.j2": "", "c.j2": ""}
    result = outcome("{% include 'a.j2' %}", files=files)

    assert isinstance(result, Rendering)
    assert {NAME, "a.j2", "b.j2"} == result.used


def test_rendering_twice_gives_the_same() -> None:
    """What is remembered between renderings shows in none of them."""
    files = {"a.j2": "{% set x = 1 %}{{ x }}{{ y }}"}
    first = [rendered("{% include 'a.j2' %}", {"y": y}, files=files) for y in "ab"]
    again = [rendered("{% include 'a.j2' %}", {"y": y}, files=files) for y in "ab"]

    assert first == again == ["1a", "1b"]


def test_variables_are_not_changed() -> None:
    """A rendering leaves the mapping it was given, and what is in it, alone."""
    variables = {"x": [1], "y": {"a": 1}}
    outcome("{% set x = x + [2] %}{% set z = 1 %}{{ x|indent }}", variables)

    assert variables == {"x": [1], "y": {"a": 1}}


# Files that are not templates


def test_a_plain_file_is_taken_as_it_is() -> None:
    """Without `.j2` nothing is rendered, whatever it looks like."""
    text = "<a>{{ x }}{% if %}</a>"

    assert rendered(text, name="atlassian-plugin.xml") == text


def test_placeholders_of_connect_express_are_filled_in() -> None:
    """A descriptor written for atlassian-connect-express works as it is; the rest stays."""
    text = rendered(
        '{"key": "{{appKey}}", "baseUrl": "{{localBaseUrl}}", "a": "{{ environment }}{{x}}"}',
        {"localBaseUrl": 'http://"x"'},
        name="atlassian-connect.json",
    )

    assert text == '{"key": "{{appKey}}", "baseUrl": "http://\\"x\\"", "a": "development{{x}}"}'


@pytest.mark.parametrize(
    ("data", "message", "position"),
    [
        (b"<a>\n  \xff</a>", "byte 0xff at offset 6 is not UTF-8", (2, 3)),
        ("<a>é</a>".encode("latin-1"), "byte 0xe9 at offset 3 is not UTF-8", (1, 4)),
        ("<a/>".encode("utf-16"), "the file is UTF-16", (1, 1)),
        ("<a/>".encode("utf-32"), "the file is UTF-32", (1, 1)),
        (b"<a>\n\0</a>", "a NUL at character 4", (2, 1)),
    ],
)
@pytest.mark.parametrize("name", [NAME, "atlassian-connect.json"])
def test_what_is_no_utf8_text_is_refused(
    name: str, data: bytes, message: str, position: tuple[int, int]
) -> None:
    """Another encoding is told with the byte and its place, and what to do."""
    result = render({name: data}, name, {})

    assert isinstance(result, Failure)
    assert result.diagnostics[0].code == "S006"
    assert message in result.diagnostics[0].message
    assert result.diagnostics[0].position == Position(name, *position)
    assert result.diagnostics[0].fix == "save the file as UTF-8"


# Finding other templates


def test_unknown_files_are_wanted() -> None:
    """What nobody looked for yet is asked for, at the root first and then beside the template."""
    result = outcome("{% include 'sub/a.j2' %}", files={"sub/a.j2": "{% include 'x.j2' %}"})
    assert result == Wanted(frozenset({"x.j2", "sub/x.j2"}))

    files = {"sub/a.j2": "{% include 'x.j2' %}"}
    result = outcome("{% include 'sub/a.j2' %}", files=files, missing=("x.j2",))
    assert result == Wanted(frozenset({"sub/x.j2"}))


def test_the_root_comes_first_and_the_neighbour_second() -> None:
    """A template in a folder finds the project's file first, its neighbour else."""
    files = {
        "sub/main.j2": "{% include 'x.j2' %}{% include 'y.j2' %}{% include '../x.j2' %}",
        "x.j2": "root ",
        "sub/x.j2": "beside ",
        "sub/y.j2": "beside ",
    }
    text = rendered("{% include 'sub/main.j2' %}", files=files, missing=("y.j2",))

    assert text == "root beside root "


def test_as_many_files_as_possible_are_wanted_at_once() -> None:
    """One look for what a loop includes, not one for each."""
    result = outcome("{% for x in 'abc' %}{% include x ~ '.j2' ignore missing %}{% endfor %}")

    assert result == Wanted(frozenset({"a.j2", "b.j2", "c.j2"}))


def test_ignore_missing_and_lists_of_names() -> None:
    """What may be missing is left out; of a list the first that is there is taken."""
    missing = ("a.j2", "b.j2")
    assert rendered("x{% include 'a.j2' ignore missing %}", missing=missing) == "x"

    files = {"c.j2": "c"}
    template = "{% include ['a.j2', 'b.j2', 'c.j2'] %}{% include ['b.j2'] ignore missing %}"
    assert rendered(template, files=files, missing=missing) == "c"


@pytest.mark.parametrize(
    "template",
    [
        "<a>\n  {% include 'pagee.j2' %}",
        "<a>\n  {% extends 'pagee.j2' %}",
        "<a>\n  {% import  'pagee.j2' as p %}",
        "<a>\n  {%   from  'pagee.j2' import p %}",
        "<a>\n  {% include ['pagee.j2'] %}",
    ],
)
def test_a_missing_template_is_told_where_it_is_named(template: str) -> None:
    """T003 stands at the name, and knows the file that was meant."""
    diagnostic = failed(template, files={"page.j2": ""}, missing=("pagee.j2",))

    named = re.search(r"\[?'pagee", template)
    assert named is not None
    assert diagnostic.code == "T003"
    assert diagnostic.position == Position(NAME, 2, named.start() - 3)
    assert diagnostic.fix == 'did you mean "page.j2"?'


@pytest.mark.parametrize(
    "name", ["../x.j2", "/etc/passwd", "a/../../x.j2", "./../x", "..", "", "."]
)
def test_nothing_outside_the_project_can_be_named(name: str) -> None:
    """T004, and the file is not even asked for."""
    diagnostic = failed(f"a{{% include {name!r} %}}")

    assert diagnostic.code == "T004"
    assert diagnostic.position == Position(NAME, 1, 13)


def test_a_name_that_is_no_text() -> None:
    """A number or an undefined value names no template."""
    assert failed("{% include 5 %}").code == "T007"
    assert failed("{% include nmae %}", {"name": 1}).code == "T002"


# Mistakes


def test_an_undefined_variable() -> None:
    """T002 at the name itself, wherever in the expression, with the name that was meant."""
    diagnostic = failed("<a>\n  <b k='{{ 'x' ~ (nmae|upper) }}'/>", {"name": 1})

    assert diagnostic.code == "T002"
    assert diagnostic.message == '"nmae" is not defined'
    assert diagnostic.position == Position(NAME, 2, 19)
    assert diagnostic.fix == 'did you mean "name"?'


@pytest.mark.parametrize(
    ("template", "column", "fix"),
    [
        ("{{ zzzzzz }}", 4, "define zzzzzz under [app] variables"),
        ("{{ app.nmae }}", 4, 'did you mean "name"?'),
        ("{{ app['nmae'] }}", 4, 'did you mean "name"?'),
        ("{{ app.zzzzzz }}", 4, "it has name"),
        ("{{ env.TOKEN }}", 4, 'allow it in upm-dev.toml: [app] env = ["TOKEN"]'),
        ("{% if nmae %}{% endif %}", 7, 'did you mean "name"?'),
        ("{% for x in nmae %}{% endfor %}", 13, 'did you mean "name"?'),
        ("{% set items = 1 %}{{ itmes }}", 23, 'did you mean "items"?'),
        ("{% macro hello() %}{% endmacro %}{{ helo() }}", 37, 'did you mean "hello"?'),
        ("{{ [1]|map(attribute='a')|list }}", 4, ""),
        ("{% macro m(a) %}{{ a }}{% endmacro %}{{ m() }}", 20, ""),
        ("{{ name.foo.bar }}", 4, ""),
    ],
)
def test_where_and_what_was_meant(template: str, column: int, fix: str) -> None:
    """Every kind of undefined value is told at its expression."""
    diagnostic = failed(template, {"name": "n", "app": {"name": "a"}, "env": {}})

    assert diagnostic.code == "T002"
    assert diagnostic.position == Position(NAME, 1, column)
    assert diagnostic.fix.startswith(fix)


def test_an_undefined_value_is_told_where_it_was_named_not_where_it_failed() -> None:
    """A macro is handed an undefined variable: the call is what has to be mended."""
    files = {"m.j2": "{% macro m(a) %}\n\n{{ a }}{% endmacro %}"}
    diagnostic = failed("{% from 'm.j2' import m %}\n{{ m(nmae) }}", {"name": 1}, files=files)

    assert diagnostic.position == Position(NAME, 2, 6)


def test_a_macro_that_its_file_does_not_have() -> None:
    """An import of a name that is not exported is told with the file."""
    diagnostic = failed("{% from 'm.j2' import x %}\n\n{{ x() }}", files={"m.j2": ""})

    assert diagnostic.code == "T002"
    assert "'m.j2' (imported on line 1) does not export" in diagnostic.message

    module = failed("{% import 'm.j2' as m %}{{ m.b() }}", files={"m.j2": "{% set ab = 1 %}"})
    assert module.message == '"m.b" is not defined: there is no "b" in it'
    assert module.fix == 'did you mean "ab"?'


def test_a_mistake_in_an_include() -> None:
    """The place is in the include; the notes lead to it."""
    files = {"sub/a.j2": "<a>\n{% include 'b.j2' %}", "b.j2": "\n\n  {{ x }}"}
    diagnostic = failed("\n {% include 'sub/a.j2' %}", files=files)

    assert diagnostic.position == Position("b.j2", 3, 6)
    assert diagnostic.notes == ("rendered from sub/a.j2:2:12", f"rendered from {NAME}:2:13")


def test_values_of_loops_are_noted() -> None:
    """The note says which round of which loop it was; long values and mappings stay short."""
    modules = [{"key": "a", "n": 1}, {"key": "b" * 100, "n": 0}]
    template = "{% for m in modules %}{% for i in [5] %}{{ 1 // m.n }}{% endfor %}{% endfor %}"
    diagnostic = failed(template, {"modules": modules})

    assert diagnostic.code == "T007"
    assert diagnostic.message.startswith("ZeroDivisionError")
    assert diagnostic.notes == (f'while m.key = "{"b" * 59}…"', "while i = 5")


def test_what_comes_from_the_environment_stays_out_of_messages() -> None:
    """A secret in a loop, or in Python's own words, is not repeated."""
    secret = "correct horse"
    template = (
        "{% for k, v in env.items() %}{{ '%d' % {v: 1}[v ~ ''] }}{{ [].index(v) }}{% endfor %}"
    )
    diagnostic = failed(template, {"env": {"TOKEN": secret}})

    assert "TOKEN" in repr(diagnostic)
    assert secret not in repr(diagnostic)
    assert diagnostic.message == "ValueError: '…' is not in list"


@pytest.mark.parametrize(
    ("template", "line", "column", "message", "fix"),
    [
        ("<a>\n {% fro x in y %}", 2, 5, 'there is no tag "fro"', "did you mean"),
        ("{% for x in y %}{% endif %}", 1, 20, 'there is no tag "endif"', ""),
        ("<a>\n {{ x|uper }}", 2, 7, 'there is no filter "uper"', 'did you mean "upper"?'),
        ("{{ x is odd_ }}", 1, 6, 'there is no test "odd_"', 'did you mean "odd"?'),
        ("{{ [1]|random }}", 1, 8, "every rendering a new revision", ""),
        ("{% for x in y %}\n<a>", 1, 1, '"for" is never closed', "add {% endfor %}"),
        (
            "{% if a %}{% for x in y %}{% endfor %}\n",
            1,
            1,
            '"if" is never closed',
            "add {% endif %}",
        ),
        ("a{% set x %}b", 1, 2, '"set" is never closed', "add {% endset %}"),
        ("{% set x = 1 %}{% if x %}", 1, 16, '"if" is never closed', "add {% endif %}"),
        ("<a>\n  {# never", 2, 3, "Missing end of comment tag", ""),
        ("{{ a b }}", 1, 6, "expected token", ""),
        ("{{ a", 1, 4, "unexpected end of template", ""),
        ("{{ ) }}", 1, 4, "unexpected ')'", ""),
        ("{{ 'a }}", 1, 4, "unexpected char", ""),
        ("{{ x(b=1, b=2) }}", 1, 4, "keyword argument repeated", ""),
        ("{{ x[1:2, 3] }}", 1, 4, "invalid syntax", ""),
        ("{{ a ? b }}", 1, 6, "unexpected char '?'", ""),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", 2, 4, "defined twice", ""),
        ("{{ " + "9" * 5000 + " }}", 1, 1, "digits", ""),
        ("<a>\r\n\r\n  {{ a b }}", 3, 8, "expected token", ""),
    ],
)
def test_syntax_errors(template: str, line: int, column: int, message: str, fix: str) -> None:
    """T001 with line and column, and where it is plain what was meant, that."""
    diagnostic = failed(template, {"x": 1, "y": [], "a": 1})

    assert diagnostic.code == "T001"
    assert message in diagnostic.message
    assert (diagnostic.position.line, diagnostic.position.column) == (line, column)
    assert fix in diagnostic.fix


def test_a_syntax_error_in_an_include_is_placed_there() -> None:
    """The include's own line and column, and how it came into play."""
    diagnostic = failed("\n{% include 'a.j2' %}", files={"a.j2": "\n {% if %}"})

    assert diagnostic.code == "T001"
    assert diagnostic.position == Position("a.j2", 2, 8)
    assert diagnostic.notes == (f"rendered from {NAME}:2:12",)


@pytest.mark.parametrize(
    ("template", "code", "words"),
    [
        ("{{ x|map('upper') }}", "T007", "add |list or |join"),
        ("{% macro m() %}{% endmacro %}{{ m }}", "T007", '"m" is a macro: call it'),
        ("{{ namespace(a=1) }}", "T007", "name one of its values"),
        ("{{ joiner() }}", "T007", "has no text to write"),
        ("{{ 1 + 'a' }}", "T007", "TypeError"),
        ('{{ "\\ud800" }}', "T007", "U+D800 is half a character"),
        ("{{ nmae._place }}", "T006", "may not use"),
        ("{{ '%d' % 'a' }}", "T007", "TypeError"),
        ("{{ 5() }}", "T006", "a template may not call a int"),
        ("{{ ''.__class__.__mro__ }}", "T006", 'may not use "__class__" of a str'),
        ("{{ ''|attr('__class__') }}", "T006", "may not use"),
        ("{{ ['']|map(attribute='__class__')|list }}", "T006", "may not use"),
        ("{{ '{0.__class__}'.format(1) }}", "T006", "may not use"),
        ("{{ ('{0.__class__}'|safe).format(1) }}", "T006", "may not use"),
        ("{{ cycler.__init__.__globals__ }}", "T006", "may not use"),
        ("{{ x.append(1) }}", "T006", 'may not use "append" of a list'),
        ("{{ 'a'.encode() }}", "T006", 'may not call "encode" of a str'),
        ("{{ (1).to_bytes(1, 'big') }}", "T006", 'may not call "to_bytes" of a int'),
        ("{{ x.__len__() }}", "T006", "may not use"),
        ("{{ f() }}", "T006", "may not call a function"),
        ("{{ x.copy.__call__() }}", "T006", "may not use"),
    ],
)
def test_what_a_template_may_not_do(template: str, code: str, words: str) -> None:
    """Every mistake and every trespass is a diagnostic of its kind."""
    diagnostic = failed(template, {"x": ["a"], "f": lambda: 1})

    assert (diagnostic.code, diagnostic.position.line) == (code, 1)
    assert words in diagnostic.message


# What a template refers to


def test_references_are_found_without_rendering() -> None:
    """Names in plain words, each with the files it may mean; comments and raw text have none."""
    text = (
        "{% extends 'base.j2' %}{%- include ['a.j2', \"b.j2\"] %}{% import x as y %}"
        "{% from '../m.j2' import z %}{% include 'c.j2' if q else 'd.j2' %}{{ {'x': 'y.j2'} }}"
        "{# {% include 'no.j2' %} #}{% raw %}{% include 'no.j2' %}{% endraw %}{% include '/e' %}"
    )

    assert references("sub/t.j2", text) == (
        ("base.j2", "sub/base.j2"),
        ("a.j2", "sub/a.j2"),
        ("b.j2", "sub/b.j2"),
        ("m.j2",),
        ("c.j2", "sub/c.j2"),
        ("d.j2", "sub/d.j2"),
    )


@pytest.mark.parametrize("end", ["{# never ends", "{% raw %} never ends", "{% include 'b.j2'", "{"])
def test_a_template_that_does_not_compile_still_has_references(end: str) -> None:
    """A broken edit does not make the includes disappear from what is watched."""
    assert references("t.j2", "{% include 'a.j2' %}{% fro %}" + end)[0] == ("a.j2",)


@pytest.mark.parametrize(
    "text", ["{#" * 10**6, "{%" * 10**5, "{% raw %}" * 10**5, "{% include '" * 10**5, "{" * 10**6]
)
def test_references_of_garbage_take_no_time(text: str) -> None:
    """The scan is linear, whatever it is given: four times the text, some four times the work."""
    scan = references.__wrapped__  # without its cache

    assert growth(lambda size: scan("t.j2", text[: len(text) * size // 4]), 1, 4) < 8


def test_rendering_costs_little_to_import() -> None:
    """`validate` pays for jinja2 alone: no event loop, no network."""
    program = "import sys, devserver.descriptor.template; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert not set(run.stdout.split()) & {"asyncio.events", "aiohttp", "yaml", "lxml.etree"}
