"""No template, whoever wrote it, costs more than two seconds and 300 MB, or gets out of its box.

Each hostile template is rendered in a child of its own, whose processor time and memory are what
the kernel says it took.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.descriptor.fuel import UNITS, Exceeded, Fuel
from devserver.descriptor.template import Failure, Rendering, Wanted, render

NAME = "a.xml.j2"
SECONDS = 2.0
MEGABYTES = 300

LAUGHS = (
    "{% set ns = namespace(x=['ha'], y=['ha']) %}{% for i in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}"
)
"""Two lists of equal content whose text would be 2^60 words long."""
TUPLES = (
    "{% set ns = namespace(x=('ha',)) %}{% for i in range(60) %}"
    "{% set ns.x = (ns.x, ns.x) %}{% endfor %}"
)
KEEP = "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}"
GROW = "{% set ns = namespace(s='aaaaaaaaaa') %}{% for i in range(99) %}"
OFTEN = "{% set s = 'a' * 1000000 %}{% set t = 'a' * 1000000 %}{% for i in range(99999) %}"
NAMES = "".join(f"{{% set a{i} = 1 %}}" for i in range(3000))
M61 = 2**61 - 1
SMILE = "\U0001f600"

EXCEEDING = {
    # One operation that would build a gigabyte
    "times": "{{ 'a' * 10**9 }}",
    "times a list": "{{ [0] * 10**9 }}",
    "times from the left": "{{ 10**9 * 'a' }}",
    "center": "{{ 'a'|center(10**9) }}",
    "center method": "{{ 'a'.center(10**9) }}",
    "ljust": "{{ 'a'.ljust(10**9) }}",
    "zfill": "{{ 'a'.zfill(10**9) }}",
    "expandtabs": "{{ ('\t' * 1000).expandtabs(tabsize=10**7) }}",
    "replace": "{{ ('a' * 100000)|replace('a', 'b' * 100000) }}",
    "replace nothing": "{{ ('a' * 100000)|replace('', 'b' * 100000) }}",
    "replace in markup": "{{ ('a' * 100000)|safe|replace('a', 'b' * 100000) }}",
    "replace method": "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "join": "{{ ('a' * 100000)|list|join('b' * 100000) }}",
    "join method": "{{ ('b' * 100000).join(('a' * 100000)|list) }}",
    "join of what is yet to be made": "{{ range(99999)|map('center', 9999)|join }}",
    "integers in another base": "{% set a = ('f' * 1000000)|int(base=16) %}"
    "{% set b = ('f' * 500000)|int(base=16) %}{{ a is divisibleby(b) }}",
    "an integer of base 32": "{{ ('v' * 2000)|int(base=32) is odd }}",
    "maps of maps": "{% set ns = namespace(x=[1]) %}{% for i in range(60000) %}"
    "{% set ns.x = ns.x|map('abs') %}{% endfor %}",
    "percent width": "{{ '%1000000000d' % 1 }}",
    "percent star": "{{ '%*d' % (10**9, 1) }}",
    "percent precision": "{{ '%.1000000000f' % 1.0 }}",
    "percent key": "{{ '%(a((b)))1000000000d' % {'a((b))': 1} }}",
    "percent flags": "{{ '%- +#01000000000d' % 1 }}",
    "format filter": "{{ '%1000000000d'|format(1) }}",
    "format": "{{ '{:1000000000}'.format(1) }}",
    "format nested": "{{ '{:{}}'.format(1, 10**9) }}",
    "format precision": "{{ '{:.1000000000f}'.format(1.0) }}",
    "format_map": "{{ '{a:1000000000}'.format_map({'a': 1}) }}",
    "format of markup": "{{ ('{:1000000000}'|safe).format(1) }}",
    "indent": "{{ ('a\n' * 10000)|indent(10**6) }}",
    "indent by text": "{{ ('a\n' * 100000)|indent('b' * 100000) }}",
    "wordwrap": "{{ ('-' * 400000)|wordwrap(10) }}",
    "wordwrap narrow": "{{ ('a' * 400000)|wordwrap(1) }}",
    "wordwrap between": "{{ ('a ' * 4000)|wordwrap(1, wrapstring='b' * 100000) }}",
    "batch": "{{ [1]|batch(10**9, 0)|list }}",
    "slice": "{{ [1]|slice(10**9)|list }}",
    "tojson": "{{ range(1000)|list|tojson(indent=10**7) }}",
    "pprint": "{% set ns = namespace(x=[1]) %}{% for i in range(300) %}"
    "{% set ns.x = {'a' * 1000: ns.x, 'b': 1} %}{% endfor %}{{ ns.x|pprint }}",
    "round": "{{ 1|round(-10**9) }}",
    "round up": "{{ 1.5|round(10**9, 'ceil') }}",
    "sum of lists": "{{ ([[1] * 1000] * 2000)|sum(start=[])|length }}",
    "truncate": "{{ 'a'|truncate(5, end='b' * 10**8) }}",
    "range": "{{ range(10**12)|list }}",
    "power": "{{ (10**9)**(10**9) }}",
    "power of powers": "{% set ns = namespace(x=3) %}{% for i in range(100) %}"
    "{% set ns.x = ns.x * ns.x %}{% endfor %}",
    # Growth by doubling
    "doubling ~": GROW + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "doubling +": GROW + "{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "doubling set": GROW
    + "{% set x %}{{ ns.s }}{{ ns.s }}{% endset %}{% set ns.s = x %}{% endfor %}",
    "doubling format": GROW + "{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}",
    "doubling lists": GROW + "{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}",
    "doubling macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}"
    "{% endmacro %}{{ m(60) }}",
    "doubling calls": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call m() %}" * 15
    + "x" * 10000
    + "{% endcall %}" * 15,
    # Billion laughs of lists: whatever walks them has to stop
    "laughs shown": LAUGHS + "{{ ns.x }}",
    "laughs string": LAUGHS + "{{ ns.x|string }}",
    "laughs tojson": LAUGHS + "{{ ns.x|tojson }}",
    "laughs ~": LAUGHS + "{{ ns.x ~ 1 }}",
    "laughs percent": LAUGHS + "{{ '%s' % (ns.x,) }}",
    "laughs format": LAUGHS + "{{ '{}'.format(ns.x) }}",
    "laughs format r": LAUGHS + "{{ '{!r:>5}'.format(ns.x) }}",
    "laughs ==": LAUGHS + "{{ ns.x == ns.y }}",
    "laughs eq": LAUGHS + "{{ ns.x is eq ns.y }}",
    "laughs in": LAUGHS + "{{ ns.x in [ns.y] }}",
    "laughs index": LAUGHS + "{{ [ns.x].index(ns.y) }}",
    "laughs sort": LAUGHS + "{{ [ns.x, ns.y]|sort }}",
    "laughs urlencode": LAUGHS + "{{ {'a': ns.x}|urlencode }}",
    "laughs xmlattr": LAUGHS + "{{ {'a': ns.x}|xmlattr }}",
    "laughs item": LAUGHS + "{{ {}[ns.x] }}",
    "laughs namespaces": "{% set ns = namespace(x=['ha']) %}{% for i in range(60) %}"
    "{% set ns.x = namespace(a=ns.x, b=ns.x) %}{% endfor %}{{ [ns.x]|string }}",
    "laughs changed": LAUGHS
    + "{% for i in [1, 2] %}{{ loop.changed(ns.x if i == 1 else ns.y) }}{% endfor %}",
    "laughs hashed": TUPLES + "{{ {ns.x: 1} }}",
    "laughs hashed item": TUPLES + "{{ {}[ns.x] }}",
    "laughs hashed get": TUPLES + "{{ {}.get(ns.x) }}",
    "laughs unique": TUPLES + "{{ [ns.x]|unique|list|length }}",
    "laughs as a filter": TUPLES + "{{ [1]|map(ns.x)|list }}",
    "nested in depth": "{% set ns = namespace(x=()) %}{% for i in range(20000) %}"
    "{% set ns.x = (ns.x,) %}{% endfor %}{{ {ns.x: 1}|length }}",
    "a namespace within itself": "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ [ns] }}",
    # Loops and recursion
    "nested loops": "{% for a in range(99999) %}{% for b in range(99999) %}"
    "{% for c in range(99999) %}{% endfor %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for a in range(99999) %}{% for b in range(99999) if false %}"
    "{% endfor %}{% endfor %}",
    "recursive loop": "{% for a in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "wide recursive loop": "{% for a in range(99999) recursive %}{{ loop(range(99999)) }}"
    "{% endfor %}",
    "recursive macro": "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "recursive block": "{% block b %}{{ self.b() }}{{ self.b() }}{% endblock %}",
    "costly defaults": "{% macro m(a=[" + "0, " * 9000 + "]) %}{% endmacro %}"
    "{% for i in range(99999) %}{{ m() }}{% endfor %}",
    "elifs": "{% for i in range(99999) %}{% if 0 %}"
    + "{% elif 0 %}" * 2000
    + "{% endif %}{% endfor %}",
    "includes itself": "{% include 'a.xml.j2' %}",
    "includes itself twice": "x{% include 'a.xml.j2' %}{% include 'a.xml.j2' %}",
    "extends itself": "{% extends 'a.xml.j2' %}",
    "imports itself": "{% import 'a.xml.j2' as a %}",
    "includes large": "{% for i in range(99999) %}{% include 'large.j2' %}{% endfor %}",
    "output": "{% for i in range(99999) %}" + "x" * 1000 + "{% endfor %}",
    "lazy filters in each other": "{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}"
    "{% set ns.x = ns.x|map('int') %}{% endfor %}{{ ns.x|list }}",
    "many arguments": "{% macro m() %}{{ varargs|length }}{% endmacro %}"
    "{% for i in range(99999) %}{{ m(*range(99999)) }}{% endfor %}",
    "scoped blocks": "".join(f"{{% set a{i} = 1 %}}" for i in range(900))
    + "{% for i in range(99999) %}{% block b scoped %}{% endblock %}{% endfor %}",
    # Cheap to write, costly each time
    "slices": OFTEN + "{% set u = s[1:] %}{% endfor %}",
    "compares": OFTEN + "{% if s == t %}{% endif %}{% endfor %}",
    "contains": OFTEN + "{% if 'b' in s %}{% endif %}{% endfor %}",
    "contains a range": "{% for i in range(99999) %}{{ 'a' in range(99999) }}{% endfor %}",
    "upper": OFTEN + "{% set u = s|upper %}{% endfor %}",
    "count": OFTEN + "{% set u = s.count('b') %}{% endfor %}",
    "title": "{% for i in range(9999) %}{{ ('a ' * 100000)|title|length }}{% endfor %}",
    "striptags": "{% for i in range(9999) %}{{ ('&ampx' * 10000)|striptags }}{% endfor %}",
    "urlencode": f"{{% for i in range(9999) %}}{{{{ ('{SMILE}' * 10000)|urlencode|length }}}}"
    "{% endfor %}",
    "strip": "{% set s = 'a' * 1000000 %}{{ s.strip('b' * 1000000 ~ 'a')|length }}",
    "trim": "{% set s = 'a' * 1000000 %}{{ s|trim('b' * 1000000 ~ 'a')|length }}",
    "attributes": "{{ range(99999)|map(attribute='real.' * 1000 ~ 'real')|list }}",
    "colliding hashes": f"{{{{ range(0, {M61} * 99999, {M61})|unique|list|length }}}}",
    "colliding constants": "{{ [" + ",".join(str(M61 * i) for i in range(9000)) + "]|length }}",
    # Keeping everything
    "keep lists": KEEP + "{% set ns.x = [ns.x" + ", []" * 20 + "] %}{% endfor %}",
    "keep dicts": KEEP + "{% set ns.x = [ns.x" + ", {1: 1}" * 20 + "] %}{% endfor %}",
    "keep characters": KEEP + f"{{% set ns.x = [ns.x, '{SMILE * 500}'|list] %}}{{% endfor %}}",
    "keep strings": KEEP + f"{{% set ns.x = [ns.x, '{SMILE}' * 1000] %}}{{% endfor %}}",
    "keep escapes": KEEP + f"{{% set ns.x = [ns.x, ('{SMILE}' ~ '&' * 250)|e] %}}{{% endfor %}}",
    "keep batches": KEEP + "{% set ns.x = [ns.x, range(9999)|batch(1)|list] %}{% endfor %}",
    "keep numbers": KEEP + "{% set ns.x = [ns.x, range(1000, 9999)|list] %}{% endfor %}",
    "keep undefined": KEEP + "{% set ns.x = [ns.x, a, b, c, d, e, f, g] %}{% endfor %}",
    "keep namespaces": KEEP + "{% set ns.x = [ns.x, namespace(a=1)] %}{% endfor %}",
    "keep macros": KEEP + "{% macro m() %}{% endmacro %}{% set ns.x = [ns.x, m] %}{% endfor %}",
    "keep modules": KEEP + "{% import 'empty.j2' as m %}{% set ns.x = [ns.x, m] %}{% endfor %}",
    "keep methods": KEEP + "{% set ns.x = [ns.x, 'a'.upper, 'a'.format, joiner()] %}{% endfor %}",
    "keep parts": f"{{% set d = '{SMILE}a {SMILE}b ' * 5000 %}}"
    + KEEP
    + "{% set ns.x = [ns.x, d.split()] %}{% endfor %}",
    "keep escaped output": "{% set x %}{% for i in range(99999) %}"
    f"{{{{ '{SMILE}' ~ '&' * 250 }}}}{{% endfor %}}{{% endset %}}",
    # Getting something back
    "centring by less than nothing": "{% for i in range(99999) %}{% set x = 'a'.center(-10**15) %}"
    "{% set x = 'a'.expandtabs(-10**15) %}{% set x = 'a' * -10**15 %}{% endfor %}"
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    # Already too much to compile
    "parentheses": "{{ " + "(" * 100000 + "1" + ")" * 100000 + " }}",
    "nots": "{{ " + "not " * 100000 + "1 }}",
    "minuses": "{{ " + "-" * 100000 + "1 }}",
    "sums": "{{ 1" + " + 1" * 20000 + " }}",
    "dots": "{{ a" + ".a" * 20000 + " }}",
    "calls": "{{ a" + "()" * 20000 + " }}",
    "lists": "{{ " + "[" * 50000 + "]" * 50000 + " }}",
    "ifs": "{% if 1 %}" * 5000 + "{% endif %}" * 5000,
    "fors": "{% for i in [1] %}" * 25 + "{% endfor %}" * 25,
    "many expressions": "{{ a.b(c)|e }}" * 100000,
    "many comments": "x{#.#}" * 300000,
    "many names and includes": NAMES + "{% include 'empty.j2' %}" * 3000,
    "many names and ifs": NAMES + "{% if a %}{% endif %}" * 3000,
    "many macros": "{% macro m(a) %}x{% endmacro %}" * 9000,
    "a large number": "{{ 0x" + "f" * 4_000_000 + " % 7 }}",
}

OTHERWISE = {
    "a large decimal": ("{{ " + "9" * 400_000 + " }}", "T001"),
    "a string of escapes": ("{{ '" + "\\'" * 1_000_000 + " }}", "T001"),
    "comments that never end": ("{#" * 500_000, "T001"),
    "tags that never end": ("{%" * 500_000, "T001"),
    "raw that never ends": ("{% raw %}" + "{% " * 500_000, "T001"),
    "white space": ("{% " + " " * 2_000_000 + "raw", "T001"),
    "formatting by a test": ("{{ '%1000000000d' is odd }}", "T007"),
    "formatting by another test": ("{{ '%1000000000d' is divisibleby 3 }}", "T007"),
    "bytes of a number": ("{{ (1).to_bytes(10**9, 'big') }}", "T006"),
    "fromkeys": ("{{ {}.fromkeys(range(99999)) }}", "T006"),
    "translate": ("{{ ('a' * 100000).translate({97: 'b' * 100000}) }}", "T006"),
    "a slow codec": ("{{ ('a' * 10**6).encode('punycode') }}", "T006"),
    "laughs called": (LAUGHS + "{{ ns.x() }}", "T006"),
    "a list changed in place": ("{{ [1]|indent }}", "T007"),
    "an attribute of Python's": ("{{ namespace(__html__='a'.upper) }}", "T007"),
}


HOST = """
import json, os, resource, sys, time
from devserver.descriptor.template import Failure, render

