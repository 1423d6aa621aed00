"""The settings there are: type, place in a settings file, and the check of each one's value."""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from devserver import addresses, redact

PREFIX = "UPM_DEV_"


class Wrong(ValueError):
    """A value that cannot be; becomes a Diagnostic at the value's place."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix


def _port(value: int) -> int:
    if not 0 <= value <= 65535:
        raise Wrong("C004", f"{value} is no port", "use 1 to 65535, or 0 for any free port")
    return value


def _seconds(value: float) -> float:
    if not (math.isfinite(value) and 0 < value <= 86400):
        raise Wrong("C004", f"{value} seconds is no time to wait", "use 0.1 to 86400 seconds")
    return float(value)


def _inside(value: str) -> str:
    """A file of the project, as a clean relative name."""
    parts = value.replace("\\", "/").split("/")
    if not value.strip() or "\0" in value:
        raise Wrong("C004", "the name of a file is missing", "name a file of the project")
    if value.startswith(("/", "~")) or re.match(r"[A-Za-z]:", value) or _climbs(parts):
        raise Wrong(
            "C010",
            f"{value} lies outside the project",
            "name a file inside the project, relative to its folder",
        )
    return str(PurePosixPath(os.path.normpath("/".join(parts))))


def _climbs(parts: list[str]) -> bool:
    depth = 0
    for part in parts:
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return True
    return False


def _all_inside(values: list[str]) -> tuple[str, ...]:
    return tuple(map(_inside, values))


def _url(value: str) -> str:
    try:
        address = addresses.parse(value)
    except addresses.NotAnAddress as exc:
        raise Wrong(
            "C005", f"{redact.text(value)} {exc}", "write it like https://abc.example.org"
        ) from exc
    if address.user is not None or address.secret is not None:
        raise Wrong("C006", "the URL has user info in it", "leave out what stands before the @")
    return address.url


def _host(value: str) -> str | None:
    if addresses.is_url(value) or not value.strip() or re.search(r"[\s/\\@]", value):
        raise Wrong("C004", f"{value!r} is no address to listen on", "use 127.0.0.1 or 0.0.0.0")
    return None if value == "localhost" else value.strip("[]")


def _env_names(values: list[str]) -> tuple[str, ...]:
    for name in values:
        if name.upper().startswith(PREFIX):
            raise Wrong(
                "C006",
                f"templates may not read {name}: such names hold upm-dev's own secrets",
                f"take {name} out of the list",
            )
    return tuple(values)


def _codes(values: list[str]) -> tuple[str, ...]:
    """Ids of rules, or the beginnings of such: `X314`, `X2`, `J`."""
    for each in values:
        if not re.fullmatch(r"[A-Z]\d{0,3}", each):
            raise Wrong("C004", f"{each!r} is no id of a rule", "write X314, or X3 for a family")
    return tuple(values)


def _ignores(values: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {pattern: _codes(checked(list, codes)) for pattern, codes in values.items()}


WAYS = ("auto", "upload", "uri")


def _way(value: str) -> str:
    """How a JAR gets into a target; a folder is named by a flag alone, never by a project."""
    if value not in WAYS:
        raise Wrong("C004", f"{value!r} is no way to install", f"use {', '.join(WAYS)}")
    return value


def _verbose(value: int) -> int:
    return min(max(value, 0), 2)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name in `Settings`, its type, and where it may stand.

    `table` is its table in a settings file, None where a settings file may not say it; `flag`
    whether it has a flag, and with that an environment name.
    """

    name: str
    kind: type
    table: str | None = None
    check: Callable[[Any], Any] | None = None
    flag: bool = True

    @property
    def key(self) -> str:
        return self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


