"""A template's tokens for jinja2's parser, with offsets where it expects lines.

jinja2 knows lines. To know columns, its tokens are given their offset in the source where it keeps
their line; every place that comes out of it (an error, a node, a line of compiled code) is then an
offset. The lexer is jinja2's, but for how numbers and strings are matched: its own expressions
remember each digit and each escape of a token, which for one of a megabyte is a gigabyte.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from jinja2.environment import Environment
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import Lexer, Token, TokenStream

from devserver.descriptor.fuel import TooLarge
from devserver.descriptor.positions import Marks, Source

TOKENS: Final = 150_000
"""Of one template; each takes some 4 µs to be read and parsed."""

_AT_OFFSET: Final = re.compile(r" at (\d+)$")
_OPENING: Final = frozenset(
    {"block_begin", "variable_begin", "comment_begin", "raw_begin", "raw_end"}
)
_FRUGAL: Final = {
    "string": r"""'[^'\\]*+(?:\\.[^'\\]*+)*+'|"[^"\\]*+(?:\\.[^"\\]*+)*+\"""",
    "integer": r"0b[01_]++|0o[0-7_]++|0x[\da-f_]++|[1-9][\d_]*+|0[0_]*+",
    "float": r"(?<!\.)\d[\d_]*+(?:(?:\.\d[\d_]*+)?e[+-]?\d[\d_]*+|\.\d[\d_]*+)",
}


def _lexer() -> Lexer:
    lexer = Lexer(Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True))
    for state, rules in lexer.rules.items():
        lexer.rules[state] = [
            rule._replace(pattern=re.compile(_FRUGAL[rule.tokens], re.IGNORECASE | re.DOTALL))
            if isinstance(rule.tokens, str) and rule.tokens in _FRUGAL
            else rule
            for rule in rules
        ]
    return lexer


LEXER: Final = _lexer()


def tokens(source: Source, marks: Marks | None = None) -> TokenStream:
    """The template's tokens for jinja2's parser, with offsets where it expects lines."""
    stream = LEXER.wrap(located(source), source.name)
    return TokenStream(_written(stream, source, marks), source.name, None)


def _written(stream: Iterable[Token], source: Source, marks: Marks | None) -> Iterator[Token]:
    """The same tokens; text with its line ends as they were, and marks where there are to be."""
    capturing = _Capturing()
    for token in stream:
        marking = marks is not None and not (marks.sparing and capturing.sees(token))
        if token.type == "data":
            text = token.value
            if marking and marks is not None:
                text = marks.before_lines(source, token.lineno, text)
            yield Token(token.lineno, "data", source.written(token.lineno, text))
            continue
        if token.type == "variable_begin" and marking and marks is not None:
            yield Token(token.lineno, "data", marks.make(source, token.lineno))
        yield token


class _Capturing:
    """Whether a token stands where text is captured for the template's own use."""

    def __init__(self) -> None:
        self._depth = 0
        self._tag = ""
        self._before = ""

    def sees(self, token: Token) -> bool:
        if token.type == "name" and self._before == "block_begin":
            self._tag = token.value
        elif token.type == "assign" and self._tag == "set":
            self._tag = ""
        elif token.type == "block_end":
            if self._tag in ("set", "filter", "macro", "call"):
                self._depth += 1
            elif self._tag in ("endset", "endfilter", "endmacro", "endcall"):
                self._depth -= 1
            self._tag = ""
        self._before = token.type
        return self._depth > 0


def located(source: Source) -> Iterator[tuple[int, str, str]]:
    """jinja2's raw tokens, each with its offset instead of its line.

    Raises TemplateSyntaxError, its `lineno` an offset, or TooLarge.
    """
    at = opened = 0
    left = TOKENS
    try:
        for _, kind, value in LEXER.tokeniter(source.text, source.name):
            left -= 1
            if not left:
                raise TooLarge(f"the template has more than {TOKENS:,} tokens", at)
            if kind in _OPENING:  # white space before it may have been taken out
                at = opened = source.text.index(value, at)
            yield at, kind, value
            at += len(value)
    except TemplateSyntaxError as exc:
        message = exc.message or ""
        if found := _AT_OFFSET.search(message):
            at, message = int(found[1]), message[: found.start()]
        elif message.startswith("Missing end of"):
            at = opened
        raise TemplateSyntaxError(message, at, source.name) from exc
