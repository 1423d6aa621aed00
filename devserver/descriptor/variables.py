"""Variables files, TOML, JSON or YAML: the variables of a template, or each mistake's place."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any, Final

from devserver.descriptor.utf8 import text_of
from devserver.model import Diagnostic, Position, Severity

YAML_LIMIT: Final = 256 * 1024
"""Characters: PyYAML reads some 300 kB a second."""
_MERGED: Final = 10_000
"""Entries that `<<` may copy in one file: merges of merges grow far beyond what was written."""

_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class _Wrong(Exception):
    """What is wrong in a file, and where."""

    def __init__(self, code: str, message: str, line: int = 0, column: int = 0, fix: str = ""):
        super().__init__(message)
        self.code = code
        self.place = (line, column)
        self.fix = fix


def merged(
    files: Mapping[str, bytes], names: Sequence[str]
) -> dict[str, Any] | tuple[Diagnostic, ...]:
    """The variables of all files *names*, a later one's winning; or what is wrong with them.

    A name that is not among *files* is passed over: that it is missing is said where it was read.
    V001 syntax, V002 a kind of file that is not read, V003 no table of variables.
    """
    variables: dict[str, Any] = {}
    diagnostics: list[Diagnostic] = []
    for name in names:
        if name not in files:
            continue
        text = text_of(name, files[name])
        if isinstance(text, Diagnostic):
            diagnostics.append(text)
            continue
        try:
            variables |= _table(name, text)
        except _Wrong as exc:
            diagnostics.append(
                Diagnostic(
                    code=exc.code,
                    severity=Severity.ERROR,
                    message=str(exc),
                    position=Position(name, *exc.place),
                    fix=exc.fix,
                )
            )
    return tuple(diagnostics) or variables


def _table(name: str, text: str) -> dict[str, Any]:
    kind = PurePosixPath(name).suffix.lower()
    parse = _PARSERS.get(kind)
    if parse is None:
        raise _Wrong(
            "V002",
            f'"{name}" is no kind of file that variables are read from',
            fix="use a .toml, .json, .yaml or .yml file",
        )
    try:
        table = parse(text)
    except RecursionError:
        raise _Wrong("V001", "the file is nested too deeply") from None
    if table is None and kind in (".yaml", ".yml"):  # an empty file
        return {}
    if not isinstance(table, dict):
        raise _Wrong(
            "V003",
            f"a {type(table).__name__} is no table of variables",
            1,
            1,
            'put names before the values: {"name": …}',
        )
    for key in table:
        if not isinstance(key, str):
            raise _Wrong("V003", f"{key!r} is no name of a variable", fix="names are text")
    return table


def _toml(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        message = str(exc)
        if (found := _AT.search(message)) is None:
            raise _Wrong("V001", message) from None
        if found[1]:
            line, column = int(found[1]), int(found[2])
        else:
            line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
        raise _Wrong("V001", message[: found.start()], line, column) from None
    except ValueError as exc:  # a number of too many digits
        raise _Wrong("V001", str(exc)) from None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise _Wrong("V001", exc.msg, exc.lineno, exc.colno) from None
    except ValueError as exc:  # a number of too many digits
        raise _Wrong("V001", str(exc)) from None


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise _Wrong(
            "V002", "YAML is not read here", fix="pip install 'upm-dev[yaml]', or use TOML or JSON"
        ) from None
    if len(text) > YAML_LIMIT:
        raise _Wrong(
            "V002",
            f"more than {YAML_LIMIT // 1024} kB of YAML take seconds to read",
            fix="use JSON",
        )
    try:
        return yaml.load(text, _loader(yaml))
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise _Wrong("V001", exc.problem or exc.context or "no YAML", *place) from None
    except (yaml.YAMLError, ValueError) as exc:  # also: a date that is none
        raise _Wrong("V001", str(exc).split("\n")[0]) from None


def _loader(yaml: ModuleType) -> Any:
    """PyYAML's safe loader, with a limit to what `<<` copies."""

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined,misc]
        left = _MERGED

        def flatten_mapping(self, node: Any) -> None:
            for key, value in node.value:
                if key.tag != "tag:yaml.org,2002:merge":
                    continue
                for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if isinstance(each, yaml.MappingNode):
                        self.flatten_mapping(each)
                        self.left -= len(each.value)
                if self.left < 0:
                    raise yaml.MarkedYAMLError(
                        problem=f'"<<" copies more than {_MERGED:,} entries',
                        problem_mark=key.start_mark,
                    )
            super().flatten_mapping(node)

    return Loader


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    ".toml": _toml,
    ".json": _json,
    ".yaml": _yaml,
    ".yml": _yaml,
}