SETTINGS: tuple[Setting, ...] = (
    Setting("descriptor", str, "app", _inside, flag=False),
    Setting("variables", dict, "app", flag=False),
    Setting("variables_files", list, "app", _all_inside, flag=False),
    Setting("env", list, "app", _env_names, flag=False),
    Setting("backend", str, "app", _url, flag=False),
    Setting("command", str, "app", flag=False),
    Setting("restart", bool, "app", flag=False),
    Setting("jar", str, "app", _inside, flag=False),
    Setting("resources", bool, "app"),
    Setting("classes", bool, "app"),
    Setting("install", str, "app", _way),
    Setting("install_folder", str, None, Path),
    Setting("host_log", str, None, Path),
    Setting("uninstall", bool),
    Setting("host", str, "server", _host),
    Setting("port", int, "server", _port),
    Setting("dashboard_port", int, "server", _port),
    Setting("public_url", str, "server", _url),
    Setting("allowed_hosts", list, "server", tuple, flag=False),
    Setting("timeout", float, "server", _seconds),
    Setting("check_every", float, "server", _seconds),
    Setting("poll", bool, "server"),
    Setting("keep", bool, "server"),
    Setting("open", bool, "server"),
    Setting("log_file", str, "server", Path),
    Setting("select", list, "validate", _codes, flag=False),
    Setting("ignore", list, "validate", _codes, flag=False),
    Setting("per_file_ignores", dict, "validate", _ignores, flag=False),
    Setting("strict", bool, "validate", flag=False),
    Setting("product", str, "validate", str.lower, flag=False),
    Setting("profile", str, "validate", str.lower, flag=False),
    Setting("target", list),
    Setting("user", str),
    Setting("trust", bool),
    Setting("yes", bool),
    Setting("take_over", bool),
    Setting("allow_key_change", bool),
    Setting("json", bool),
    Setting("verbose", int, None, _verbose),
    Setting("quiet", bool),
    Setting("no_color", bool),
)
CONSENTS = ("trust", "yes", "take_over", "allow_key_change")
"""What only the user can say: no file of the project may, `.env` included."""
BY_NAME: Mapping[str, Setting] = {each.name: each for each in SETTINGS}
BY_VARIABLE: Mapping[str, Setting] = {each.variable: each for each in SETTINGS if each.flag}
BY_PLACE: Mapping[tuple[str, str], Setting] = {
    (each.table, each.key): each for each in SETTINGS if each.table
}
IN_TARGET: Mapping[str, type] = {
    "url": str,
    "user": str,
    "variables": dict,
    "dev": bool,
    "ca-file": str,
    "password-command": str,
}
TABLES = ("app", "server", "targets", "validate")

_SPOKEN: Mapping[type, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list of texts",
    dict: "a table",
}
_TRUTH = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def checked(kind: type, raw: Any) -> Any:
    """*raw*, if it is of the *kind* that a setting has to have; raises Wrong."""
    # bool is an int to Python, to users it is not
    fits = isinstance(raw, kind) and not (isinstance(raw, bool) and kind is not bool)
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if fits and kind is list:
        fits = all(isinstance(each, str) for each in raw)
    if not fits:
        spoken = {str: "text", int: "a number", float: "a number", bool: "true or false"}
        what = spoken.get(type(raw), _SPOKEN.get(type(raw), "something else"))
        if kind is list and isinstance(raw, list):
            what = "a list with something else in it"
        raise Wrong("C003", f"this has to be {_SPOKEN[kind]}, not {what}", f"write {_SPOKEN[kind]}")
    return raw


def from_text(setting: Setting, value: str) -> Any:
    """A value of the environment as the type that the setting has."""
    try:
        if setting.kind is bool:
            return _TRUTH[value.strip().lower()]
        if setting.kind is list:
            return value.split()
        return setting.kind(value.strip())
    except (ValueError, KeyError) as exc:
        wanted = "1 or 0" if setting.kind is bool else _SPOKEN[setting.kind]
        raise Wrong("C003", f"{value!r} is not {wanted}", f"set it to {wanted}") from exc


def near(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The one of *known* that was probably meant."""
    import difflib  # only where there is a mistake

    known = list(known)
    plain = {each.replace("-", "").replace("_", "").lower(): each for each in known}
    if same := plain.get(word.replace("-", "").replace("_", "").lower()):
        return same
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=cutoff)), None)
