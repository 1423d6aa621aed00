"""Where a target's secret comes from, and the one place it may go: the target's own origin.

In order: `UPM_DEV_<TARGET>_TOKEN` and `_PASSWORD`, `UPM_DEV_TOKEN` and `UPM_DEV_PASSWORD` where
there is a single target, the user info of a target URL from the environment, the target's
`password-command`, the keyring where one is installed, netrc, `admin`/`admin` for a target on this
machine (the SDK's own default), a prompt on a terminal.
"""

import os
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from devserver.addresses import is_cloud, is_this_machine, origin
from devserver.errors import CredentialsRejected, TargetError
from devserver.model import Target
from devserver.settings import Settings
from devserver.settings.table import PREFIX
from devserver.settings.targets import secret_variable

COMMAND_SECONDS = 60.0
"""How long a password-command may take: it may ask for a passphrase itself."""

DEFAULT_USER = "admin"
DEFAULT_PASSWORD = "admin"
"""The SDK's own, on this machine alone."""

Prompt = Callable[[str], str]
"""Asks the user for a secret without showing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to one origin. Shown, it shows no secret.

    Raises:
        CredentialsRejected: when made for plain http to another machine, where all would read it.
    """

    origin: str
    """Scheme, host and port of the target: `http://localhost:2990`."""
    user: str | None = None
    """None: the secret is a Bearer token."""
    secret: str = field(repr=False)
    source: str = ""
    """Which place it came from, safe to show: `UPM_DEV_JIRA_PASSWORD`."""

    def __post_init__(self) -> None:
        if self.origin.startswith("http://") and not is_this_machine(self.origin):
            host = urlsplit(self.origin)
            raise CredentialsRejected(
                f"{self.origin} is plain http on another machine: everyone on the way would read"
                " the password",
                remedy="use https, or a tunnel: ssh -L"
                f" {host.port}:localhost:{host.port} {host.hostname}, and the target as"
                f" http://localhost:{host.port}",
                code="CREDENTIALS-PLAIN-HTTP",
            )

    def __str__(self) -> str:
        who = f"user {self.user}" if self.user is not None else "Bearer token"
        return f"{who} from {self.source}"

    @property
    def who(self) -> str:
        """Who we are, as far as we know: a token does not tell whose it is."""
        return self.user if self.user is not None else "the owner of the token"

    @property
    def proof(self) -> str:
        """What proves it, and where it came from; never the secret itself."""
        what = f"password of {self.user}" if self.user is not None else "token"
        return f"{what} ({self.source})" if self.source else what

    def header(self) -> str:
        """The value of `Authorization`."""
        if self.user is None:
            return f"Bearer {self.secret}"
        return "Basic " + b64encode(f"{self.user}:{self.secret}".encode()).decode()

    def covers(self, url: str) -> bool:
        """Whether *url* is of the origin that this secret is bound to."""
        return origin(url) == self.origin

    @property
    def secrets(self) -> tuple[str, ...]:
        """What a `Redactor` has to know.

        The SDK's default is no secret, wherever it was found: to mask it would mask the user's
        name everywhere.
        """
        default = (self.user, self.secret) == (DEFAULT_USER, DEFAULT_PASSWORD)
        if not self.secret or (default and is_this_machine(self.origin)):
            return ()
        return self.secret, self.header().partition(" ")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent(Credentials):
    """None: whatever needs them learns why, what needs none goes on."""

    secret: str = field(default="", repr=False)
    error: TargetError

    def __post_init__(self) -> None:
        """There is nothing that could be read on the way."""

    def header(self) -> str:
        """Raises `error`."""
        raise self.error.with_traceback(None)

    @property
    def secrets(self) -> tuple[str, ...]:
        return ()


_DEFAULT = "the default of the Atlassian SDK"


def find(
    target: Target,
    settings: Settings,
    *,
    trusted: bool = False,
    prompt: Prompt | None = None,
) -> Credentials:
    """The credentials for *target*, from the first place that has any.

    Blocks: a password-command runs for up to a minute, a prompt for as long as the user takes. So
    call it before the loop runs, or in a thread.

    Args:
        trusted: whether the password-command may run (`trust.allow`).
        prompt: asks the user; None where there is no terminal.

    Raises:
        CredentialsRejected: there are none, or those that there are must not be used. The reason
            says which and never holds the secret.
    """
    here = origin(target.url)
    if is_cloud(target.url):  # nothing is ever sent there, so nobody need look for a secret
        return Credentials(origin=here, user=_user(target), secret="", source="nowhere")
    for user, secret, source in _places(target, settings, trusted):
        return Credentials(origin=here, user=user, secret=secret, source=source)
    if is_this_machine(target.url) and target.user in (None, DEFAULT_USER):
        return Credentials(origin=here, user=DEFAULT_USER, secret=DEFAULT_PASSWORD, source=_DEFAULT)
    if prompt is not None:
        return ask(target, prompt)
    raise CredentialsRejected(
        f"there is no password for {target.name} ({target.url})",
        remedy=f"set {secret_variable(target.name, 'PASSWORD')} (and --user), or"
        f" {secret_variable(target.name, 'TOKEN')}, in the environment or in .env",
        code="CREDENTIALS-MISSING",
    )


