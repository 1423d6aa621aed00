"""Anything may come as a descriptor: a diagnostic in bounded time and memory, never a crash."""

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import corpus
import pytest
from click.testing import Result
from corpus import examined
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work import growth

from devserver.descriptor.rules.pages import pages

Run = Callable[..., Result]
Save = Callable[[str, str | bytes], Path]

ROOT = '<atlassian-plugin key="com.acme.app" name="Acme" plugins-version="2">'
BOMB = (
    '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(12))
    + "]><a>&m;</a>"
)

XML: tuple[tuple[str, bytes, str, tuple[int, int]], ...] = (
    ("empty", b"", "G001", (1, 1)),
    ("white space", b" \n ", "G001", (1, 1)),
    ("text", b"hello", "G001", (1, 1)),
    ("truncated", ROOT.encode() + b"\n  <web-item key=", "G001", (2, 3)),
    ("open", ROOT.encode() + b"\n  <web-item>", "G001", (2, 13)),
    ("mismatch", b"<a>\n  <b>\n</a>", "G001", (3, 1)),
    ("attribute twice", b'<a b="1"\n b="2"/>', "G001", (2, 2)),
    ("unquoted", b"<a\n b=1/>", "G001", (2, 4)),
    ("bare ampersand", b"<a>\nR&D x</a>", "G001", (2, 2)),
    ("angle in attribute", b'<a\n b="<"/>', "G001", (2, 5)),
    ("two roots", b"<a/>\n<b/>", "G001", (2, 1)),
    ("late declaration", b'\n<?xml version="1.0"?><a/>', "G001", (2, 1)),
    ("endless comment", b"<a>\n<!-- no end </a>", "G001", (2, 1)),
    ("hyphens", b"<a>\n<!-- a -- b --></a>", "G002", (2, 8)),
    ("unknown prefix", b"<a\n x:b='1'/>", "G001", (2, 2)),
    ("entity", b"<a>\n&nbsp;</a>", "G009", (2, 1)),
    ("entity in an attribute", b'<a>\n<b c="&amp;" d="&#9;&nbsp;"/></a>', "G009", (2, 21)),
    ("doctype", b"<?xml version='1.0'?>\n<!-- c -->\n<!DOCTYPE a><a/>", "G009", (3, 1)),
    ("bomb", BOMB.encode(), "G009", (1, 1)),
    ("file", b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "G009", (1, 1)),
    ("control character", b"<a>\n\x01</a>", "G001", (2, 1)),
    ("deep", b"<a>" * 100_000, "G001", (1, 1)),
    ("deep and closed", b"<a>" * 1000 + b"</a>" * 1000, "G001", (1, 1)),
)


@pytest.mark.parametrize(
    ("data", "code", "place"), [each[1:] for each in XML], ids=[e[0] for e in XML]
)
def test_broken_xml_is_named_where_it_broke(data: bytes, code: str, place: tuple[int, int]) -> None:
    """One error, its id, its line; its column where that is exact."""
    result = examined(data, is_json=False)

    (error,) = result.errors
    assert (error.code, error.position.line) == (code, place[0])
    if not data.startswith(b"<a><a>"):
        assert error.position.column == place[1]


def test_the_opener_is_told_with_the_mismatch() -> None:
    """A closing tag that fits nothing says what is open, and since where."""
    (error,) = examined(b"<a>\n  <b>\n</a>", is_json=False).errors

    assert "<b> is opened on line 2, column 3" in error.notes


def test_xinclude_includes_nothing() -> None:
    """The element stays what it is: one that hosts ignore."""
    text = ROOT + '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>'
    result = examined((text + "</atlassian-plugin>").encode(), is_json=False)

    assert "root:" not in str(result.diagnostics)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (ROOT.encode("utf-16") + "</atlassian-plugin>".encode("utf-16-le"), "G006"),
        (b"\xef\xbb\xbf" + ROOT.encode() + b"</atlassian-plugin>", "G006"),
        (
            b'<?xml version="1.0" encoding="ISO-8859-1"?>' + ROOT.encode() + b"</atlassian-plugin>",
            "G006",
        ),
    ],
)
def test_other_encodings_are_read_with_a_remark(data: bytes, code: str) -> None:
    """UTF-16, a byte order mark, a declared encoding: read, and said."""
    result = examined(data, is_json=False)

    assert result.document is not None
    assert code in {each.code for each in result.diagnostics}


