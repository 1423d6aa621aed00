"""Diagnostics for machines: GitHub annotations, SARIF 2.1.0, JUnit."""

import json
from collections.abc import Iterable
from itertools import groupby
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from devserver import __version__
from devserver.descriptor.rules.pages import pages
from devserver.descriptor.visible import one_line
from devserver.model import Diagnostic, Severity

_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
_SARIF = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def github(diagnostics: Iterable[Diagnostic]) -> str:
    """One workflow command a line: `::error file=…,line=…,col=…,title=X201::message`."""
    return "".join(_annotation(each) for each in diagnostics)


def _annotation(each: Diagnostic) -> str:
    position = each.position
    place = [f"file={_property(position.file)}"]
    if position.line:
        place.append(f"line={position.line}")
    if position.column:
        place.append(f"col={position.column}")
    place.append(f"title={_property(each.code)}")
    words = one_line(each.message) + (f" - {one_line(each.fix)}" if each.fix else "")
    return f"::{_GITHUB[each.severity]} {','.join(place)}::{_data(words)}\n"


def _data(text: str) -> str:
    """Escaped as workflow commands ask for."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(one_line(text)).replace(":", "%3A").replace(",", "%2C")


def sarif(diagnostics: Iterable[Diagnostic]) -> str:
    """One SARIF 2.1.0 log with one run; columns count Unicode code points."""
    found = list(diagnostics)
    codes = sorted({each.code for each in found})
    index = {code: number for number, code in enumerate(codes)}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "upm-dev",
                        "version": __version__,
                        "rules": [_rule(code) for code in codes],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, index[each.code]) for each in found],
            }
        ],
    }
    return json.dumps(log, indent=2)


def _rule(code: str) -> dict[str, object]:
    page = pages().get(code)
    if page is None:
        return {"id": code}
    return {
        "id": code,
        "shortDescription": {"text": page.title},
        "fullDescription": {"text": page.why},
        "help": {"text": f"{page.fix} See: upm-dev explain {code}"},
    }


def _result(each: Diagnostic, index: int) -> dict[str, object]:
    position = each.position
    place: dict[str, object] = {"artifactLocation": {"uri": _uri(position.file)}}
    if position.line:
        region = {"startLine": position.line}
        if position.column:
            region["startColumn"] = position.column
        place["region"] = region
    words = one_line(each.message) + (f". {one_line(each.fix)}" if each.fix else "")
    return {
        "ruleId": each.code,
        "ruleIndex": index,
        "level": _SARIF[each.severity],
        "message": {"text": words},
        "locations": [{"physicalLocation": place}],
    }


def _uri(name: str) -> str:
    """A relative reference; what is no UTF-8 in a file's name is quoted byte by byte."""
    return quote(name.encode("utf-8", "surrogateescape"))


def junit(diagnostics: Iterable[Diagnostic], names: Iterable[str]) -> str:
    """A test suite for each file that was checked; each error is a failure, the rest is output."""
    by_file: dict[str, list[Diagnostic]] = {name: [] for name in names} | {
        name: list(group)
        for name, group in groupby(
            sorted(diagnostics, key=lambda each: each.position), key=lambda each: each.position.file
        )
    }
    suites = [_suite(name, found) for name, found in sorted(by_file.items())]
    tests = sum(len(found) or 1 for found in by_file.values())
    failures = sum(each.is_error for found in by_file.values() for each in found)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<testsuites name="upm-dev validate" tests="{tests}" failures="{failures}">\n'
        + "".join(suites)
        + "</testsuites>\n"
    )


def _suite(name: str, found: list[Diagnostic]) -> str:
    failures = sum(each.is_error for each in found)
    shown = quoteattr(one_line(name))
    cases = (
        "".join(_case(each) for each in found)
        or f"    <testcase name={shown} classname={shown}/>\n"
    )
    count = len(found) or 1
    return (
        f'  <testsuite name={shown} tests="{count}" failures="{failures}">\n{cases}  </testsuite>\n'
    )


def _case(each: Diagnostic) -> str:
    words = one_line(each.message)
    name = quoteattr(one_line(f"{each.code} {each.position}"))
    head = f"    <testcase name={name} classname={quoteattr(one_line(each.position.file))}>"
    text = escape(f"{words}\n{one_line(each.fix)}".strip())
    if each.is_error:
        kind = quoteattr(each.code)
        return (
            f"{head}<failure type={kind} message={quoteattr(words)}>{text}</failure></testcase>\n"
        )
    return f"{head}<system-out>{each.severity.value}: {text}</system-out></testcase>\n"
