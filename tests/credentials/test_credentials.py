"""Credentials: where they come from, in which order, and the one place they go."""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from devserver import credentials
from devserver.credentials import Credentials, ask, find, for_child
from devserver.errors import CredentialsRejected
from devserver.settings import Settings, load

LOCAL = "http://localhost:2990/jira"
REMOTE = "https://jira.example.com/jira"


@pytest.fixture(autouse=True)
def no_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The developer's own ~/.netrc is none of our business."""
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    return file


def settings(
    root: Path, environ: Mapping[str, str] | None = None, *targets: str, toml: str = ""
) -> Settings:
    (root / "upm-dev.toml").write_text(toml, encoding="utf-8")
    return load(root, {"target": targets}, environ or {})


def of(found: Settings, *, trusted: bool = False) -> Credentials:
    return find(found.targets[0], found, trusted=trusted)


def refused(found: Settings, *, trusted: bool = False) -> CredentialsRejected:
    with pytest.raises(CredentialsRejected) as caught:
        of(found, trusted=trusted)
    assert caught.value.exit_code == 5
    assert caught.value.remedy
    return caught.value


def test_a_target_on_this_machine_has_the_sdks_default(tmp_path: Path) -> None:
    """admin/admin, which is no secret, so nothing is masked for it."""
    found = of(settings(tmp_path, {}, LOCAL))

    assert (found.user, found.secret, found.origin) == ("admin", "admin", "http://localhost:2990")
    assert found.header() == "Basic YWRtaW46YWRtaW4="
    assert found.secrets == ()


def test_the_default_is_no_secret_where_it_is_written_down_either(tmp_path: Path) -> None:
    """Masking it would take the user's name out of every sentence; elsewhere it is one."""
    given = {"UPM_DEV_PASSWORD": "admin"}

    assert of(settings(tmp_path, given, LOCAL)).secrets == ()
    assert of(settings(tmp_path, given, REMOTE)).secrets == ("admin", "YWRtaW46YWRtaW4=")


def test_another_user_has_no_default(tmp_path: Path) -> None:
    """Nor has a target on another machine: the message names what to set."""
    assert refused(settings(tmp_path, {"UPM_DEV_USER": "bob"}, LOCAL)).code == "CREDENTIALS-MISSING"

    missing = refused(settings(tmp_path, {}, REMOTE))

    assert "UPM_DEV_JIRA_PASSWORD" in missing.remedy
    assert REMOTE in missing.reason


@pytest.mark.parametrize(
    ("environ", "user", "secret", "source"),
    [
        ({"UPM_DEV_JIRA_TOKEN": "t1"}, None, "t1", "UPM_DEV_JIRA_TOKEN"),
        ({"UPM_DEV_JIRA_PASSWORD": "p1"}, "admin", "p1", "UPM_DEV_JIRA_PASSWORD"),
        ({"UPM_DEV_TOKEN": "t2"}, None, "t2", "UPM_DEV_TOKEN"),
        ({"UPM_DEV_PASSWORD": "p2", "UPM_DEV_USER": "bob"}, "bob", "p2", "UPM_DEV_PASSWORD"),
        (
            {"UPM_DEV_JIRA_PASSWORD": "p1", "UPM_DEV_TOKEN": "t2"},
            "admin",
            "p1",
            "UPM_DEV_JIRA_PASSWORD",
        ),
    ],
)
def test_the_environment(
    tmp_path: Path, environ: dict[str, str], user: str | None, secret: str, source: str
) -> None:
    """A target's own names before the common ones, a token before a password."""
    found = of(settings(tmp_path, environ, REMOTE))

    assert (found.user, found.secret, found.source) == (user, secret, source)
    assert found.header().startswith("Bearer " if user is None else "Basic ")


def test_common_names_are_for_a_single_target(tmp_path: Path) -> None:
    """With several nobody said whose the password is."""
    found = settings(tmp_path, {"UPM_DEV_PASSWORD": "p"}, REMOTE, "https://other.example")

    assert refused(found).code == "CREDENTIALS-MISSING"


def test_dotenv_is_part_of_the_environment(tmp_path: Path) -> None:
    """With the environment before it."""
    (tmp_path / ".env").write_text("UPM_DEV_JIRA_PASSWORD=file\n", encoding="utf-8")

    assert of(settings(tmp_path, {}, REMOTE)).secret == "file"
    assert of(settings(tmp_path, {"UPM_DEV_JIRA_PASSWORD": "env"}, REMOTE)).secret == "env"


def test_user_info_of_a_url_in_the_environment(tmp_path: Path) -> None:
    """After the names that were made for secrets."""
    environ = {"UPM_DEV_TARGET": "https://bob:p%40w@jira.example.com/jira"}

    found = of(settings(tmp_path, environ))

    assert (found.user, found.secret) == ("bob", "p@w")
    assert "p@w" not in f"{found} {found!r}"
    assert of(settings(tmp_path, {**environ, "UPM_DEV_JIRA_TOKEN": "t"})).secret == "t"


