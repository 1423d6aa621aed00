"""What grows with a descriptor grows no faster than it, and what no app has is refused."""

import json
from itertools import pairwise

import pytest
from corpus import examined
from hypothesis import given
from hypothesis import strategies as st
from work import counted

from devserver.descriptor.decode import Lines, point_of
from devserver.descriptor.document import ENOUGH
from devserver.descriptor.judge import MAX_OF_A_KIND, Examined
from devserver.model import Severity

ROOT = '<atlassian-plugin key="com.acme.app" name="Acme" plugins-version="2">'
APP = {"key": "a", "name": "A", "baseUrl": "https://a.example", "authentication": {"type": "none"}}
ITEM = {"url": "/a", "location": "x", "name": {"value": "n"}}
MOST_CALLS = 8_000_000
"""What some two seconds are enough for; each made more before it was bounded."""


def quickly(text: str, *, is_json: bool) -> Examined:
    def work() -> Examined:
        result = examined(text.encode(), is_json=is_json)
        assert result.diagnostics
        return result

    result, calls = counted(work)
    assert calls < MOST_CALLS
    return result


def connect(items: list[object]) -> str:
    return json.dumps({**APP, "modules": {"webItems": items}})


def plugin(inside: str) -> str:
    return f"{ROOT}{inside}</atlassian-plugin>"


def test_a_key_given_20000_times_in_one_line_is_told_in_bounded_time() -> None:
    """The first are placed, each where it stands, and the rest is counted."""
    text = '{"key":"a",' + ",".join(['"k":1'] * 20_000) + "}"

    found = [each for each in quickly(text, is_json=True).diagnostics if each.code == "G004"]

    assert len(found) == MAX_OF_A_KIND + 1
    columns = [each.position.column for each in found]
    assert {b - a for a, b in pairwise(columns)} == {6}
    assert found[-1].message == "at least 4,800 more of G004 from here on, not shown"


def test_modules_that_share_a_key_are_told_in_bounded_time() -> None:
    """An error for each of the first, and one for how many more."""
    result = quickly(connect([{"key": "k", **ITEM}] * 20_000), is_json=True)

    assert len(result.errors) == MAX_OF_A_KIND + 1
    assert result.errors[0].position.column == result.text.index('"k"', 130) + 1  # type: ignore[union-attr]


def test_a_descriptor_of_30000_modules_is_read() -> None:
    """2 MB of good modules: no error, and every one is there."""
    items: list[object] = [{"key": f"k{i}", **ITEM} for i in range(30_000)]

    result = examined(connect(items).encode(), is_json=True)

    assert result.descriptor is not None
    assert len(result.descriptor.modules) == 30_000


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(APP | {f"x{i}": 1 for i in range(500_000)}),
        json.dumps(APP | {"x": [[0] * 1000] * 300}),
        '{"a": 1, ' + ",".join(['"k": 1'] * 300_000) + "}",
    ],
    ids=["keys", "lists", "one key"],
)
def test_more_values_than_any_app_has_are_refused(text: str) -> None:
    """S005, before any rule looks at them."""
    result = quickly(text, is_json=True)

    assert [each.code for each in result.errors] == ["S005"]


@pytest.mark.parametrize(
    ("inside", "word"),
    [
        ('<web-item key="k"/>' * 380_000, "elements"),
        ("<web-itme/>" * 60_000, "elements"),
        ("<a " + " ".join(f'a{i}="1"' for i in range(60_000)) + "/>", "attributes"),
        (("<a " + " ".join(f'a{i}="1"' for i in range(190)) + "/>") * 1200, "attributes"),
    ],
    ids=["good elements", "misspelt elements", "attributes", "attributes of many"],
)
def test_more_elements_or_attributes_than_any_app_has_are_refused(inside: str, word: str) -> None:
    """S005 with the line, before any rule looks at them."""
    (error,) = quickly(plugin(f"\n{inside}"), is_json=False).errors

    assert (error.code, error.position.line) == ("S005", 2)
    assert word in error.message


