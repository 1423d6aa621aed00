"""Which host is played: a profile (an era's UPM) and a product, both read from data files.

Adding one is adding one file to `profiles/` or `products/`; every field has a default, given by
the dataclass, and a field that does not exist is an error that names it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from devserver.errors import UsageError

PROFILES = Path(__file__).with_name("profiles")
PRODUCTS = Path(__file__).with_name("products")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How the UPM of one era behaves (upm-protocol.md §0.1, §6)."""

    name: str
    summary: str
    upm: str
    """Version of the UPM."""
    era: str
    """Which of a product's `versions` it runs on."""
    kinds: tuple[str, ...]
    """Artefacts it takes: jar, obr, xml, remote-xml, remote-app, connect-json."""
    install_types: tuple[str, ...] = ("install.uri",)
    task_type: str = "INSTALL"
    task_user: str = "userKey"
    """Name of the task's user field: `username` in UPM 2, `accountId` in Cloud."""
    task_id: bool = True
    ping_after_ms: int = 100
    pings_when_done: bool = True
    tasks_kept: float | None = None
    """Seconds a finished task is remembered; None: until a restart."""
    failure_text: bool = False
    """A failed task says `errorMessage` beside its `subCode`."""
    safe_mode_first: bool = False
    """UPM 2's order: permission, safe mode (409), token, URI."""
    delete_status: int = 204
    callbacks: Literal["none", "oauth", "jwt"] = "none"
    signed_install: Literal["opt-in", "always"] = "opt-in"
    """RS256 for `installed`/`uninstalled`: where the descriptor asks for it, or always."""
    installer: bool = False
    """Has the REST installer from before UPM support (§7.1)."""
    private_listings: bool | None = None
    """Installs of unlisted apps at start: on, off; None: no such setting."""
    listings_shown: bool = False
    """`GET /settings` has `connectDeveloperListingsEnabled` (§4.5: Cloud)."""
    listings_locked: bool = False
    """The setting cannot be switched on."""
    https: bool = False
    """Descriptor and base URL have to be https and public."""
    websudo: bool = False
    personal_tokens: bool = False
    basic: bool = True
    captcha_after: int = 3
    upload: bool = True
    """Artefacts that are not from the Marketplace may be installed (§6.1)."""
    multipart_exempt: bool = False
    """The XSRF filter lets uploads pass without `X-Atlassian-Token` (§3)."""
    signatures: bool = False
    """JARs have to be signed (§6.2)."""
    bundled: tuple[str, ...] = ()
    """Plugins that the SDK brings: listed, never deleted."""
    restart_types: tuple[str, ...] = ()
    """Module types whose update waits for a restart (§2.8)."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    """Context paths that differ from the product's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a host is, whatever its era."""

    name: str
    title: str
    port: int
    context: str
    versions: Mapping[str, tuple[str, str]]
    """Era -> (version, build number)."""
    xml_plugins: bool = False
    """Takes a plain `atlassian-plugin.xml` (§6.4)."""
    legacy_plugins: bool = False
    """Takes `plugins-version` 1 (§2.7)."""


def load_profile(name: str) -> Profile:
    """The profile in `profiles/NAME.toml`, or in the TOML file that *name* is a path of.

    Raises UsageError where there is none, or where it has a field that no profile has.
    """
    path = Path(name) if name.endswith(".toml") else PROFILES / f"{name}.toml"
    return Profile(**_read(path, Profile, "profile"))


def load_product(name: str) -> Product:
    """The product in `products/NAME.toml`. Raises UsageError."""
    return Product(**_read(PRODUCTS / f"{name}.toml", Product, "product"))


def profile_names() -> list[str]:
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def product_names() -> list[str]:
    return sorted(path.stem for path in PRODUCTS.glob("*.toml"))


def _read(path: Path, kind: type[Profile] | type[Product], noun: str) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        known = profile_names() if kind is Profile else product_names()
        raise UsageError(
            f'there is no {noun} "{path.stem}"', remedy=f"known: {', '.join(known)}"
        ) from None
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be read: {error}", remedy="mend the file; profiles/dc.toml is a sample"
        ) from error
    known_fields = {each.name for each in fields(kind)} - {"name"}
    values: dict[str, Any] = {"name": path.stem}
    for name, value in table.items():
        if (field_name := name.replace("-", "_")) not in known_fields:
            raise UsageError(
                f'{path}: a {noun} has no "{name}"',
                remedy=f"it may have: {', '.join(sorted(known_fields)).replace('_', '-')}",
            )
        values[field_name] = tuple(value) if isinstance(value, list) else value
    missing = [
        each.name
        for each in fields(kind)
        if each.name not in values and each.default is MISSING and each.default_factory is MISSING
    ]
    if missing:
        raise UsageError(f"{path}: {', '.join(missing)} missing", remedy="profiles/dc.toml has all")
    return values