COMMAND = '[targets.jira]\nurl = "{url}"\nuser = "bob"\npassword-command = {command!r}\n'


def with_command(root: Path, program: str, url: str = REMOTE) -> Settings:
    """Settings with a password-command that runs a Python program."""
    file = root / "command.py"
    file.write_text(program, encoding="utf-8")
    command = f'"{sys.executable}" "{file}"'
    return settings(root, {}, toml=COMMAND.format(url=url, command=command))


def test_a_password_commands_first_line_is_the_password(tmp_path: Path) -> None:
    """As it is, but for the end of the line."""
    found = of(with_command(tmp_path, "print(' s3cret ä\\r\\nurl: x')"), trusted=True)

    assert (found.user, found.secret) == ("bob", " s3cret ä")
    assert found.source == "password-command of jira"


def test_a_password_command_runs_only_where_it_is_trusted(tmp_path: Path) -> None:
    """The project may be somebody else's."""
    ran = tmp_path / "ran"
    found = with_command(tmp_path, f"open({str(ran)!r}, 'w')")

    assert refused(found).code == "CREDENTIALS-NOT-TRUSTED"
    assert not ran.exists()


def test_a_password_command_sees_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UPM_DEV_* stays here; PATH and the rest is handed on."""
    monkeypatch.setenv("UPM_DEV_WIKI_TOKEN", "t")
    monkeypatch.setenv("PASSED_ON", "yes")
    program = "import os; print([n for n in os.environ if 'UPM' in n], os.environ['PASSED_ON'])"

    assert of(with_command(tmp_path, program), trusted=True).secret == "[] yes"


@pytest.mark.parametrize(
    ("program", "words"),
    [("raise SystemExit(3)", "ended with 3"), ("", "printed nothing"), ("print()", "nothing")],
)
def test_a_password_command_that_fails(tmp_path: Path, program: str, words: str) -> None:
    """What it printed is not shown; nothing else is tried in its place."""
    failed = refused(with_command(tmp_path, program, LOCAL), trusted=True)

    assert failed.code == "CREDENTIALS-COMMAND"
    assert words in failed.reason


def test_a_password_command_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended, and what it had printed so far is in no exception."""
    monkeypatch.setattr(credentials, "COMMAND_SECONDS", 0.5)
    found = with_command(tmp_path, "print('s3cret', flush=True); import time; time.sleep(50)")
    before = time.monotonic()

    failed = refused(found, trusted=True)

    assert time.monotonic() - before < 10
    assert "did not end" in failed.reason
    assert failed.__cause__ is None
    assert failed.__suppress_context__


KEYRING = '''
import json
from keyring.errors import KeyringError

def get_password(service, user):
    """A keyring whose secrets stand in its own file."""
    if SECRETS is None:
        raise KeyringError("locked")
    return SECRETS.get(f"{service}|{user}")
'''


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that a test can make into the keyring."""
    installed = {name: sys.modules.pop(name, None) for name in ("keyring", "keyring.errors")}
    folder = tmp_path / "site" / "keyring"
    folder.mkdir(parents=True)
    (folder / "errors.py").write_text("class KeyringError(Exception): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(folder.parent)
    yield folder / "__init__.py"
    for name, module in installed.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


@pytest.mark.parametrize(
    ("secrets", "user", "secret"),
    [
        ({"upm-dev https://jira.example.com:443|bob": "p"}, "bob", "p"),
        ({"upm-dev https://jira.example.com:443|Bearer token": "t"}, None, "t"),
    ],
)
def test_a_keyring_has_secrets_by_origin(
    tmp_path: Path, keyring: Path, secrets: dict[str, str], user: str | None, secret: str
) -> None:
    """A target that is renamed keeps its secret; one that moves does not take it along."""
    keyring.write_text(f"{KEYRING}\nSECRETS = {secrets!r}\n", encoding="utf-8")

    found = of(settings(tmp_path, {"UPM_DEV_USER": "bob"}, REMOTE))

    assert (found.user, found.secret, found.source) == (user, secret, "the keyring")
    assert (
        refused(settings(tmp_path, {"UPM_DEV_USER": "bob"}, "https://jira.example.com:8443")).code
        == "CREDENTIALS-MISSING"
    )


@pytest.mark.parametrize("secrets", ["None", "{}"])
def test_a_keyring_that_has_nothing_to_say(tmp_path: Path, keyring: Path, secrets: str) -> None:
    """Locked or empty: the next place may have it."""
    keyring.write_text(f"{KEYRING}\nSECRETS = {secrets}\n", encoding="utf-8")

    assert of(settings(tmp_path, {}, LOCAL)).secret == "admin"


def test_netrc(tmp_path: Path, no_netrc: Path) -> None:
    """The entry of the host, with its own user unless another one was asked for."""
    no_netrc.write_text(
        "machine other.example login x password y\n"
        "machine jira.example.com login bob password s3cret\n"
        "default login eve password stolen\n",
        encoding="utf-8",
    )
    no_netrc.chmod(0o600)

    found = of(settings(tmp_path, {}, REMOTE))

    assert (found.user, found.secret, found.source) == ("bob", "s3cret", str(no_netrc))
    assert of(settings(tmp_path, {"UPM_DEV_USER": "bob"}, REMOTE)).secret == "s3cret"
    assert (
        refused(settings(tmp_path, {"UPM_DEV_USER": "eve"}, REMOTE)).code == "CREDENTIALS-MISSING"
    )
    assert refused(settings(tmp_path, {}, "https://unknown.example")).code == "CREDENTIALS-MISSING"
    assert refused(settings(tmp_path, {}, "https://default")).code == "CREDENTIALS-MISSING"


def test_a_netrc_that_others_can_read_is_refused(tmp_path: Path, no_netrc: Path) -> None:
    """Where it has this host's password; else it is none of our business."""
    no_netrc.write_text("machine jira.example.com login bob password s3cret\n", encoding="utf-8")
    no_netrc.chmod(0o644)

    found = refused(settings(tmp_path, {}, REMOTE))

    assert found.code == "CREDENTIALS-NETRC-OPEN"
    assert found.remedy == f"chmod 600 {no_netrc}"
    assert of(settings(tmp_path, {}, LOCAL)).secret == "admin"


