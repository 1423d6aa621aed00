"""What a descriptor in an old JAR can carry, by the JAR's manifest; the mark; what Maven put in."""

import io
import zipfile
from collections.abc import Mapping

import pytest
from datacenter.plugins import BUNDLE, DESCRIPTOR, KEY, PLAIN, TRANSFORMERLESS, jar
from hypothesis import given
from hypothesis import strategies as st

from devserver.datacenter.versions import is_older
from devserver.descriptor import align, carry, filtered
from devserver.descriptor.archive import Archive, Unfit, parse
from devserver.descriptor.carry import Built, Manifest
from devserver.descriptor.document import Element, XmlDocument
from devserver.descriptor.filtered import How
from devserver.descriptor.mark import mark, mark_in, marked
from devserver.descriptor.placeholders import fill
from devserver.descriptor.xml import parse as parse_xml
from devserver.descriptor.xml import parse_bytes
from devserver.model import Severity

FILLED = DESCRIPTOR.replace("${atlassian.plugin.key}", KEY).replace("${project.version}", "1.0")
FILLED = FILLED.replace("${project.name}", "Hello")
CLASS = {"com/acme/hello/Hello.class": b""}


def archive(data: bytes) -> Archive:
    found = parse(data)
    assert isinstance(found, Archive)
    return found


def built(headers: Mapping[str, str], more: Mapping[str, bytes] | None = None) -> Built:
    entries = {"atlassian-plugin.xml": FILLED.encode(), **CLASS, **(more or {})}
    found = carry.built(archive(jar(entries, headers)))
    assert isinstance(found, Built)
    return found


def codes(text: str, of: Built) -> list[str]:
    document = parse_xml(text).document
    assert isinstance(document, XmlDocument)
    return [code for code, _, _ in carry.problems(document, of, frozenset())]


def saying(text: str) -> Element:
    return Element("p", {"q": text}, "", 0, None)


def with_module(module: str) -> str:
    return FILLED.replace("</atlassian-plugin>", f"{module}</atlassian-plugin>")


def servlet(name: str) -> str:
    return with_module(f'<servlet key="s" class="{name}"><url-pattern>/s</url-pattern></servlet>')


HOSTS = "com.atlassian.jira.web.Gone"
INSTRUCTED = with_module("<x/>").replace(
    "</plugin-info>",
    "<bundle-instructions><Import-Package>a.b</Import-Package></bundle-instructions></plugin-info>",
)


@pytest.mark.parametrize(
    ("headers", "text", "expected"),
    [
        (PLAIN, FILLED, []),
        (PLAIN, INSTRUCTED, []),
        (PLAIN, servlet(HOSTS), []),
        (PLAIN, FILLED.replace(KEY, "com.acme.other", 1), []),
        (BUNDLE, FILLED, []),
        (BUNDLE, INSTRUCTED, ["B007"]),
        (BUNDLE, servlet(HOSTS), []),
        (TRANSFORMERLESS, FILLED, []),
        (TRANSFORMERLESS, FILLED.replace(KEY, "com.acme.other", 1), ["B004"]),
        (TRANSFORMERLESS, servlet(HOSTS), ["B006"]),
        (TRANSFORMERLESS, servlet("com.atlassian.jira.issue.Issue"), []),
        (TRANSFORMERLESS, servlet("org.slf4j.impl.Deep"), []),
        (TRANSFORMERLESS, servlet("javax.inject.Inject"), []),
        (TRANSFORMERLESS, servlet("java.util.List"), []),
        (TRANSFORMERLESS, servlet("bean:someBean"), []),
        *((each, servlet("com.acme.hello.Gone"), ["B005"]) for each in (PLAIN, BUNDLE)),
        (TRANSFORMERLESS, servlet("com.acme.hello.deep.Gone"), ["B005"]),
        (PLAIN, servlet("com.acme.other.Gone"), []),
        (PLAIN, servlet("class:com.acme.hello.Hello"), []),
    ],
)  # fmt: skip
def test_what_each_manifest_lets_through(
    headers: Mapping[str, str], text: str, expected: list[str]
) -> None:
    """A plain JAR takes all, a bundle no instructions, a transformerless one what it imports."""
    assert codes(text, built(headers)) == expected


def test_the_kinds() -> None:
    """Told apart by two headers."""
    kinds = [built(each).kind for each in (PLAIN, BUNDLE, TRANSFORMERLESS)]
    assert kinds == [Manifest.HOST, Manifest.BUNDLE, Manifest.TRANSFORMERLESS]