for line in sys.stdin:
    template = json.loads(line)
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps([f"died of {status}", 0, 0]), flush=True)
        continue
    resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
    files = {"a.xml.j2": template.encode(), "empty.j2": b"", "large.j2": b"x" * 1_000_000}
    started = time.process_time()
    result = render(files, "a.xml.j2", {})
    took = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    words = type(result).__name__
    if isinstance(result, Failure):
        words = f"{result.diagnostics[0].code} {result.diagnostics[0].position.line}"
    print(json.dumps([words, took, peak]), flush=True)
    os._exit(0)
"""
"""Renders each template it is told in a child of its own, and says what the kernel counted."""


@dataclass(frozen=True, slots=True)
class Cost:
    result: str
    seconds: float
    megabytes: float


@pytest.fixture(scope="module")
def cost() -> Iterator[Callable[[str], Cost]]:
    """What rendering a template comes to, and what it takes."""
    with subprocess.Popen(
        [sys.executable, "-c", HOST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={},  # measured without coverage
    ) as host:

        def ask(template: str) -> Cost:
            assert host.stdin is not None
            assert host.stdout is not None
            host.stdin.write(json.dumps(template) + "\n")
            host.stdin.flush()
            return Cost(*json.loads(host.stdout.readline()))

        yield ask
        host.communicate()


@pytest.mark.parametrize("template", EXCEEDING.values(), ids=EXCEEDING.keys())
def test_what_costs_too_much_is_refused(template: str, cost: Callable[[str], Cost]) -> None:
    """T005 at the line it is on, long before it takes two seconds or 300 MB."""
    found = cost("\n" + template.replace("\n", "\\n"))

    assert found.result == "T005 2"
    assert found.seconds < SECONDS
    assert found.megabytes < MEGABYTES


@pytest.mark.parametrize(("template", "code"), OTHERWISE.values(), ids=OTHERWISE.keys())
def test_what_is_wrong_in_another_way_costs_no_more(
    template: str, code: str, cost: Callable[[str], Cost]
) -> None:
    """Broken and forbidden templates end in their own diagnostic within the same bounds."""
    found = cost(template)

    assert found.result.startswith(f"{code} ")
    assert found.seconds < SECONDS
    assert found.megabytes < MEGABYTES


HERE = [name for name, template in EXCEEDING.items() if name.split()[0] not in ("keep", "many")]


@pytest.mark.parametrize(
    "name", [*HERE[:50:2], "laughs hashed", "laughs namespaces", "parentheses"]
)
def test_a_refusal_is_the_same_here(name: str) -> None:
    """What the child says is what the function returns: one diagnostic, with what to do."""
    result = render({NAME: EXCEEDING[name].encode()}, NAME, {})

    assert isinstance(result, Failure)
    (diagnostic,) = result.diagnostics
    assert diagnostic.code == "T005"
    assert diagnostic.position.column > 1
    assert diagnostic.fix


LARGE = (
    "{% for m in modules %}\n<web-item key='{{ m.key }}' name='{{ m.name|upper }}'>\n"
    "  <label key='{{ m.key }}.label'/>\n  <link>{{ base }}/{{ m.key|replace('-', '/') }}</link>\n"
    "</web-item>\n{% endfor %}"
)


def test_a_large_descriptor_is_well_within_the_bounds() -> None:
    """Ten thousand modules, 1.5 MB: rendered, in less than half of what a rendering may cost."""
    modules = [{"key": f"item-{i}", "name": f"Item {i}"} for i in range(10_000)]
    result = render({NAME: LARGE.encode()}, NAME, {"modules": modules * 2, "base": "http://h"})

    assert isinstance(result, Rendering)
    assert len(result.text) > 2_000_000


def test_what_a_rendering_costs_does_not_depend_on_what_is_remembered() -> None:
    """The same template is refused at the same place, compiled before or not."""
    template = "{% for i in range(99999) %}{{ i }}{% include 'empty.j2' %}{% endfor %}{{ 1 }}"
    files = {NAME: (template * 2).encode(), "empty.j2": b""}
    first = render(files, NAME, {})

    assert isinstance(first, Failure)
    assert render(files, NAME, {}) == first


def test_asking_for_ever_more_files_ends() -> None:
    """A loop over names nobody has is refused once a thousand were asked for in vain."""
    template = "{% for i in range(99999) %}{% include i ~ '.j2' ignore missing %}{% endfor %}"
    result = render({NAME: template.encode()}, NAME, {})
    assert isinstance(result, Failure)
    assert result.diagnostics[0].code == "T005"

    some = template.replace("99999", "900")
    result = render({NAME: some.encode()}, NAME, {})
    assert isinstance(result, Wanted)
    assert len(result.names) == 900


NEARLY = {
    "expressions": "{% set a = 1 %}" + "<a k='{{ a }}'/>\n" * 15_500,
    "calls": "{% set a = 'a' %}" + "{{ a.upper()|e }}\n" * 3_900,
    "macros": "{% macro m(a) %}x{% endmacro %}" * 2_600,
    "includes": "{% include 'empty.j2' %}" * 5_000,
    "ifs": "{% if 1 %}x{% endif %}" * 5_000,
}


@pytest.mark.parametrize("template", NEARLY.values(), ids=NEARLY.keys())
def test_what_is_nearly_too_much_stays_in_bounds(
    template: str, cost: Callable[[str], Cost]
) -> None:
    """The largest templates that are compiled at all take no more than a refusal may."""
    found = cost(template)

    assert found.result == "Rendering"
    assert found.seconds < SECONDS
    assert found.megabytes < MEGABYTES


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_a_template_of_megabytes_without_tags(ending: str, cost: Callable[[str], Cost]) -> None:
    """Half a million lines are read, compiled and written in bounds, whatever ends them."""
    found = cost(f"<a/> <b/> <c/>{ending}" * 450_000)

    assert found.result == "Rendering"
    assert found.seconds < SECONDS
    assert found.megabytes < MEGABYTES


def test_fuel_that_is_used_up_stays_used_up() -> None:
    """A template that swallows one refusal meets the next."""
    fuel = Fuel()
    fuel.spend(UNITS)
    for _ in range(2):
        with pytest.raises(Exceeded):
            fuel.spend(1)


NAMED = "x n 'a' 1 0.5 none items d u m ns 10**9 '%s' loop"
OPERATORS = "+ - * ** / // % ~ in =="
FILTERS = """
    list join upper length tojson sort unique first sum int string safe e reverse batch(2) trim
    center(9) indent map('string') attr('x') default(1) round(2) xmlattr dictsort items format(1)
    select replace('a','b') groupby('x') truncate(3) wordwrap(3)
