"""Other tools' templates: their preambles and tokens blanked, so that what is left can be parsed.

A mask keeps every line and column: what is taken out becomes spaces.
"""

import re
from dataclasses import dataclass

from devserver.descriptor.decode import point_of
from devserver.descriptor.document import Point

_BLANK = re.compile(r"[^\r\n]")
_ROOT = re.compile(r"<\?xml|<!--|<[A-Za-z]")
_PREAMBLE = re.compile(r"\s*(?:#|@|<#|\[#|\{%|\{\{|\$|%|import\b|//)")
_ACTION = re.compile(r"<%(?!=).*?%>|\{%.*?%\}|\{#.*?#\}|</?#.*?>|\[/?#.*?\]", re.DOTALL)
_TOKEN = re.compile(r"\{\{.*?\}\}|\$\{[^}]*\}|#\{[^}]*\}|<%=.*?%>", re.DOTALL)
_NAMESPACE = re.compile(r"""xmlns(?::\w+)?\s*=\s*(?:"[^"]*\{\{[^"]*"|'[^']*\{\{[^']*')""")
_DIRECTIVE = re.compile(
    r"^[ \t]*#(?:set|if|else|elseif|end|foreach|parse|include|macro)\b[^\r\n]*", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Masked:
    """A text of the same shape as the original, and what was done to it."""

    text: str
    at: Point
    remark: str


def _blank(found: "re.Match[str]") -> str:
    return _BLANK.sub(" ", found[0])


def _fill(found: "re.Match[str]") -> str:
    """A token inside text or an attribute's value stays one, of letters that mean nothing."""
    inner = re.sub(r"[^\r\n]", "x", found[0])
    return f"{{{{{inner[2:-2]}}}}}" if len(inner) > 4 else inner


def mask_xml(text: str) -> Masked | None:
    """Take out what Velocity, Scala, FreeMarker, ERB and Mustache leave in an XML template."""
    remark, at, masked = "", Point(1, 1), text
    root = _ROOT.search(text)
    if root and text[: root.start()].strip() and _PREAMBLE.match(text):
        masked = _BLANK.sub(" ", text[: root.start()]) + text[root.start() :]
        masked = _leading(masked)
        remark = "the lines before the root element belong to another tool's template"
    changed = _DIRECTIVE.sub(_blank, _ACTION.sub(_blank, masked))
    changed = _NAMESPACE.sub(_blank, _TOKEN.sub(_fill, changed))
    if changed == text:
        return None
    if not remark:
        found = _ACTION.search(text) or _DIRECTIVE.search(text) or _TOKEN.search(text)
        at = point_of(text, found.start() if found else 0)
        remark = "the directives of another tool's template were taken out to read this file"
    return Masked(changed, at, f"{remark}: only what is left is checked")


def _leading(text: str) -> str:
    """An XML declaration must come first: blank it where a preamble stands before it."""
    return re.sub(r"<\?xml.*?\?>", _blank, text, count=1, flags=re.DOTALL)