def test_a_class_in_a_nested_jar_is_there() -> None:
    """What stands on the Bundle-ClassPath belongs to the plugin."""
    inner = jar({"com/acme/hello/Nested.class": b""})
    headers = {**BUNDLE, "Bundle-ClassPath": ".,META-INF/lib/inner.jar"}
    found = built(headers, {"META-INF/lib/inner.jar": inner})
    assert codes(servlet("com.acme.hello.Nested"), found) == []
    assert codes(servlet("com.acme.hello.Gone"), found) == ["B005"]


def test_a_problem_has_its_place() -> None:
    """At the value of the attribute, with what to do."""
    document = parse_xml(servlet("com.acme.hello.Gone")).document
    assert isinstance(document, XmlDocument)
    [(_, severity, problem)] = carry.problems(document, built(PLAIN), frozenset())
    assert severity is Severity.ERROR
    assert document.locate(problem.at).line == 13
    assert "atlas-package" in problem.fix


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"obr.xml": b""}, "OBR"),
        ({"a.class": b""}, "no atlassian-plugin.xml"),
        ({"atlassian-plugin.xml": b"<a"}, "cannot be read"),
        ({"atlassian-plugin.xml": b"<!DOCTYPE a><a/>"}, "cannot be read"),
    ],
)
def test_what_is_no_plugin(entries: Mapping[str, bytes], said: str) -> None:
    """A JAR that no host would take for one is said to be none."""
    found = carry.built(archive(jar(entries)))
    assert isinstance(found, Unfit)
    assert said in found.reason


def test_a_descriptor_that_is_there_twice() -> None:
    """Which one counts is up to the reader, so none is exchanged."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("atlassian-plugin.xml", "<a/>")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("atlassian-plugin.xml", "<b/>")
    assert isinstance(carry.built(archive(file.getvalue())), Unfit)


SIGN = mark("r3", "0123456789abcdef" * 4)
SAID = f"<description>{SIGN}</description>"
INFO = f"<plugin-info>{SAID}</plugin-info>"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (FILLED, FILLED.replace("Greets.", f"Greets. {SIGN}")),
        ("<p key='a>b'/>", f"<p key='a>b'>{INFO}</p>"),
        ("<p><m/></p>", f"<p>{INFO}<m/></p>"),
        ("<p><plugin-info/></p>", f"<p>{INFO}</p>"),
        ("<p><plugin-info><version>1</version></plugin-info></p>",
         f"<p><plugin-info>{SAID}<version>1</version></plugin-info></p>"),
        ("<p><plugin-info><description/></plugin-info></p>",
         f"<p>{INFO}</p>"),
        ("<p><m><description>no</description></m><plugin-info><description><![CDATA[a<b]]></description>"
         "</plugin-info></p>",
         "<p><m><description>no</description></m><plugin-info><description><![CDATA[a<b]]> "
         f"{SIGN}</description></plugin-info></p>"),
    ],
)  # fmt: skip
def test_the_mark_goes_in_and_nothing_else_changes(body: str, expected: str) -> None:
    """Whatever the descriptor has of a description."""
    assert marked(body.encode(), SIGN).decode() == expected


def test_the_mark_in_other_encodings_and_with_another_version() -> None:
    """The encoding stays the declared one; a rollback takes the version of the day."""
    text = (
        '<?xml version="1.0" encoding="ISO-8859-1"?><p name="ü"><plugin-info><version>1</version>'
    )
    body = f"{text}</plugin-info></p>".encode("latin-1")
    found = marked(body, SIGN, "1.1")
    assert b"<version>1.1</version>" in found
    assert "ü".encode("latin-1") in found
    assert mark_in(found.decode("latin-1")) == SIGN
    assert mark_in("none") is None


SOURCE = """\
<p key="${k}">
  <plugin-info>
    <vendor name="${w}"/><version>${v}</version><description>${d} (${v})</description>
  </plugin-info>
  <m key="a" class="x.${c}"/><m key="b" name="${n}${v}"/>
  <m key="${o}-x" name="1"/><m key="${o}-y"/>
</p>
"""
CAME_OUT = """\
<p key="com.acme">
  <plugin-info>
    <vendor name="Acme"/><version>1.0</version><description>Says (1.0)</description>
  </plugin-info>
  <m key="b" name="q1.0"/><m key="new"/><m key="a" class="x.Y"/>