@pytest.mark.parametrize(
    "data",
    [
        b"<a>\xff\xfe\xfd</a>",
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b'<?xml version="1.0" encoding="UTF-16"?><a/>',
        b'<?xml version="1.0" encoding="hex"?><a/>',
        b"<a>\x00</a>",
        bytes(range(256)),
    ],
)
def test_what_is_no_text_says_which_byte(run: Run, save: Save, data: bytes) -> None:
    """Wrong bytes, unknown and lying encodings, NUL: an error with a line."""
    save("atlassian-plugin.xml", data)

    result = run("validate", "--format", "json")

    assert result.exit_code == 1
    assert '"G006"' in result.stdout or '"S006"' in result.stdout


JSON: tuple[tuple[str, str, str], ...] = (
    ("[1]", "G007", "object"),
    ('{"a": NaN}', "G003", "NaN"),
    ('{"a": "\\ud800"}', "G003", "surrogate"),
    ('{"a": 1 "b": 2}', "G003", "comma"),
    ("{'a': 1}", "G003", "quote"),
    ('{"a": tru}', "G003", "tru"),
    ('{"a": True}', "G003", "true"),
    ('{"a": 01}', "G003", "number"),
    ('{"a": "x\n"}', "G003", "line break"),
    ('{"a": "x\ty"}', "G003", "tab"),
    ('{"a": "\\x"}', "G003", "escape"),
    ('{"a" 1}', "G003", ":"),
    ("{a: 1}", "G003", "quotes"),
    ("{} {}", "G003", "after the end"),
    ('{"a": [1, 2}', "G003", "]"),
    ('{"a": "b', "G003", "never ends"),
    ('{"a": 1 # c\n}', "G003", "comments"),
    ("# c\n{}", "G003", "comments"),
    ('{%if x%} "a": 1}', "G003", "after the end"),
    ('{"a": ' + "9" * 5000 + "}", "G003", "digits"),
    ("[" * 100_000, "G003", "nested"),
    ('{"a":' * 100_000, "G003", "nested"),
    ("", "G003", "empty"),
)


@pytest.mark.parametrize(("text", "code", "word"), JSON, ids=[each[0][:16] for each in JSON])
def test_broken_json_is_named(text: str, code: str, word: str) -> None:
    """The usual slips by their names, and bounded nesting."""
    result = examined(text.encode(), is_json=True)

    (error,) = result.errors
    assert error.code == code
    assert word in error.message + error.fix


GARBAGE = {False: ("<a>", "<!--", "<?", '<a b="', "&x;"), True: ("[", '{"a":', '"a",', "/*", "{{")}


@pytest.mark.parametrize(
    ("piece", "is_json"), [(piece, kind) for kind, pieces in GARBAGE.items() for piece in pieces]
)
def test_garbage_costs_no_more_than_its_length(piece: str, is_json: bool) -> None:
    """Ten thousand of anything, nested or not: four times as many are not 16 times the work."""
    one = 10_000
    data = (piece * 4 * one).encode()

    assert (
        growth(lambda size: examined(data[: size * len(piece)], is_json=is_json), one, 4 * one) < 8
    )


def test_an_unquoted_token_is_a_remark() -> None:
    """`{{port}}` where a value belongs: another tool fills it in."""
    result = examined(b'{"key": {{key}}, "key": "b", "baseUrl": "https://a.example"}', is_json=True)

    codes = {each.code for each in result.diagnostics}
    assert {"G005", "G004"} <= codes


