"""What a rendering may cost: work is counted and paid for before it is done.

No clock and no signal bounds a rendering, so that the same files always give the same answer. A
*unit* is some 50 ns of work and 20 bytes of memory, whichever is more, measured where a template
gets most out of it: one step of the generated code, four characters of text, a place in a list;
twelve for an attribute, sixty for a call. So `UNITS` bound a rendering to half a second and 200 MB.
"""

from collections import deque
from collections.abc import Collection, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from typing import Any, Final

from jinja2.environment import TemplateModule
from jinja2.runtime import Undefined
from jinja2.utils import Cycler, Joiner, Namespace
from markupsafe import Markup

UNITS: Final = 6_000_000
"""A descriptor of 80 kB with 400 modules takes some 85,000."""
DEPTH: Final = 100
"""Macros, includes, blocks and recursive loops within each other."""
NESTED: Final = 200
"""Lists within lists."""
BITS: Final = 4096
"""The largest integer that arithmetic touches."""
HASHABLE_BITS: Final = 60
"""Integers of more can be made to share one hash, and a dictionary of such is quadratic."""
RANGE: Final = 100_000
NODES: Final = 16_000
"""Expressions and tags of all templates of a rendering: Python takes some 60 µs to compile each."""

_TOO_LARGE: Final = f"the template computes with integers of more than {BITS} bits"
_CHARACTERS: Final = 4
_NODE: Final = 12
_COLLIDING: Final = 2000
_SWELL: Final = 4
"""What escaping adds to each of `& < > " '`, at most."""


class Exceeded(Exception):
    """The template asks for more than a rendering may cost; says what of."""


