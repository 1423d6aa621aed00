"""Settings: what counts where, and every mistake with its place."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver.model import Diagnostic
from devserver.settings import CODES, Settings, SettingsInvalid, load


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    return root.resolve()


def write(root: Path, text: str, name: str = "upm-dev.toml") -> None:
    (root / name).write_text(text, encoding="utf-8")
    (root / name).chmod(0o600)


def mistakes(
    root: Path,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[Diagnostic, ...]:
    """What is wrong; an error if nothing is."""
    with pytest.raises(SettingsInvalid) as caught:
        load(root, flags or {}, environ or {})
    assert caught.value.exit_code == 2
    return caught.value.diagnostics


def only(found: tuple[Diagnostic, ...]) -> Diagnostic:
    (diagnostic,) = found
    assert diagnostic.code in CODES
    assert diagnostic.fix, "every mistake says what to do"
    return diagnostic


def test_nothing_said_gives_the_defaults(project: Path) -> None:
    """A project without settings is served on 8000 of both loopbacks, with no target."""
    settings = load(project, {}, {})

    assert settings.root == project
    assert (settings.host, settings.port, settings.dashboard_port) == (None, 8000, None)
    assert settings.targets == ()
    assert settings.timeout == 30.0
    assert settings.descriptor is None
    assert settings.colour is None
    assert not settings.warnings


def test_everything_a_file_may_say(project: Path) -> None:
    """Each key of the two tables reaches its setting."""
    write(
        project,
        """
[app]
descriptor = "./src/atlassian-plugin.xml.j2"
variables = { name = "Hello", n = 3, deep = { a = [1, 2] } }
variables-files = ["variables.toml"]
env = ["HOME"]
backend = "http://localhost:3000/"
command = "python app.py"
jar = "target/*.jar"