def test_a_huge_file_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """200 MB: a diagnostic in a second or two, and not 200 MB of memory."""
    file = tmp_path / "atlassian-plugin.xml"
    with file.open("wb") as stream:
        stream.truncate(200 * 1024 * 1024)
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))\n"
        "from devserver.cli import main\n"
        "main(sys.argv[1:])\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", program, "validate", str(file)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert result.returncode == 1
    assert "S005" in result.stdout


def seeds() -> list[tuple[bytes, bool]]:
    """What is mutated: real descriptors where they are at hand, else the rules' examples."""
    found = [(each.data, each.is_json) for each in corpus.samples() if len(each.data) < 20_000]
    found += [
        (each.wrong.encode(), each.wrong.lstrip("▸ ")[:1] == "{")
        for each in pages().values()
        if each.wrong
    ]
    return found


SEEDS = seeds()
PIECES = (
    b"<", b">", b"&", b'"', b"{", b"}", b"[", b",", b":", b"--", b"]]>", b"<![CDATA[", b"<?x ?>",
    b"\x00", b"\xff", b"${", b"{{", b"%>", b"\r", b"\xe2\x80\xae", b"null", b"1e999", b'"key"',
    b"<!DOCTYPE a>", b"<web-item/>", b'{"modules": 1}', b"\xef\xbb\xbf",
)  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(SEEDS) - 1), st.randoms(use_true_random=False), st.integers(1, 6))
def test_mutated_descriptors_never_crash(seed: int, rng: random.Random, edits: int) -> None:
    """Bytes cut, doubled, moved and put in: every result has placed diagnostics or a descriptor."""
    data, is_json = SEEDS[seed]
    for _ in range(edits):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.randrange(40))
        piece = rng.choice((b"", data[start:end] * 2, rng.choice(PIECES), rng.choice(PIECES) * 9))
        data = data[:start] + piece + data[end:]

    result = examined(data, is_json=is_json)

    lines = data.count(b"\n") + data.count(b"\r") + 1
    for each in result.diagnostics:
        assert 0 <= each.position.line <= lines
        assert each.message
    assert (result.descriptor is None) or not result.errors


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["key", "url", "name", "conditions", "value", "or"]), inner
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                *("key", "baseUrl", "authentication", "lifecycle", "scopes", "modules", "vendor"),
                *("name", "apiMigrations", "capabilities", "links", "apiVersion"),
            ]
        ),
        VALUES
        | st.dictionaries(st.sampled_from(["webItems", "webhooks", "configurePage"]), VALUES),
    )
)
def test_any_json_value_anywhere_is_survived(document: dict[str, object]) -> None:
    """Rules do not trust that a property has the type it should have."""
    import json

    result = examined(json.dumps(document).encode(), is_json=True)

    assert result.document is not None


TAGS = [
    *("atlassian-plugin", "plugin-info", "web-item", "servlet", "resource", "condition", "ao"),
    *("conditions", "rest", "param", "permissions", "permission", "oauth", "public-key", "webhook"),
    *("general-page", "url-pattern", "dependency", "vendor", "remote-plugin-container", "entity"),
    *("web-resource", "component", "label", "version", "dispatcher", "bundle-instructions"),
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_element_anywhere_is_survived(data: st.DataObject) -> None:
    """Rules do not trust the tree: known elements in odd places with odd attributes."""
    tags = st.sampled_from(TAGS)
    names = st.sampled_from(
        ["key", "class", "weight", "url", "name", "type", "application", "state"]
    )

    def element(depth: int) -> str:
        tag = data.draw(tags)
        given = data.draw(
            st.dictionaries(names, st.sampled_from(["", "a", "x:y", "1", "${p}", "/u"]))
        )
        attributes = "".join(f' {name}="{value}"' for name, value in given.items())
        inner = data.draw(st.sampled_from(["", "text", "${x}"]))
        if depth < 3:
            inner += "".join(element(depth + 1) for _ in range(data.draw(st.integers(0, 3))))
        return f"<{tag}{attributes}>{inner}</{tag}>"

    text = ROOT + "".join(element(1) for _ in range(3)) + "</atlassian-plugin>"

    assert examined(text.encode(), is_json=False).document is not None
