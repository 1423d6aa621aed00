"""The command line's frame: help, versions, errors and exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from devserver import cli
from devserver.cli import COMMANDS, Commands, main, options
from devserver.cli.options import OPTIONS
from devserver.errors import (
    CannotStart,
    CredentialsRejected,
    NotConfirmed,
    PortInUse,
    TargetRefused,
    TargetUnavailable,
    UpmDevError,
    UsageError,
)
from devserver.settings import Settings
from devserver.settings.table import BY_NAME, SETTINGS


def run(
    *arguments: str, environ: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """The real process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("UPM_DEV_")}
    return subprocess.run(
        [sys.executable, "-m", "devserver", *arguments],
        capture_output=True,
        text=True,
        env={**kept, **(environ or {})},
        timeout=30,
        check=False,
    )


def group(body: Callable[[], object]) -> click.Group:
    """A group like `main` whose one command runs *body*."""

    @click.command()
    def command() -> None:
        body()

    class One(Commands):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return command

    return One(name="upm-dev")


def raising(error: BaseException) -> Callable[[], object]:
    def body() -> None:
        raise error

    return body


def test_the_table_has_every_command_and_no_other() -> None:
    """A module with a `command` is listed, and what is listed is there."""
    modules = {file.stem for file in Path(cli.__file__).parent.glob("[a-z]*.py")}
    there = {
        name.replace("_", "-")
        for name in modules
        if hasattr(import_module(f"devserver.cli.{name}"), "command")
    }

    assert there == set(COMMANDS)
    for name in COMMANDS:
        found = main.get_command(click.Context(main), name)
        assert isinstance(found, click.Command)
        assert found.help, f"{name} says what it does"


def test_help_lists_every_command() -> None:
    """In the order of the table, with what each does."""
    result = CliRunner().invoke(main, ["--help"])

    assert result.exit_code == 0
    places = [result.stdout.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """-h is short for --help."""
    result = CliRunner().invoke(main, [name, "-h"])

    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_without_a_command_the_help_is_shown() -> None:
    """And the exit code says that nothing was done."""
    result = CliRunner().invoke(main, [])

    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_version() -> None:
    """The real process says its name and version, and nothing on stderr."""
    done = run("--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, "upm-dev 0.1.0\n", "")


def test_a_misspelt_command_is_met_with_a_question() -> None:
    """Usage mistakes are exit code 2 and go to stderr."""
    result = CliRunner().invoke(main, ["servr"])

    assert (result.exit_code, result.stdout) == (2, "")
    assert "serve" in result.stderr.partition("servr")[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpmDevError("it is so"), 1),
        (UsageError("it is so", remedy="do this"), 2),
        (CannotStart("it is so"), 3),
        (PortInUse("127.0.0.1", 8000), 3),
        (TargetUnavailable("it is so"), 4),
        (CredentialsRejected("it is so", code="X-Y"), 5),
        (TargetRefused("it is so"), 6),
        (NotConfirmed("it is so"), 7),
    ],
)
def test_an_error_is_shown_once_with_its_exit_code(error: UpmDevError, code: int) -> None:
    """Two lines on stderr at most, nothing on stdout, no traceback."""
    result = CliRunner().invoke(group(raising(error)), ["x"])

    assert (result.exit_code, result.stdout) == (code, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error")
    assert lines[0].endswith(error.reason)
    assert lines[1:] == ([f"  {error.remedy}"] if error.remedy else [])
    assert (f"[{error.code}]" in lines[0]) is bool(error.code)


def test_an_error_shows_no_secret_and_steers_no_terminal() -> None:
    """Reasons quote hosts and URLs, which are not ours."""
    error = UsageError("no \x1b[2J at http://a:hunter2@h", remedy="password=hunter2\nsecond")

    result = CliRunner().invoke(group(raising(error)), ["x"])

    assert "hunter2" not in result.stderr
    assert "\x1b[2J" not in result.stderr
    assert len(result.stderr.splitlines()) == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_ends_with_130(error: BaseException) -> None:
    """Whether it came in the middle of work or of a question."""
    result = CliRunner().invoke(group(raising(error)), ["x"])

    assert (result.exit_code, result.output) == (130, "")


def test_a_mistake_of_our_own_is_a_traceback() -> None:
    """Only what we know is shown as an error."""
    result = CliRunner().invoke(group(raising(ZeroDivisionError())), ["x"])

    assert isinstance(result.exception, ZeroDivisionError)


def test_mistakes_in_the_settings_are_shown_with_their_lines(tmp_path: Path) -> None:
    """On stderr, with the place and the fix, exit code 2, and without the secret."""
    (tmp_path / "upm-dev.toml").write_text(
        '[server]\nhots = 1\n[targets.a]\nurl = "http://h"\npassword = "hunter2"\n',
        encoding="utf-8",
    )

    done = run("validate", str(tmp_path))

    assert (done.returncode, done.stdout) == (2, "")
    assert "upm-dev.toml:2:1" in done.stderr
    assert "hots = 1" in done.stderr
    assert "did you mean host?" in done.stderr
    assert "C006" in done.stderr
    assert "hunter2" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("environ", "flags", "coloured"),
    [
        ({"FORCE_COLOR": "1"}, (), True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False),
        ({"FORCE_COLOR": "1"}, ("--no-color",), False),
        ({}, (), False),
    ],
)
def test_errors_have_colours_as_the_user_wished(
    tmp_path: Path, environ: dict[str, str], flags: tuple[str, ...], coloured: bool
) -> None:
    """The frame honours the same wishes as the commands."""
    plain = {"NO_COLOR": "", "FORCE_COLOR": "", "TERM": "xterm"}

    done = run("validate", *flags, str(tmp_path / "nowhere"), environ={**plain, **environ})

    assert done.returncode == 2
    assert ("\x1b[" in done.stderr) is coloured