[server]
host = "0.0.0.0"
port = 9000
dashboard-port = 0
public-url = "https://abc.example.org/"
allowed-hosts = ["abc.example.org"]
timeout = 12
poll = true
keep = true
open = true
log-file = "upm-dev.log"
""",
    )

    settings = load(project, {}, {})

    assert settings.descriptor == "src/atlassian-plugin.xml.j2"
    assert settings.variables == {"name": "Hello", "n": 3, "deep": {"a": [1, 2]}}
    assert settings.variables_files == ("variables.toml",)
    assert settings.env == ("HOME",)
    assert settings.backend == "http://localhost:3000"
    assert settings.command == "python app.py"
    assert settings.jar == "target/*.jar"
    assert (settings.host, settings.port, settings.dashboard_port) == ("0.0.0.0", 9000, 0)
    assert settings.public_url == "https://abc.example.org"
    assert settings.allowed_hosts == ("abc.example.org",)
    assert settings.timeout == 12.0
    assert (settings.poll, settings.keep, settings.open) == (True, True, True)
    assert settings.log_file == Path("upm-dev.log")
    assert settings.files == ("upm-dev.toml",)


def test_each_place_wins_over_those_below(project: Path) -> None:
    """Flag, environment, .env, upm-dev.toml, pyproject.toml: the first that speaks counts."""
    write(project, "[tool.upm-dev.server]\nport = 1\n", "pyproject.toml")
    assert load(project, {}, {}).port == 1
    write(project, "[server]\nport = 2\n")
    assert load(project, {}, {}).port == 2
    write(project, "UPM_DEV_PORT=3\n", ".env")
    assert load(project, {}, {}).port == 3
    assert load(project, {}, {"UPM_DEV_PORT": "4"}).port == 4
    assert load(project, {"port": 5}, {"UPM_DEV_PORT": "4"}).port == 5
    assert load(project, {"port": None}, {"UPM_DEV_PORT": ""}).port == 3
    assert load(project, {"port": 0}, {}).port == 0


def test_flags_that_were_not_given_say_nothing(project: Path) -> None:
    """False, None, no repetition and no -v leave the word to the environment."""
    silent = {"keep": False, "target": (), "verbose": 0, "user": None, "json": False}
    environ = {"UPM_DEV_KEEP": "yes", "UPM_DEV_VERBOSE": "5", "UPM_DEV_JSON": "off"}

    settings = load(project, silent, environ)

    assert settings.keep
    assert settings.verbose == 2
    assert not settings.json


def test_only_our_names_of_dotenv_count(project: Path) -> None:
    """`.env` belongs to the app as well: other names are neither read nor kept."""
    write(
        project,
        "# a comment\n"
        "DATABASE=postgres://u:p@h/db\n"
        "export UPM_DEV_USER='bob # not a comment'\n"
        'UPM_DEV_JIRA_PASSWORD="a\\"b\\n$c" # a comment\n'
        "UPM_DEV_TOKEN = t#1 # a comment\n"
        "UPM_DEV_PASSWORD=\n",
        ".env",
    )

    settings = load(project, {"target": ("http://localhost:2990/jira",)}, {})

    assert settings.targets[0].user == "bob # not a comment"
    assert settings.environ == {
        "UPM_DEV_USER": "bob # not a comment",
        "UPM_DEV_JIRA_PASSWORD": 'a"b\n$c',
        "UPM_DEV_TOKEN": "t#1",
        "UPM_DEV_PASSWORD": "",
    }
    assert "t#1" not in repr(settings)


def test_a_dotenv_line_that_cannot_be_read_is_told_with_its_place(project: Path) -> None:
    """An unclosed quote is a mistake, and what stands behind it is not shown."""
    write(project, 'A=1\n  UPM_DEV_PASSWORD="hunter2\nUPM_DEV_PORT\n', ".env")

    first, second = mistakes(project)

    assert (first.code, str(first.position)) == ("C011", ".env:2:3")
    assert (second.code, str(second.position)) == ("C011", ".env:3:1")
    assert "hunter2" not in repr(first)


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("[app\n", "C001", "1:5", "TOML"),
        ('a = "x', "C001", "1:7", "TOML"),
        ("[server]\nhots = 1\n", "C002", "2:1", "did you mean host?"),
        ("[server]\npublic_url = 'http://a'\n", "C002", "2:1", "did you mean public-url?"),
        ("[app]\n  port = 1\n", "C002", "2:3", "move it below [server]"),
        ("[aap]\n", "C002", "1:2", "did you mean [app]?"),
        ("[wholly-other]\n", "C002", "1:2", "app, server, targets"),
        ("port = 1\n", "C002", "1:1", "move it below [server]"),
        ("[server]\nxyzzy = 1\n", "C002", "2:1", "there are host, port"),
        ("[server]\nquiet = true\n", "C013", "2:1", "--quiet"),
        ("[server]\ntrust = true\n", "C013", "2:1", "--trust"),
        ("app = 3\n", "C003", "1:1", "[app]"),
        ("[server]\nport = '8000'\n", "C003", "2:8", "a whole number, not text"),
        ("[server]\nport = true\n", "C003", "2:8", "a whole number, not true or false"),
        ("[server]\nport = 1.5\n", "C003", "2:8", "not a number"),
        ("[server]\nport = 1979-05-27\n", "C003", "2:8", "something else"),
        ("[server]\npoll = 1\n", "C003", "2:8", "true or false"),
        ("[app]\nenv = 'HOME'\n", "C003", "2:7", "a list of texts"),
        ("[app]\nenv = ['HOME', 1]\n", "C003", "2:7", "with something else in it"),
        ("[app]\nvariables = ['a']\n", "C003", "2:13", "a table"),
        ("[server]\nport = 65536\n", "C004", "2:8", "no port"),
        ("[server]\ntimeout = 0\n", "C004", "2:11", "no time to wait"),
        ("[server]\ntimeout = nan\n", "C004", "2:11", "no time to wait"),
        ("[server]\nhost = 'http://a'\n", "C004", "2:8", "no address"),
        ("[app]\ndescriptor = ''\n", "C004", "2:14", "missing"),
        ("[app]\nbackend = 'localhost:3000'\n", "C005", "2:11", "not a URL"),
        ("[app]\nbackend = 'http://a:b@c'\n", "C006", "2:11", "user info"),
        ("[app]\nenv = ['UPM_DEV_TOKEN']\n", "C006", "2:7", "UPM_DEV_TOKEN"),
        ("[app]\ndescriptor = '../a.xml'\n", "C010", "2:14", "outside"),
        ("[app]\ndescriptor = 'a/../../b'\n", "C010", "2:14", "outside"),
        ("[app]\ndescriptor = '/etc/passwd'\n", "C010", "2:14", "outside"),
        ("[app]\nvariables-files = ['a.toml', '~/b']\n", "C010", "2:19", "outside"),
        ("[app]\njar = 'C:\\x.jar'\n", "C010", "2:7", "outside"),
        ("targets = 3\n", "C003", "1:1", "[targets]"),
        ("[targets]\njira = 'http://a'\n", "C003", "2:1", "a table"),
        ("[targets.jira]\nuser = 'a'\n", "C002", "1:10", "has no url"),
        ("[targets.jira]\nurl = 'jira'\n", "C005", "2:7", "not a URL"),
        ("[targets.jira]\nurl = 'ftp://jira'\n", "C005", "2:7", "not http"),
        ("[targets.jira]\nurl = 'http://a b/'\n", "C005", "2:7", "blank"),
        ("[targets.jira]\nurl = 'http://a'\nusr = 'x'\n", "C002", "3:1", "did you mean user?"),
        ("[targets.jira]\nurl = 'http://a'\ndev = 1\n", "C003", "3:7", "true or false"),
        ("[targets.jira]\nurl = 'http://u:hunter2@a'\n", "C006", "2:7", "user info"),
        ("[targets.jira]\nurl = 'http://a'\npassword = 'hunter2'\n", "C006", "3:1", "JIRA_PASS"),
        ("[targets.jira-eu]\nurl = 'http://a'\ntoken = 'hunter2'\n", "C006", "3:1", "JIRA_EU_"),
        ("[server]\npassword = 'hunter2'\n", "C006", "2:1", "UPM_DEV_PASSWORD"),
        ("[targets.'a b']\nurl = 'http://a'\n", "C004", "1:10", "no name for a target"),
        (
            "[targets.a-b]\nurl = 'http://a'\n[targets.a_b]\nurl = 'http://b'\n",
            "C008",
            "3:10",
            "UPM_DEV_A_B_PASSWORD",
        ),
    ],
)
def test_a_mistake_in_the_settings_file(
    project: Path, text: str, code: str, place: str, words: str
) -> None:
    """Each mistake has a code, its line and column, and says what to do."""
    write(project, text)

    with pytest.raises(SettingsInvalid) as caught:
        load(project, {}, {})

    found = only(caught.value.diagnostics)
    assert (found.code, str(found.position)) == (code, f"upm-dev.toml:{place}")
    assert words in f"{found.message} {found.fix}"
    told = f"{caught.value} {caught.value.diagnostics} {caught.value.sources}"
    assert "hunter2" not in told


def test_mistakes_of_pyproject_have_their_place_in_it(project: Path) -> None:
    """The table stands in another program's file, and is placed there."""
    write(
        project,
        '[project]\nname = "x"\n\n[tool.upm-dev.server]\nprot = 1\n',
        "pyproject.toml",
    )

    found = only(mistakes(project))

    assert str(found.position) == "pyproject.toml:5:1"
    assert found.fix == "did you mean port?"


