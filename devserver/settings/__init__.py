"""Settings from flags, environment, `.env`, `upm-dev.toml` and pyproject.toml, checked and frozen.

Precedence, for each setting by itself: flag, environment (`UPM_DEV_<FLAG>`), `.env` in the project
(only `UPM_DEV_*` names), `upm-dev.toml`, `[tool.upm-dev]` in pyproject.toml, default. Everything
that is wrong is found in one go and told with its file, line and column.

The settings files belong to a project that may be somebody else's: they hold no secret, cannot
trust themselves (`trust`), and name no file outside the project.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from devserver import colours
from devserver.errors import UsageError
from devserver.files import contents
from devserver.model import Diagnostic, Position, Severity, Target
from devserver.settings import files
from devserver.settings.layers import COMMAND_LINE, ENVIRONMENT, LIMIT, Layers
from devserver.settings.table import BY_VARIABLE, PREFIX, SETTINGS, near
from devserver.settings.targets import SECRET_KINDS, Chosen, choose, secret_variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the user can choose, resolved. Made by `load`."""

    root: Path
    """The project's folder, absolute."""
    descriptor: str | None = None
    """The descriptor's file, project-relative with `/`; None: to be found (`sources`)."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    variables_files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """Names of the environment that templates may read."""
    backend: str | None = None
    command: str | None = None
    """Starts the backend; runs only where `trust` says so."""
    restart: bool = True
    """It is started again when its sources change; False: it sees to that itself."""
    jar: str | None = None
    """The plugin's JAR, or a pattern for it; None: the newest that the build made."""
    resources: bool = False
    """Further resources of the sources go into the JAR along with the descriptor."""
    classes: bool = False
    """So do classes of target/classes that are newer than the JAR."""
    install: str = "auto"
    """How a JAR gets in: `upload`, `uri`, or `auto`, which is by upload."""
    install_folder: Path | None = None
    """A folder that the host reads when it starts: only there, and only where it is named."""
    host_log: Path | None = None
    """The product's log; None: where the SDK puts it."""
    uninstall: bool = False
    """Take a JAR's app away at exit."""

    host: str | None = None
    """The address to listen on; None: both loopback addresses."""
    port: int = 8000
    dashboard_port: int | None = None
    """None: the one after `port`; 0: any free one."""
    public_url: str | None = None
    """Without a trailing slash."""
    allowed_hosts: tuple[str, ...] = ()

    targets: tuple[Target, ...] = ()
    """Those chosen for this run; none: the simulator."""
    password_commands: Mapping[str, str] = field(default_factory=dict)
    """By target name; each runs only where `trust` says so."""
    url_secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By target name: the password that came with a target's URL in the environment."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The `UPM_DEV_*` names of the environment over those of `.env`: credentials are among them."""

    select: tuple[str, ...] = ()
    """Rules to check, as ids or their beginnings; none: all."""
    ignore: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By glob of project-relative names."""
    strict: bool = False
    """Warnings count as errors."""
    product: str | None = None
    profile: str | None = None
    """Which host the descriptor is meant for, when `validate` is to be stricter."""

    timeout: float = 30.0
    """Seconds a target may take over one installation."""
    check_every: float = 15.0
    """Seconds between two looks whether a target still has what was installed."""
    poll: bool = False
    keep: bool = False
    trust: bool = False
    yes: bool = False
    """Targets that are not this machine may be written to."""
    take_over: bool = False
    """Apps that upm-dev did not install may be replaced."""
    allow_key_change: bool = False
    json: bool = False
    open: bool = False
    verbose: int = 0
    quiet: bool = False
    colour: bool | None = None
    """None: as the output is a terminal or not."""
    log_file: Path | None = None

    files: tuple[str, ...] = ()
    """The settings files there are, project-relative."""
    digest: str = ""
    """SHA-256 of the root and of what the settings files say: what `trust` remembers."""
    warnings: tuple[Diagnostic, ...] = ()

    def __post_init__(self) -> None:
        for name in (
            "variables",
            "per_file_ignores",
            "password_commands",
            "url_secrets",
            "environ",
        ):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


class SettingsInvalid(UsageError):
    """The settings have mistakes; `sources` holds the files' texts, redacted, for code frames."""

    def __init__(
        self, diagnostics: tuple[Diagnostic, ...], sources: Mapping[str, str] | None = None
    ) -> None:
        first = next((each for each in diagnostics if each.is_error), diagnostics[0])
        super().__init__(f"{first.position}: {first.message}", remedy=first.fix, code=first.code)
        self.diagnostics = diagnostics
        self.sources = dict(sources or {})


CODES: Mapping[str, str] = {
    "C001": "A settings file cannot be read: no TOML, no UTF-8, or not readable at all.",
    "C002": "A settings file has a table or a key that upm-dev does not know.",
    "C003": "A setting has a value of the wrong type.",
    "C004": "A setting's value is out of range or not of the form it has to have.",
    "C005": "What should be a target's, the backend's or our public URL is none.",
    "C006": "A secret stands where none may be: on the command line or in a settings file.",
    "C007": "A target was asked for that the settings do not have.",
    "C008": "Two targets cannot be told apart.",
    "C009": "The project is neither a folder nor a file in one.",
    "C010": "A file named in the settings lies outside the project.",
    "C011": "A line of .env cannot be read.",
    "C012": "An UPM_DEV_ name is not one that upm-dev knows.",
    "C013": "A setting stands where it has no effect: a project cannot trust itself.",
    "C014": "A file with a secret in it can be read by other users of this machine.",
    "C015": "Two settings exclude each other.",
}
"""Every diagnostic of the settings; `upm-dev explain CODE` prints it."""


