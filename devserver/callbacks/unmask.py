"""Puts back what was masked: a request is edited on a page that has none of its secrets. Pure."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from devserver.redact import MASK


def path(edited: str, original: str) -> str | None:
    """*edited* with *original*'s values where its query says `***`; None: it has none."""
    if MASK not in edited:
        return edited
    parts = urlsplit(edited)
    query = _form(parts.query, urlsplit(original).query)
    if query is None or MASK in parts.path:
        return None
    return urlunsplit(parts._replace(query=query))


def body(edited: bytes, original: bytes) -> bytes | None:
    """*edited* with *original*'s values where its JSON, or its form, says `***`; None as above."""
    if MASK.encode() not in edited:
        return edited
    try:
        new, old = edited.decode(), original.decode()
    except UnicodeDecodeError:
        return None
    try:
        filled = json.dumps(_filled(json.loads(new), json.loads(old)), ensure_ascii=False)
    except (ValueError, RecursionError):  # no JSON
        form = _form(new, old)
        return None if form is None else form.encode()
    return None if MASK in filled else filled.encode()


def _filled(new: Any, old: Any) -> Any:
    match new, old:
        case dict(), dict():
            return {name: _filled(value, old.get(name, value)) for name, value in new.items()}
        case list(), list():
            rest = new[len(old) :]
            return [_filled(one, other) for one, other in zip(new, old, strict=False)] + rest
        case _:
            return old if new == MASK else new


def _form(new: str, old: str) -> str | None:
    known = dict(parse_qsl(old, keep_blank_values=True))
    pairs = [
        (name, known.get(name, value) if value == MASK else value)
        for name, value in parse_qsl(new, keep_blank_values=True)
    ]
    return None if any(MASK in text for pair in pairs for text in pair) else urlencode(pairs)