@pytest.mark.parametrize(
    "text", ["[tool.other]\n", "this is no TOML at all", "# upm-dev\n[tool]\nx = 1\n"]
)
def test_another_programs_pyproject_is_none_of_our_business(project: Path, text: str) -> None:
    """A pyproject.toml without our table says nothing, however broken it is."""
    write(project, text, "pyproject.toml")

    assert load(project, {}, {}).files == ()


def test_our_table_in_pyproject_has_to_be_one(project: Path) -> None:
    """`tool.upm-dev = 3` is a mistake at its place."""
    write(project, "[tool]\nupm-dev = 3\n", "pyproject.toml")

    found = only(mistakes(project))

    assert (found.code, str(found.position)) == ("C003", "pyproject.toml:2:1")


def test_all_mistakes_are_told_at_once(project: Path) -> None:
    """Nobody mends one line to be told of the next."""
    write(project, "[server]\nhots = 1\nport = 'x'\n[targets.a]\nurl = 3\n")

    found = mistakes(project, {"timeout": -1.0}, {"UPM_DEV_POLL": "maybe"})

    assert [str(each.position) for each in found] == [
        "command line",
        "environment",
        "upm-dev.toml:2:1",
        "upm-dev.toml:3:8",
        "upm-dev.toml:5:7",
        "upm-dev.toml:4:10",
    ]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("PORT", "x", "C003"),
        ("PORT", "70000", "C004"),
        ("TIMEOUT", "soon", "C003"),
        ("TIMEOUT", "inf", "C004"),
        ("KEEP", "maybe", "C003"),
        ("PUBLIC_URL", "abc", "C005"),
        ("TARGET", "nowhere", "C007"),
        ("TARGET", "localhost:2990/jira", "C005"),
    ],
)
def test_a_mistake_in_the_environment(project: Path, name: str, value: str, code: str) -> None:
    """The variable is named, whether it stands in the environment or in .env."""
    variable = f"UPM_DEV_{name}"

    found = only(mistakes(project, {}, {variable: value}))
    assert (found.code, found.position.file) == (code, "environment")
    assert variable in found.message

    write(project, f"\n{variable}={value}\n", ".env")
    found = only(mistakes(project))
    assert (found.code, str(found.position)) == (code, ".env:2:1")


