"""Code on pages: coloured whole, quickly, and without half a secret."""

import re
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.descriptor.visible import visible
from devserver.model import Diagnostic, Position, Severity
from devserver.redact import Redactor
from devserver.web.dashboard.show import WIDTH, coloured, frame

PIECES = ["{{", "}}", "{%", "%}", "{#", "#}", "<!--", "-->", "<?", "?>", "<a", "/>", ">", "=", ":"]
PIECES += ['"', "'", "\\", "a", "b-c", " ", "&", "\t"]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_nothing_is_lost_to_colours(line: str) -> None:
    """Without its marks it is the line, and nothing but marks is HTML."""
    shown = re.sub(r'</i>|<i class="[a-z]+">', "", coloured(line))

    assert "<" not in shown
    assert unescape(shown) == visible(line)


def test_what_is_coloured() -> None:
    """Tags, attributes, strings with templates in them, keys, comments and templates."""
    line = """<a b="{{ x }}"> {# c #}{% if y %}"k": 'v' <!-- z --> {{ open"""

    assert re.findall(r'<i class="([a-z]+)">([^<]*)', coloured(line)) == [
        *(("tag", "&lt;a"), ("attribute", "b"), ("string", "&quot;"), ("template", "{{ x }}")),
        *(("tag", "&gt;"), ("comment", "{# c #}"), ("template", "{% if y %}")),
        *(("key", "&quot;k&quot;"), ("string", "&#x27;v&#x27;")),
        ("comment", "&lt;!-- z --&gt;"),
    ]


HUGE = ["{", "a", "<!--", "{#", "{%", "<?", '\\"', "a ", "'\"", "<", "<a", " "]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", HUGE)
@pytest.mark.parametrize("start", ["", '"', "}}-->#}%}?>"])
def test_a_long_line_is_done_at_once(start: str, piece: str) -> None:
    """A descriptor of one line is anybody's to make, and pages are drawn in the event loop."""
    assert coloured(start + piece * 200_000)


def test_a_secret_at_the_edge_is_gone_whole() -> None:
    """It is taken out before the line is cut."""
    secret = "correct-horse-battery-staple"
    mistake = Diagnostic(
        code="X1", severity=Severity.ERROR, message="", position=Position("f.xml", 1, 1)
    )
    line = "x" * (WIDTH - 10) + secret

    (shown,) = frame(mistake, {"f.xml": line}, Redactor([secret]).text).lines

    assert "correct" not in shown.code
    assert "***" in shown.code