def test_shared_options_are_settings() -> None:
    """Each option has a setting with its environment name, and each such setting an option."""
    assert set(OPTIONS) == {each.name for each in SETTINGS if each.flag}
    for name, (flags, _) in OPTIONS.items():
        assert flags[-1] == f"--{BY_NAME[name].key}"
        assert BY_NAME[name].variable == "UPM_DEV_" + flags[-1].strip("-").replace("-", "_").upper()


def settings(*arguments: str, environ: dict[str, str] | None = None) -> tuple[Settings, str]:
    """The settings that a command with every shared option gets, and what was said on the way."""
    got: list[Settings] = []

    @click.command()
    @options.project
    @options.shared(*OPTIONS)
    def command(project: Path, **given: object) -> None:
        got.append(options.settings_of(project, {**given, "other": 1}))

    silent = {name: None for name in os.environ if name.startswith("UPM_DEV_")}
    result = CliRunner().invoke(command, arguments, env={**silent, **(environ or {})})
    assert result.exit_code == 0, result.output
    return got[0], result.stderr


def test_every_shared_option_reaches_its_setting(tmp_path: Path) -> None:
    """As it is spelt on the command line."""
    found, _ = settings(
        str(tmp_path),
        *("--target", "http://a/x", "--target", "http://b/y", "--user", "u"),
        *("--port", "0", "--dashboard-port", "0", "--host", "0.0.0.0"),
        *("--public-url", "https://p", "--json", "--trust", "--log-file", "l", "--open"),
        *("--poll", "--timeout", "1.5", "--keep", "-vv", "--no-color"),
    )

    assert [each.url for each in found.targets] == ["http://a/x", "http://b/y"]
    assert {each.user for each in found.targets} == {"u"}
    assert (found.port, found.dashboard_port, found.host) == (0, 0, "0.0.0.0")
    assert (found.public_url, found.log_file, found.timeout) == ("https://p", Path("l"), 1.5)
    assert all((found.json, found.trust, found.open, found.poll, found.keep))
    assert (found.verbose, found.quiet, found.colour) == (2, False, False)


def test_warnings_of_the_settings_go_to_stderr(tmp_path: Path) -> None:
    """Unless the user wants quiet."""
    environ = {"UPM_DEV_TARGT": "x"}

    assert "did you mean UPM_DEV_TARGET?" in settings(str(tmp_path), environ=environ)[1]
    assert settings(str(tmp_path), "-q", environ=environ)[1] == ""


def test_nobody_is_asked_in_a_script() -> None:
    """Without a terminal there is no question, so no script waits for an answer."""
    program = "from devserver.cli import questions as q; print(q.confirm(), q.secret())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "None None\n"


def test_questions_on_a_terminal() -> None:
    """They stand on stderr, a secret is not echoed, and no is the default."""
    import pty

    program = (
        "from devserver.cli import questions as q\n"
        "c, s = q.confirm(), q.secret()\n"
        "print([c('Trust?'), c('Sure?'), s('Password')])"
    )
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=follower, stdout=subprocess.PIPE, stderr=follower
    ) as process:
        os.close(follower)
        seen = b""
        for question, answer in ((b"Trust?", b"y\n"), (b"Sure?", b"\n"), (b"Password", b"pw1\n")):
            while question not in seen:
                seen += os.read(leader, 1000)
            while not seen.endswith(b": "):
                seen += os.read(leader, 1000)
            os.write(leader, answer)
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(leader)

    assert printed == b"[True, False, 'pw1']\n"
    assert b"pw1" not in seen