def test_a_misspelt_variable_is_warned_of(project: Path) -> None:
    """UPM_DEV_PROT is set and does nothing: say so; names of other commands are left alone."""
    write(project, "UPM_DEV_TARGT=x\n", ".env")

    settings = load(project, {}, {"UPM_DEV_PUBLICURL": "x", "UPM_DEV_FAULTS": "y"})

    assert {(each.code, str(each.position), each.fix) for each in settings.warnings} == {
        ("C012", ".env:1:1", "did you mean UPM_DEV_TARGET?"),
        ("C012", "environment", "did you mean UPM_DEV_PUBLIC_URL?"),
    }


def test_a_project_cannot_trust_itself(project: Path) -> None:
    """UPM_DEV_TRUST counts in the environment, and is refused in the project's .env."""
    assert load(project, {}, {"UPM_DEV_TRUST": "1"}).trust
    assert load(project, {"trust": True}, {}).trust

    write(project, "UPM_DEV_TRUST=1\n", ".env")

    assert only(mistakes(project)).code == "C013"


def test_a_dotenv_with_a_secret_that_others_can_read_is_warned_of(project: Path) -> None:
    """Only where it holds one: a port is no secret."""
    write(project, "UPM_DEV_PORT=1\n", ".env")
    (project / ".env").chmod(0o644)
    assert not load(project, {}, {}).warnings

    write(project, "UPM_DEV_JIRA_TOKEN=x\n", ".env")
    (project / ".env").chmod(0o644)

    (warning,) = load(project, {}, {}).warnings
    assert (warning.code, warning.fix) == ("C014", "chmod 600 .env")


def test_quiet_and_verbose_exclude_each_other(project: Path) -> None:
    """One of them would be lost silently."""
    found = only(mistakes(project, {"quiet": True}, {"UPM_DEV_VERBOSE": "1"}))

    assert found.code == "C015"