</p>
"""


def test_what_maven_put_in_is_read_off() -> None:
    """By module and element, however the source has changed since."""
    source, came_out = parse_bytes(SOURCE.encode()), parse_bytes(CAME_OUT.encode())
    assert source is not None
    assert came_out is not None
    found = align.recovered(source, came_out)
    assert found == {"k": "com.acme", "v": "1.0", "d": "Says", "c": "Y", "w": "Acme"}


@pytest.mark.parametrize(
    ("written", "came_out", "expected"),
    [
        ("${a}-${b}!", "1-2!", {"a": "1", "b": "2"}),
        ("v${a}, ${b}, ${a}", "v1, 2, 1", {"a": "1", "b": "2"}),
        ("v${a}, ${a}", "v1, 2", {}),
        ("${a}-${b}", "1-2-3", {}),
        ("${a}${b}", "12", {}),
        ("${a} is", "is", {}),
        ("aba${x}aba", "aba", {}),
        ("${a}", "${other}", {}),
        ("${a}x" * 60 + "y", "x" * 2000, {}),
    ],
)
def test_only_what_leaves_no_doubt_is_read_off(
    written: str, came_out: str, expected: Mapping[str, str]
) -> None:
    """Where a text stands twice nobody knows what was put in; that is found out in no time."""
    assert align.recovered(saying(written), saying(came_out)) == expected


@given(st.lists(st.sampled_from(["${a}", "${b}", "-", "x", "y"])), st.text("xy12", min_size=1))
def test_what_is_read_off_fits(parts: list[str], value: str) -> None:
    """Put in again, it makes the very text it was read off."""
    written = "".join(parts)
    came_out = written.replace("${a}", value).replace("${b}", "z")
    found = align.recovered(saying(written), saying(came_out))
    if found:
        assert fill(written, found) == came_out


def test_a_class_path_that_names_a_jar_over_and_over() -> None:
    """It is looked into once, and all of them together no further than is good."""
    inner = jar({"com/acme/Inner.class": b"\0" * (20 << 20)})
    names = ("lib/a.jar", "lib/b.jar", "lib/c.jar", "lib/d.jar")
    path = {**BUNDLE, "Bundle-ClassPath": ",".join((*names, *["lib/a.jar"] * 20_000))}
    entries = {"atlassian-plugin.xml": FILLED.encode(), **dict.fromkeys(names, inner)}
    found = carry.built(archive(jar(entries, path)))
    assert isinstance(found, Built)
    assert "com.acme.Inner" in found.classes


@pytest.mark.parametrize(
    ("source", "entry", "expected"),
    [
        (b"a=${v}", b"a=1", How.FILTERED),
        (b"a=${v}", b"a=${v}", How.COPIED),
        (b"a=${v}\nb=2", b"a=1", How.FILTERED),
        (b"x()\ny()\nz()\nw()", b"x()\ny()\nz()", How.COPIED),
        (b"var a = 1;\nvar b = 2;\nvar c = 3;\nvar d;", b"var a=1,b=2,c=3,d;", None),
        (b"a\nb\nc\nd", b"e\nf\ng\nh", None),
    ],
)
def test_what_the_build_did_with_a_file(source: bytes, entry: bytes, expected: How | None) -> None:
    """Copied, filtered, or made into something else."""
    assert filtered.likely("a.js", source, entry, {"v": "1"}) is expected


def test_xml_that_the_sdk_has_minified_is_known() -> None:
    """Comments and white space are gone from it, and a host reads the source all the same."""
    source = b"<p>\n  <!-- a -->\n  <m key='a'\n     name='${v}' />\n  <n/>\n  <o>x</o>\n</p>\n"
    entry = b"<p><m key='a' name='1'/><n/><o>y</o></p>"
    assert filtered.likely("a.xml", source, entry, {"v": "1"}) is How.FILTERED
    assert filtered.likely("a.xml", source, b"<q><r/><s/><t/><u/></q>", {"v": "1"}) is None


def test_comments_that_never_end_take_no_time() -> None:
    """A mebibyte of them was minutes once."""
    source = b"<p><a/><b/><c/></p>" + b"<!--" * 250_000
    assert filtered.likely("a.xml", source, b"<p><a/><b/><c/></p>", {}) is How.COPIED


def test_the_twins_of_a_script() -> None:
    """What the SDK's minifier puts beside it; a minified file has none."""
    assert filtered.twins("js/a.js") == ("js/a-min.js", "js/a.min.js")
    assert filtered.twins("js/a-min.js") == filtered.twins("a.soy") == ()


@pytest.mark.parametrize(
    ("one", "other", "older"),
    [
        ("1.0", "1.1", True),
        ("1.10", "1.9", False),
        ("1.0-SNAPSHOT", "1.0", True),
        ("1.0", "1.0", False),
        ("1.0", "1.0.0", False),
        ("2", "10", True),
    ],
)
def test_which_version_is_older(one: str, other: str, older: bool) -> None:
    """As the framework counts."""
    assert is_older(one, other) is older


@given(st.text(max_size=12), st.text(max_size=12))
def test_two_versions_are_never_both_the_older(one: str, other: str) -> None:
    """Whatever they say."""
    assert not (is_older(one, other) and is_older(other, one))