def ask(target: Target, prompt: Prompt) -> Credentials:
    """The credentials that the user types in; also after a target has rejected others."""
    user = target.user or DEFAULT_USER
    # Made before the question: a secret that must not be sent need not be typed either.
    bound = Credentials(origin=origin(target.url), user=user, secret="", source="the prompt")
    secret = prompt(f"Password of {user} for {target.name} ({target.url})")
    return Credentials(origin=bound.origin, user=user, secret=secret, source=bound.source)


def for_child(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child process: ours without everything that can hold a secret."""
    return {name: value for name, value in environ.items() if not name.startswith(PREFIX)}


def found(target: Target, find: Callable[[Target], Credentials]) -> Credentials:
    """What *find* has for *target*; where that must not be used, or is nothing, `Absent`."""
    try:
        return find(target)
    except TargetError as error:
        user = target.user or DEFAULT_USER
        return Absent(origin=origin(target.url), user=user, source="nowhere", error=error)


Found = tuple[str | None, str, str]
"""User (None: a token), secret, source."""


def _places(target: Target, settings: Settings, trusted: bool) -> Iterator[Found]:
    yield from _environment(target, settings)
    if (secret := settings.url_secrets.get(target.name)) is not None:
        yield target.user, secret, "the user info of the target's URL"
    if (command := settings.password_commands.get(target.name)) is not None:
        yield _user(target), _run(target, command, trusted), f"password-command of {target.name}"
    yield from _keyring(target)
    yield from _netrc(target)


def _user(target: Target) -> str:
    return target.user or DEFAULT_USER


def _environment(target: Target, settings: Settings) -> Iterator[Found]:
    names = [(secret_variable(target.name, kind), kind) for kind in ("TOKEN", "PASSWORD")]
    if len(settings.targets) <= 1:  # with several, nobody said whose it is
        names += [(f"{PREFIX}{kind}", kind) for kind in ("TOKEN", "PASSWORD")]
    for name, kind in names:
        if secret := settings.environ.get(name):
            yield (None if kind == "TOKEN" else _user(target)), secret, name


def _run(target: Target, command: str, trusted: bool) -> str:
    """The first line that the target's password-command prints."""
    what = f"the password-command of {target.name}"
    if not trusted:
        raise CredentialsRejected(
            f"{what} was not run: you have not trusted these settings yet",
            remedy="look at them, then give --trust (or answer yes on a terminal)",
            code="CREDENTIALS-NOT-TRUSTED",
        )
    try:
        done = subprocess.run(
            command,
            shell=True,
            stdout=subprocess.PIPE,
            env=for_child(os.environ),
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # `from None`: the exception holds what was printed so far
        raise CredentialsRejected(
            f"{what} did not end within {COMMAND_SECONDS:g} s",
            remedy="run it by hand: it may wait for an answer",
            code="CREDENTIALS-COMMAND",
        ) from None
    secret = done.stdout.decode(errors="replace").partition("\n")[0].rstrip("\r")
    if done.returncode or not secret:
        trouble = f"ended with {done.returncode}" if done.returncode else "printed nothing"
        raise CredentialsRejected(
            f"{what} {trouble}",
            remedy="run it by hand: the first line it prints has to be the password",
            code="CREDENTIALS-COMMAND",
        )
    return secret


def keyring_service(target: Target) -> str:
    """The name a target's secret has in a keyring: its origin, so that it goes nowhere else."""
    return f"upm-dev {origin(target.url)}"


BEARER = "Bearer token"
"""The user name a token has in a keyring."""


def _keyring(target: Target) -> Iterator[Found]:
    try:
        import keyring  # an extra; 79 ms and 14 packages
        from keyring.errors import KeyringError
    except ImportError:
        return
    user = _user(target)
    try:
        password = keyring.get_password(keyring_service(target), user)
        token = keyring.get_password(keyring_service(target), BEARER)
    except KeyringError:  # none on this machine, or locked: the next place may have it
        return
    if token:
        yield None, token, "the keyring"
    if password:
        yield user, password, "the keyring"


def _netrc(target: Target) -> Iterator[Found]:
    """The entry of the target's host; never `default`, which is bound to no host at all."""
    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    host = urlsplit(target.url).hostname or ""
    if not file.is_file():
        return
    import netrc  # 7 ms

    try:
        if host.encode() not in file.read_bytes():
            return  # whatever else is in it, and however broken it is, is not for this target
        entries = netrc.netrc(str(file)).hosts
    except (OSError, UnicodeDecodeError, netrc.NetrcParseError) as exc:
        # `from None`, and no message of the parser's: it may quote what it stumbled over
        line = f", line {exc.lineno}," if isinstance(exc, netrc.NetrcParseError) else ""
        raise CredentialsRejected(
            f"{file}{line} cannot be read, and it may have the password for {host}",
            remedy=f"mend it, or set {secret_variable(target.name, 'PASSWORD')}",
            code="CREDENTIALS-NETRC",
        ) from None
    if host == "default" or host not in entries:
        return
    user, _, secret = entries[host]
    if not secret or (target.user and user and user != target.user):
        return
    if os.name == "posix" and file.stat().st_mode & 0o077:
        raise CredentialsRejected(
            f"{file} has a password for {host} and other users of this machine can read it",
            remedy=f"chmod 600 {file}",
            code="CREDENTIALS-NETRC-OPEN",
        )
    yield user or _user(target), secret, str(file)