@pytest.mark.parametrize(
    "data", [b"machine jira.example.com\nlogn x\n", b"machine jira.example.com \xff\n", None]
)
def test_a_broken_netrc(tmp_path: Path, no_netrc: Path, data: bytes | None) -> None:
    """Said where it names the host, passed over where it does not."""
    no_netrc.write_bytes(data or b"machine jira.example.com login a password s3cret huh\n")
    no_netrc.chmod(0o600)

    found = refused(settings(tmp_path, {}, REMOTE))

    assert found.code == "CREDENTIALS-NETRC"
    assert "s3cret" not in str(found)
    assert found.__suppress_context__
    assert of(settings(tmp_path, {}, LOCAL)).secret == "admin"


def test_the_user_is_asked_last(tmp_path: Path) -> None:
    """Not where the SDK's default will do; the question names user and target."""
    asked: list[str] = []

    def prompt(question: str) -> str:
        asked.append(question)
        return "typed"

    local, remote = settings(tmp_path, {}, LOCAL), settings(tmp_path, {}, REMOTE)
    assert find(local.targets[0], local, prompt=prompt).secret == "admin"
    assert asked == []

    found = find(remote.targets[0], remote, prompt=prompt)

    assert (found.user, found.secret, found.source) == ("admin", "typed", "the prompt")
    assert asked == [f"Password of admin for jira ({REMOTE})"]
    assert ask(local.targets[0], prompt).secret == "typed"


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://jira.example.com:8080/jira", "jira.example.com", 8080),
        ("http://192.0.2.7", "192.0.2.7", 80),
    ],
)
def test_nothing_goes_over_plain_http_to_another_machine(
    tmp_path: Path, url: str, host: str, port: int
) -> None:
    """Not even a question is asked; the remedy is a tunnel."""
    found = settings(tmp_path, {"UPM_DEV_PASSWORD": "hunter2"}, url)

    failed = refused(found)

    assert failed.code == "CREDENTIALS-PLAIN-HTTP"
    assert f"ssh -L {port}:localhost:{port} {host}" in failed.remedy
    assert "hunter2" not in str(failed)
    with pytest.raises(CredentialsRejected):
        ask(found.targets[0], pytest.fail)


def test_credentials_are_bound_to_an_origin() -> None:
    """Scheme, host and port; the path is the host's own business."""
    found = Credentials(origin="https://h:443", user="u", secret="s", source="x")

    assert found.covers("https://H/jira/rest")
    for other in ("http://localhost/", "https://h:8443/", "https://h.evil.example/"):
        assert not found.covers(other)


def test_credentials_show_no_secret() -> None:
    """Neither as text nor to a debugger, and they cannot be changed."""
    basic = Credentials(origin="https://h:443", user="bob", secret="hunter2", source="a file")
    token = Credentials(origin="https://h:443", secret="hunter2", source="a file")

    assert str(basic) == "user bob from a file"
    assert str(token) == "Bearer token from a file"
    assert "hunter2" not in repr(basic) + repr(token)
    assert token.header() == "Bearer hunter2"
    assert basic.secrets == ("hunter2", "Ym9iOmh1bnRlcjI=")
    with pytest.raises(AttributeError):
        basic.secret = "x"  # type: ignore[misc]


def test_the_environment_of_a_child() -> None:
    """Everything but ours."""
    assert for_child({"PATH": "/bin", "UPM_DEV_TOKEN": "t", "UPM_DEV_TARGET": "http://a:b@c"}) == {
        "PATH": "/bin"
    }