@pytest.mark.parametrize(
    ("data", "place"),
    [(b"\xff\xfe[\x00", "upm-dev.toml:1:1"), (b"[app]\n# \xc3\xa4 \xe4\n", "upm-dev.toml:2:5")],
)
def test_a_settings_file_has_to_be_utf_8(project: Path, data: bytes, place: str) -> None:
    """The first bad byte is placed."""
    (project / "upm-dev.toml").write_bytes(data)

    found = only(mistakes(project))

    assert (found.code, str(found.position)) == ("C001", place)


def test_a_byte_order_mark_and_crlf_are_passed_over(project: Path) -> None:
    """Windows editors write both."""
    (project / "upm-dev.toml").write_bytes(b"\xef\xbb\xbf[server]\r\nport = 'x'\r\n")

    assert str(only(mistakes(project)).position) == "upm-dev.toml:2:8"


def test_a_settings_file_that_cannot_be_read_is_a_mistake(project: Path) -> None:
    """A folder of that name is not taken for no file."""
    (project / "upm-dev.toml").mkdir()

    assert only(mistakes(project)).code == "C001"


def test_a_project_may_be_named_by_its_descriptor(project: Path) -> None:
    """The nearest folder that says it is a project is the root; the file named wins."""
    file = project / "src" / "main" / "resources" / "atlassian-plugin.xml"
    file.parent.mkdir(parents=True)
    file.write_text("<a/>", encoding="utf-8")
    assert load(file, {}, {}).root == file.parent
    assert load(file, {}, {}).descriptor == "atlassian-plugin.xml"

    (project / "pom.xml").write_text("<project/>", encoding="utf-8")
    settings = load(file, {}, {})
    assert settings.root == project
    assert settings.descriptor == "src/main/resources/atlassian-plugin.xml"

    write(project, "[app]\ndescriptor = 'other.xml'\n")
    assert load(file, {}, {}).descriptor == "src/main/resources/atlassian-plugin.xml"
    assert load(project, {}, {}).descriptor == "other.xml"


@pytest.mark.parametrize("sign", ["pom.xml", "upm-dev.toml", "pyproject.toml"])
def test_what_lies_above_the_repository_is_no_project(project: Path, sign: str) -> None:
    """The search for the root ends at the top of the repository."""
    write(project, "[tool.upm-dev]\n" if sign == "pyproject.toml" else "", sign)
    file = project / "repository" / "plugin" / "a.xml.j2"
    file.parent.mkdir(parents=True)
    file.write_text("<a/>", encoding="utf-8")
    assert load(file, {}, {}).root == project

    (project / "repository" / ".git").mkdir()

    assert load(file, {}, {}).root == file.parent


def test_a_project_that_is_not_there(project: Path) -> None:
    """The message names what was asked for."""
    found = only(mistakes(project / "nowhere"))

    assert (found.code, found.position.file) == ("C009", "command line")
    assert "nowhere is not there" in found.message


def test_a_project_behind_a_file_is_not_there(project: Path) -> None:
    """A path through a file leads nowhere."""
    (project / "file").write_text("", encoding="utf-8")

    assert only(mistakes(project / "file" / "x")).code == "C009"