"""
MEMBERS = "x key upper() items() __class__ format(1)"
TESTS = ("odd", "defined", "string", "divisibleby 2", "iterable")

EXPRESSIONS = st.recursive(
    st.sampled_from(NAMED.split()),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS.split()), inner),
        st.builds("{}|{}".format, inner, st.sampled_from(FILTERS.split())),
        st.builds("{}.{}".format, inner, st.sampled_from(MEMBERS.split())),
        st.builds("{} is {}".format, inner, st.sampled_from(TESTS)),
        st.builds("{}[{}]".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{{{}: {}}}".format, inner, inner),
        inner.map("{}()".format),
        inner.map("m({})".format),
        inner.map("{}[1:]".format),
    ),
    max_leaves=8,
)


@given(expression=EXPRESSIONS)
@settings(max_examples=150, deadline=None)
def test_whatever_an_expression_provokes_is_a_diagnostic(expression: str) -> None:
    """No combination of operators, filters and calls gets an exception out, or no place."""
    template = (
        "{% macro m(a) %}{{ a }}{% endmacro %}{% set ns = namespace(x=1) %}\n"
        f"{{% for loop_ in items %}}{{{{ {expression} }}}}{{% endfor %}}"
    )
    variables = {"x": "text", "n": 3, "items": [1, 2], "d": {"key": "<v>", "x": [1]}}
    result = render({NAME: template.encode()}, NAME, variables)

    assert isinstance(result, Rendering | Failure)
    if isinstance(result, Failure):
        (diagnostic,) = result.diagnostics
        assert diagnostic.position.file == NAME
        assert diagnostic.position.line in (1, 2)
        assert diagnostic.message


@given(st.text(st.sampled_from("{}%#-+ \n'\"ab.|()[]=~if for set in end"), max_size=60))
@settings(max_examples=150, deadline=None)
def test_whatever_text_is_a_template_or_a_diagnostic(text: str) -> None:
    """Garbage between braces is told with a place that exists, never a crash."""
    result = render({NAME: text.encode()}, NAME, {"a": 1, "b": [1]})

    if isinstance(result, Failure):
        for diagnostic in result.diagnostics:
            assert 1 <= diagnostic.position.line <= text.count("\n") + 1
            assert diagnostic.position.column >= 1


def test_what_only_generated_code_calls_has_no_name() -> None:
    """A template cannot call it by `map`, with or without a negative number to gain by."""
    result = render({NAME: b"{{ [-10**9]|map('(spend)')|list }}"}, NAME, {})

    assert isinstance(result, Failure)
    assert "No filter named" in result.diagnostics[0].message


def test_a_negative_width_gives_nothing_back() -> None:
    """The text as it is, at no less than its own cost."""
    result = render({NAME: b"{{ 'x'.center(-10**11) }}"}, NAME, {})

    assert isinstance(result, Rendering)
    assert result.text == "x"
