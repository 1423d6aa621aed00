"""`--state FILE`: what a host has on disk, so that it is the same host after a restart.

The file holds shared secrets and the host's private key, so only its owner may read it. It is
replaced in one step: a crash leaves the old one or the new one.
"""

import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_origin, get_type_hints

from devserver.errors import CannotStart
from devserver.simulator.app import App, Kind, Module
from devserver.simulator.identity import Identity
from devserver.simulator.state import LogEntry, Plugin, State

VERSION = 1

T = TypeVar("T")


def dump(state: State, identity: Identity, private_pem: str) -> str:
    """The host as JSON. Tokens, tasks and sessions are not in it: no restart survives them."""
    plugins = [asdict(plugin) for plugin in state.plugins.values() if plugin.user_installed]
    return json.dumps(
        {
            "v": VERSION,
            "profile": state.profile.name,
            "client-key": identity.client_key,
            "kid": identity.kid,
            "private-key": private_pem,
            "settings": state.settings.values,
            "private-listings": state.settings.private_listings,
            "safe-mode": state.safe_mode,
            "before-safe-mode": state.before_safe_mode,
            "plugins": plugins,
            "log": [asdict(entry) for entry in state.log],
        },
        indent=1,
    )


def restore(text: str, state: State, identity: Identity, where: Path) -> None:
    """Put back what `dump` wrote. Raises CannotStart where the file is something else."""
    try:
        document = json.loads(text)
        if document["v"] != VERSION:
            raise ValueError(f"version {document['v']}")
        identity.restore(document["client-key"], document["kid"], document["private-key"])
        state.settings.values.update(_switches(document["settings"]))
        if document["profile"] == state.profile.name:
            state.settings.private_listings = document["private-listings"]
        state.safe_mode = document["safe-mode"] is True
        state.before_safe_mode = _switches(document["before-safe-mode"])
        for each in document["plugins"]:
            plugin = _plugin(each)
            state.plugins[plugin.key] = plugin
        state.restore_log([_made(LogEntry, each) for each in document["log"]])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CannotStart(
            f"{where} is no state of a simulated host ({error})",
            remedy="remove it, or give --state another file",
        ) from error


def _plugin(document: dict[str, Any]) -> Plugin:
    pending = document["pending"]
    return _made(
        Plugin,
        {
            **document,
            "app": _app(document["app"]),
            "pending": None if pending is None else _app(pending),
        },
    )


def _app(document: dict[str, Any]) -> App:
    return _made(
        App,
        {
            **document,
            "kind": Kind(document["kind"]),
            "modules": tuple(_made(Module, each) for each in document["modules"]),
            "lifecycle": tuple((str(event), str(url)) for event, url in document["lifecycle"]),
            "params": tuple((str(name), str(value)) for name, value in document["params"]),
        },
    )


def _made(kind: type[T], values: dict[str, Any]) -> T:
    """A dataclass of *values*. Raises TypeError for a field that is not what it is declared as."""
    for name, declared in get_type_hints(kind).items():
        wanted = get_origin(declared) or declared
        if name in values and not isinstance(values[name], _kinds(wanted, declared)):
            raise TypeError(f"{name} cannot be {values[name]!r:.40}")
    return kind(**values)


def _kinds(wanted: Any, declared: Any) -> Any:
    if wanted is float:
        return (float, int)
    return declared if wanted is UnionType else wanted


def _switches(document: dict[str, Any]) -> dict[str, bool]:
    return {str(name): value is True for name, value in document.items()}


def read(path: Path) -> str | None:
    """What the file holds; None where there is none yet. Raises CannotStart."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(f"{path} cannot be read: {error}", remedy="see --state") from error


def write(path: Path, text: str) -> None:
    """Replace the file. Raises OSError."""
    descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