@pytest.mark.parametrize(
    ("flags", "environ", "colour"),
    [
        ({}, {}, None),
        ({"no_color": True}, {"FORCE_COLOR": "1"}, False),
        ({}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ({}, {"NO_COLOR": ""}, None),
        ({}, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ({}, {"FORCE_COLOR": "0"}, False),
        ({}, {"TERM": "dumb"}, False),
        ({}, {"UPM_DEV_NO_COLOR": "0", "NO_COLOR": "1"}, True),
    ],
)
def test_colours_as_the_user_wished(
    project: Path, flags: Mapping[str, object], environ: Mapping[str, str], colour: bool | None
) -> None:
    """Our flag, then NO_COLOR, FORCE_COLOR, TERM=dumb; else the terminal decides."""
    assert load(project, flags, environ).colour is colour


def test_localhost_means_both_loopbacks(project: Path) -> None:
    """`--host localhost` is the default, spelt out."""
    assert load(project, {"host": "localhost"}, {}).host is None
    assert load(project, {"host": "[::1]"}, {}).host == "::1"


def test_the_digest_changes_with_what_the_files_say_and_where(project: Path) -> None:
    """Trust is bound to it: comments do not count, every value does, and so does the folder."""
    write(project, "[app]\ncommand = 'a'\n")
    first = load(project, {}, {}).digest
    write(project, "# hello\n[app]\ncommand = 'a'\n")
    assert load(project, {"port": 3}, {}).digest == first

    write(project, "[app]\ncommand = 'b'\n")
    assert load(project, {}, {}).digest != first
    other = project / "other"
    other.mkdir()
    write(other, "[app]\ncommand = 'a'\n")
    assert load(other, {}, {}).digest != first


def test_settings_cannot_be_changed(project: Path) -> None:
    """What was resolved stays, mappings included."""
    settings = load(project, {}, {})

    with pytest.raises(TypeError):
        settings.variables["a"] = 1  # type: ignore[index]
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


def test_every_code_is_told_in_a_line() -> None:
    """Codes are numbered without a gap, and each has its sentence."""
    assert list(CODES) == [f"C{number:03}" for number in range(1, len(CODES) + 1)]
    assert all(text.endswith(".") for text in CODES.values())


@given(st.text(alphabet=st.sampled_from("[]{}=.,\"'#\n abc1-_\\"), max_size=60))
def test_no_settings_file_is_a_crash(text: str) -> None:
    """Whatever stands in it, it is settings or mistakes with places inside the file."""
    check_no_crash(text, lambda root: load(root, {}, {}))


def check_no_crash(text: str, read: Callable[[Path], Settings]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, text)
        try:
            read(root)
        except SettingsInvalid as invalid:
            lines = text.split("\n")
            for each in invalid.diagnostics:
                assert 0 <= each.position.line <= len(lines)


@pytest.mark.parametrize("name", ["yes", "take_over", "allow_key_change"])
def test_a_project_cannot_agree_in_the_users_place(project: Path, name: str) -> None:
    """Consents come by flag or from the environment, from no file of the project."""
    variable = f"UPM_DEV_{name.upper()}"
    assert getattr(load(project, {}, {variable: "1"}), name)
    assert getattr(load(project, {name: True}, {}), name)
    (project / ".env").write_text(f"{variable}=1\n")
    with pytest.raises(SettingsInvalid) as caught:
        load(project, {}, {})

    assert caught.value.code == "C013"
    assert not getattr(load_without_dotenv(project), name)


def load_without_dotenv(project: Path) -> Settings:
    (project / ".env").unlink()
    return load(project, {}, {})


def test_check_every_is_a_setting(project: Path) -> None:
    """Flag, environment and file; no time at all is none."""
    assert load(project, {}, {}).check_every == 15
    (project / "upm-dev.toml").write_text("[server]\ncheck-every = 3\n")
    assert load(project, {}, {}).check_every == 3
    assert load(project, {}, {"UPM_DEV_CHECK_EVERY": "4.5"}).check_every == 4.5
    with pytest.raises(SettingsInvalid):
        load(project, {"check_every": -1.0}, {})


def test_a_ca_file_is_the_projects(project: Path) -> None:
    """Relative to the project's folder; one that is not there is told with its line."""
    settings = '[targets.jira]\nurl = "https://jira.example"\nca-file = "ca.pem"\n'
    (project / "upm-dev.toml").write_text(settings)
    with pytest.raises(SettingsInvalid) as caught:
        load(project, {}, {})
    assert "upm-dev.toml:3" in str(caught.value)
    (project / "ca.pem").write_text("x")

    (target,) = load(project, {}, {}).targets
    assert target.ca_file == str(project / "ca.pem")
