"""Java .properties files, as far as their keys go."""

import re

PROPERTY_LINE = re.compile(r"^[ \t\f]*((?:\\.|[^\s:=#!\\])(?:\\.|[^\s:=\\])*)", re.MULTILINE)


def property_names(data: bytes) -> frozenset[str]:
    """The keys of a .properties file."""
    text = re.sub(r"\\\r?\n[ \t]*", "", data.decode("utf-8", "replace"))
    return frozenset(re.sub(r"\\(.)", r"\1", found[1]) for found in PROPERTY_LINE.finditer(text))
