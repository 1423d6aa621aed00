"""Text of strangers made fit for a terminal: nothing in it moves a cursor or turns a line round."""

import re

_RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """*text* with control, escape and direction characters written as <U+202E>; tabs, \\n stay."""
    return _RAW.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def one_line(text: str) -> str:
    """The same on one line: line breaks and tabs become spaces."""
    return visible(" ".join(text.split("\n")).replace("\t", " "))
