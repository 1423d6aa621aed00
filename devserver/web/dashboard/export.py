"""An exchange as others take it: HAR for browsers' tools, curl for a shell. Pure, no secrets."""

import shlex
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from devserver import __version__
from devserver.web.dashboard.inspector import Headers, Item

_NOT_SENT = frozenset({"host", "content-length", "connection", "transfer-encoding"})


def curl(item: Item, base: str) -> str:
    """The command that asks the same of *base*; what was masked stays masked."""
    # Without -g curl takes brackets in a path for a pattern; with -X HEAD it waits for a body.
    words = [
        "curl",
        "-g",
        "-i",
        *(("-I",) if item.method == "HEAD" else ("-X", item.method)),
        item.at(base),
    ]
    for name, value in item.headers:
        if name.lower() not in _NOT_SENT:
            words += ["-H", f"{name}: {value}"]
    if item.body:
        words += ["--data-raw", item.body]  # not --data-binary: a body may begin with @
    return " ".join(shlex.quote(each) for each in words)


def har(items: Iterable[Item], base: str) -> dict[str, Any]:
    """A HAR 1.2 document."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "upm-dev", "version": __version__},
            "entries": [_entry(each, base) for each in items],
        }
    }


def _entry(item: Item, base: str) -> dict[str, Any]:
    url = item.at(base)
    query = url.partition("#")[0].partition("?")[2]
    request: dict[str, Any] = {
        "method": item.method,
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(item.headers),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": item.size,
    }
    if item.body:
        request["postData"] = {"mimeType": item.mime, "text": item.body}
    return {
        "startedDateTime": item.time.isoformat(),
        "time": round(item.ms, 1),
        "request": request,
        "response": {
            "status": item.status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _headers(item.answer_headers),
            "content": {
                "size": item.answer_size,
                "mimeType": item.answer_mime,
                "text": item.answer,
            },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": item.answer_size,
        },
        "cache": {},
        "timings": {"send": 0, "wait": round(item.ms, 1), "receive": 0},
        "comment": " ".join(filter(None, (item.event, item.reason, item.error))),
    }


def _headers(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]
