"""Every rule's page is true: its wrong example is found exactly there, its right one is silent."""

import pytest

from devserver.descriptor.decode import decode, point_of
from devserver.descriptor.judge import Examined, Placer, judge
from devserver.descriptor.rules import every_rule
from devserver.descriptor.rules.pages import MARK, Page, pages
from devserver.model import Severity

PARSERS = {"G001", "G002", "G003", "G004", "G006", "G009", "G010"}


EXAMPLES = [each for each in pages().values() if each.wrong]


def examined(page: Page, text: str) -> Examined:
    """What becomes of an example in the page's context."""
    data = text.encode()
    is_json = text.lstrip("\ufeff \n")[:1] in "{["
    decoded, flaws = decode(data, xml=not is_json)
    assert decoded is not None
    return judge(decoded, data, is_json, flaws, Placer("example"), page.known())


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    """No id without its page; none without the code that reports it."""
    assert {each.code for each in every_rule()} | PARSERS == set(pages())


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.code)
def test_the_wrong_example_is_found_exactly_where_it_is_marked(page: Page) -> None:
    """One finding of this rule, at the mark, line and column."""
    before, mark, _ = page.wrong.partition(MARK)
    assert mark, "the wrong example needs a mark"

    result = examined(page, page.wrong.replace(MARK, ""))

    expected = point_of(before, len(before))
    found = [each.position for each in result.diagnostics if each.code == page.code]
    assert found == [Placer("example").position(expected)]


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.code)
def test_the_right_example_is_silent(page: Page) -> None:
    """Nothing of this rule, no error at all, and no warning of any other rule."""
    result = examined(page, page.right)

    assert result.errors == ()
    allowed = {"R411", "J506"} - {page.code}
    assert not [
        each
        for each in result.diagnostics
        if each.code == page.code
        or (each.severity is Severity.WARNING and each.code not in allowed)
    ]


@pytest.mark.parametrize("page", pages().values(), ids=lambda page: page.code)
def test_a_finding_says_what_to_do(page: Page) -> None:
    """The page is complete: a title, a reason, what the host does, a remedy."""
    assert page.title
    assert page.why.endswith((".", ":"))
    assert page.host
    assert page.fix