def load(project: Path, flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """The settings of *project*: a folder, or a descriptor or template in one.

    *flags* are the command line's by parameter name (`port`, `dashboard_port`, `target`, ...);
    None, False and an empty tuple mean: not given.

    Raises:
        SettingsInvalid: with every mistake that was found.
    """
    found = _gather(project, flags, environ, Layers())
    if found.layers.diagnostics:  # once more, to say where: most runs need no places
        found = _gather(project, flags, environ, Layers(placed=True))
    layers, root, named, chosen = found
    if any(each.is_error for each in layers.diagnostics):
        raise SettingsInvalid(tuple(layers.diagnostics), layers.texts)
    values = {
        each.name: given.value
        for each in SETTINGS
        if each.name in _FIELDS and (given := layers.best(each.name))
    }
    if named is not None:
        values["descriptor"] = named
    return Settings(
        root=root,
        **values,
        targets=chosen.targets,
        password_commands=chosen.password_commands,
        url_secrets=chosen.secrets,
        environ=layers.environ,
        colour=_colour(layers, environ),
        files=tuple(layers.documents),
        digest=_digest(root, layers.documents),
        warnings=tuple(layers.diagnostics),
    )


class _Gathered(NamedTuple):
    layers: Layers
    root: Path
    named: str | None
    chosen: Chosen


def _gather(
    project: Path, flags: Mapping[str, object], environ: Mapping[str, str], layers: Layers
) -> _Gathered:
    """Read all places, in the order of precedence, and see what they mean together."""
    root, named = _project(project, layers)
    layers.flags(flags)
    layers.environment(environ)
    layers.root = root
    layers.dotenv(root)
    files.read(layers, root, files.SETTINGS_FILE)
    files.read(layers, root, files.PYPROJECT, ("tool", "upm-dev"))
    chosen = choose(layers)
    _look_for_misspelt_variables(layers)
    _check_together(layers)
    return _Gathered(layers, root, named, chosen)


_FIELDS = frozenset(each.name for each in fields(Settings))


def _project(project: Path, layers: Layers) -> tuple[Path, str | None]:
    """The project's folder, and the descriptor where a file was named."""
    path = project.parent.resolve() / project.name if project.name else project.resolve()
    try:
        if path.is_dir():
            return path.resolve(), None
        if path.is_file():
            root = _root_of(path)
            return root, path.relative_to(root).as_posix()
        trouble = "is neither a folder nor a file" if path.exists() else "is not there"
    except OSError as exc:
        trouble = f"cannot be looked at: {(exc.strerror or str(exc)).lower()}"
    layers.note(
        "C009",
        f"{project} {trouble}",
        Position(COMMAND_LINE),
        "name the project's folder, or its descriptor or template",
    )
    raise SettingsInvalid(tuple(layers.diagnostics))


def _root_of(file: Path) -> Path:
    """The project that a file belongs to: the nearest folder that says so, else the file's own.

    Looks no further than the top of a repository, the home folder, or a folder that is somebody
    else's: what lies in /tmp is nobody's project.
    """
    owner = file.parent.stat().st_uid
    for folder in file.parents:
        if folder.stat().st_uid != owner:
            break
        if _says_project(folder):
            return folder
        if folder == Path.home() or (folder / ".git").exists():
            break
    return file.parent


def _says_project(folder: Path) -> bool:
    if (folder / files.SETTINGS_FILE).is_file() or (folder / "pom.xml").is_file():
        return True
    try:
        return b"[tool.upm-dev" in contents(folder / files.PYPROJECT, LIMIT, within=folder)
    except OSError:  # none, or not ours to read: says nothing
        return False


def _check_together(layers: Layers) -> None:
    quiet, verbose = layers.best("quiet"), layers.best("verbose")
    if quiet and quiet.value and verbose and verbose.value:
        layers.note(
            "C015",
            f"{quiet.label} and {verbose.label} exclude each other",
            verbose.position,
            f"leave out {quiet.label} or {verbose.label}",
        )


def _look_for_misspelt_variables(layers: Layers) -> None:
    """Warn of names in the environment that are nearly one of ours: set, and without effect."""
    own = {secret_variable(name, kind) for name in layers.targets for kind in SECRET_KINDS}
    known = {*BY_VARIABLE, *own, *(PREFIX + kind for kind in SECRET_KINDS)}
    for name in layers.environ:
        if name in known or name.endswith(tuple(f"_{kind}" for kind in SECRET_KINDS)):
            continue
        if meant := near(name, known, cutoff=0.85):
            layers.note(
                "C012",
                f"{name} is not a name that upm-dev knows",
                layers.dotenv_names.get(name, Position(ENVIRONMENT)),
                f"did you mean {meant}?",
                Severity.WARNING,
            )


def _colour(layers: Layers, environ: Mapping[str, str]) -> bool | None:
    """What the user wants of colours, None where nothing was said (no-color.org)."""
    if (no_color := layers.best("no_color")) is not None:
        return not no_color.value
    return colours.wish(environ)


def _digest(root: Path, documents: Mapping[str, Any]) -> str:
    """One for all that the settings files say, and for where they lie."""
    said = json.dumps([str(root), documents], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()