def test_misspelt_names_by_the_thousand_are_told_in_bounded_time() -> None:
    """Each name another one, in XML and in JSON."""
    elements = "".join(f'<web-itme{i} key="k{i}"/>' for i in range(12_000))
    names = json.dumps({**APP, **{f"vendro{i}": 1 for i in range(20_000)}})

    found = [*quickly(plugin(elements), is_json=False).diagnostics]
    found += quickly(names, is_json=True).diagnostics

    assert any(each.message.startswith("at least 4,8") for each in found)


def test_one_key_for_very_many_products_is_compared_with_each_once() -> None:
    """X202: two modules may share a key where no product takes both; linear in how many do."""

    def calls(size: int) -> int:
        items = "".join(f'<web-item key="k" application="p{i}"/>' for i in range(size))
        text = plugin(items + '<servlet key="k" application="p7"/>')
        result, made = counted(lambda: examined(text.encode(), is_json=False).diagnostics)
        (twice,) = [each for each in result if each.code == "X202"]
        column = text.index('k" application="p7"') + 1
        assert twice.notes == (f"<web-item> has it on line 1, column {column}",)
        return made

    calls(10)  # what is made once only
    assert calls(4000) < 2.5 * calls(2000)


@pytest.mark.parametrize(
    ("applications", "clash"),
    [
        (("jira", "confluence"), False),
        (("jira", "confluence, jira"), True),
        (("jira", ""), True),
        (("", "jira"), True),
        (("", ""), True),
        (("jira", "confluence", "bamboo"), False),
        (("jira", "confluence", "bamboo,confluence"), True),
        ((",", "jira"), True),
    ],
)
def test_a_key_may_be_shared_by_modules_for_different_products(
    applications: tuple[str, ...], clash: bool
) -> None:
    """Without application= a module is for every product."""
    items = "".join(f'<web-item key="k" application="{each}"/>' for each in applications)

    found = examined(plugin(items).encode(), is_json=False).diagnostics

    assert any(each.code == "X202" for each in found) is clash


def test_an_error_among_thousands_of_warnings_is_not_lost() -> None:
    """What is counted is counted by its severity."""
    items = [{"key": f"k{i}", **ITEM, "url": "http://a.example"} for i in range(2000)]
    page = {"key": "p", "name": {"value": "n"}, "url": "http://a.example"}
    text = json.dumps({**APP, "modules": {"webItems": items, "generalPages": [page]}})

    found = [each for each in quickly(text, is_json=True).diagnostics if each.code == "J610"]

    assert [each.severity for each in found].count(Severity.ERROR) == 1
    assert len(found) == MAX_OF_A_KIND + 2


@pytest.mark.parametrize(("ignore", "line"), [("", 3), ("<!-- upm-dev: ignore X203 -->", 4)])
def test_an_error_after_more_warnings_than_are_counted_is_found(ignore: str, line: int) -> None:
    """X203 warns of odd characters, and refuses a colon, which a host does too."""
    odd = "".join(f'<web-item key="k{i}!"/>' for i in range(ENOUGH))
    text = plugin(f'{odd}\n{ignore}\n<servlet key="a:b"/>\n<servlet key="c:d"/>\n')

    result = quickly(text, is_json=False)

    (error,) = [each for each in result.errors if each.code == "X203"]
    assert error.position.line == line
    assert result.descriptor is None


@given(st.text("ab\n\r", max_size=30), st.integers(0, 30))
def test_lines_are_counted_as_one_offset_is(text: str, offset: int) -> None:
    """Two ways to the same line and column; none asks for the middle of a line's end."""
    if not 0 < offset < len(text) or text[offset - 1 : offset + 1] != "\r\n":
        offset = min(offset, len(text))
        if text[offset - 1 : offset + 1] != "\r\n":
            assert Lines(text).point(offset) == point_of(text, offset)