class TooLarge(Exceeded):
    """The template itself is more than may be compiled; `offset` is where it becomes so."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Fuel:
    """What is left of one rendering's allowance. Once it is used up, it stays so."""

    __slots__ = ("_left", "_nodes", "depth")

    def __init__(self, units: int = UNITS) -> None:
        self._left = units
        self._nodes = NODES
        self.depth = 0

    @property
    def left(self) -> int:
        return self._left

    def spend(self, units: int) -> None:
        """Pay for *units* of work. Raises Exceeded where there are not as many left."""
        left = self._left - units
        if not 0 <= left <= self._left:  # nor is anything ever given back
            self._left = -1
            raise Exceeded("the template does more work, or builds more text, than a rendering may")
        self._left = left

    def text(self, characters: int) -> None:
        self.spend(characters // _CHARACTERS)

    def compile(self, nodes: int, characters: int) -> None:
        """Pay for compiling a template, which costs the same whether it is remembered or not."""
        self._nodes -= nodes
        if self._nodes < 0:
            raise Exceeded(f"the templates hold more than {NODES:,} expressions and tags")
        self.text(characters)

    def enter(self) -> None:
        """Go one level deeper; whoever enters leaves."""
        self.depth += 1
        if self.depth > DEPTH:
            raise Exceeded(
                f"macros, includes or blocks call each other more than {DEPTH} levels deep"
            )

    def leave(self) -> None:
        self.depth -= 1

    def weigh(self, value: object, *, swell: bool = False, times: int = 1) -> int:
        """Pay for walking the whole of *value*, as `str`, `==` or `hash` would; return the units.

        A value that holds the same list many times is walked as often, as those would. *swell*: it
        is for its text, which may be escaped (and which an undefined value within has none of).
        *times*: how often it is walked.
        """
        kind = type(value)
        if kind is str or kind is Markup:
            units = 1 + _characters(value, swell) // _CHARACTERS  # type: ignore[arg-type]
        elif value is None or kind is bool or kind is float:
            units = 1
        elif kind is int:
            units = _integer(value)  # type: ignore[arg-type]
        else:
            return self._walk(value, swell, times)
        self.spend(units * times)
        return units

    def _walk(self, root: object, swell: bool, times: int) -> int:
        total = depth = 0
        level: list[object] = [root]
        while level:
            below: list[object] = []
            for value in level:
                kind = type(value)  # not isinstance: that asks the value itself for its class
                units = _NODE
                if issubclass(kind, str):
                    units += _characters(value, swell) // _CHARACTERS  # type: ignore[arg-type]
                elif issubclass(kind, int):
                    units += _integer(value)  # type: ignore[arg-type]
                elif issubclass(kind, range | bytes | bytearray):
                    units += len(value)  # type: ignore[arg-type]
                elif (parts := _parts(value, kind)) is not None:
                    units += len(parts)
                    below += parts
                elif swell and depth and issubclass(kind, Undefined):
                    value._fail_with_undefined_error()  # type: ignore[attr-defined]
                self.spend(units * times)
                total += units
            depth += 1
            if depth > NESTED:  # hash has no limit of its own but the stack
                raise Exceeded(f"a value is nested more than {NESTED} levels deep")
            level = below
        return total

    def paced(self, items: Iterable[object], units: int) -> Iterator[object]:
        """The same items, each paid for when it is taken."""
        for item in items:
            self.spend(units)
            yield item


def swollen(text: str) -> int:
    """How many characters *text* has at most once it is escaped."""
    if isinstance(text, Markup):
        return len(text)
    return len(text) + _SWELL * sum(map(text.count, "&<>\"'"))


def _characters(text: str, swell: bool) -> int:
    return swollen(text) if swell else len(text)


def _integer(value: int) -> int:
    bits = value.bit_length()
    if bits <= HASHABLE_BITS:
        return 1
    if bits > BITS:
        raise Exceeded(_TOO_LARGE)
    return 1 + bits // 16 + _COLLIDING


def _parts(value: Any, kind: type) -> Collection[object] | None:
    """What a value's text, hash or equality is made of; None for what has no parts."""
    if issubclass(kind, list | tuple):
        return value  # type: ignore[no-any-return]
    if issubclass(kind, Namespace):
        value = object.__getattribute__(value, "_Namespace__attrs")
        kind = dict
    if issubclass(kind, Mapping):
        return [*value.keys(), *value.values()]
    if issubclass(kind, set | frozenset | deque | KeysView | ValuesView):
        return list(value)
    if issubclass(kind, ItemsView):
        return [part for item in value for part in item]
    if issubclass(kind, Cycler):
        return value.items  # type: ignore[no-any-return]
    if issubclass(kind, Joiner):
        return [value.sep]
    if issubclass(kind, TemplateModule):
        return list(value._body_stream)
    return None


def pay_for_operator(fuel: Fuel, operator: str, left: object, right: object) -> None:
    """Pay for `left operator right`, by what it will build."""
    if isinstance(left, int) and isinstance(right, int):
        _pay_for_integers(fuel, operator, left, right)
    elif isinstance(left, float | int) and isinstance(right, float | int):
        fuel.spend(1)
    elif operator == "%" and isinstance(left, str):
        pay_for_percent(fuel, left, right)
    elif operator == "*" and (isinstance(left, int) or isinstance(right, int)):
        sequence, count = (right, left) if isinstance(left, int) else (left, right)
        size = len(sequence) if hasattr(sequence, "__len__") else 1
        size *= max(0, count)  # type: ignore[call-overload]
        fuel.text(size) if isinstance(sequence, str) else fuel.spend(size)
    elif isinstance(left, list | tuple) and isinstance(right, list | tuple):
        fuel.spend(len(left) + len(right))
    else:
        fuel.weigh(left, swell=True)
        fuel.weigh(right, swell=True)


def _pay_for_integers(fuel: Fuel, operator: str, left: int, right: int) -> None:
    bits = max(left.bit_length(), right.bit_length())
    if operator == "**":
        bits = max(bits, left.bit_length() * max(0, right) if abs(left) > 1 else 1)
    elif operator == "*":
        bits = left.bit_length() + right.bit_length()
    if bits > BITS:
        raise Exceeded(_TOO_LARGE)
    fuel.spend(1)


def pay_for_percent(fuel: Fuel, pattern: str, values: object) -> None:
    """Pay for `pattern % values`: widths and precisions, and each value as often as it is shown."""
    fuel.spend(len(pattern))
    widths, stars, conversions = _conversions(pattern)
    if stars:
        widths += stars * _largest(values if isinstance(values, tuple) else (values,))
    fuel.text(widths)
    each_once = isinstance(values, tuple)
    fuel.weigh(values, swell=True, times=1 if each_once else max(1, conversions))


def _conversions(pattern: str) -> tuple[int, int, int]:
    """The sum of all widths and precisions in a `%` pattern; how many are `*`; how many in all.

    Reads as CPython's `unicode_format_arg_parse` does: `%`, `(key)` with its inner parentheses,
    flags, width, `.` precision.
    """
    widths = stars = conversions = 0
    at = pattern.find("%")
    while at >= 0:
        conversions += 1
        at += 1
        if pattern[at : at + 1] == "(":
            depth = 1
            at += 1
            while depth and at < len(pattern):
                depth += (pattern[at] == "(") - (pattern[at] == ")")
                at += 1
        while pattern[at : at + 1] in ("-", "+", " ", "#", "0", "."):
            at += 1
        for _ in range(2):  # width, then precision
            start = at
            while pattern[at : at + 1].isdecimal():
                at += 1
            if at > start:
                widths += int(pattern[start:at][:12])
            elif pattern[at : at + 1] == "*":
                stars += 1
                at += 1
            while pattern[at : at + 1] == ".":
                at += 1
        at = pattern.find("%", at + 1)
    return widths, stars, conversions


def _largest(values: Iterable[object]) -> int:
    return max((abs(value) for value in values if isinstance(value, int)), default=0)


def pay_for_spec(fuel: Fuel, value: object, spec: str) -> None:
    """Pay for `format(value, spec)`: the numbers in the spec are its width and precision."""
    widths = 0
    for number in "".join(c if c.isdecimal() else " " for c in spec).split():
        widths += int(number[:12])
    if not isinstance(value, str | int | float | complex):
        widths += 256 * len(spec)  # a date's strftime pads up to that
    fuel.text(widths)
    fuel.weigh(value, swell=True)
