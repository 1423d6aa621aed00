"""Targets: by name, by URL, from the browser, from the environment."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devserver import addresses
from devserver.settings import SettingsInvalid, load
from devserver.settings.targets import secret_variable

SETTINGS = """\
[targets.jira]
url = "http://localhost:2990/jira/plugins/servlet/upm?source=side_nav"
user = "admin"
variables = { key_suffix = "-dev" }
password-command = "pass show jira"

[targets.wiki]
url = "https://wiki.example.com/wiki/"
dev = true
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "upm-dev.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path.resolve()


def test_all_targets_of_the_settings_are_the_default(project: Path) -> None:
    """In their order, with their own variables."""
    settings = load(project, {}, {})

    jira, wiki = settings.targets
    assert (jira.name, jira.url, jira.user) == ("jira", "http://localhost:2990/jira", "admin")
    assert jira.variables == {"key_suffix": "-dev"}
    assert (wiki.name, wiki.url, wiki.dev) == ("wiki", "https://wiki.example.com/wiki", True)
    assert settings.password_commands == {"jira": "pass show jira"}


def test_targets_are_picked_by_name_and_url(project: Path) -> None:
    """A URL of the settings is that target, variables and all; another one gets a name."""
    asked = ("wiki", "http://LOCALHOST:2990/jira/", "http://other:8080/jira")

    settings = load(project, {"target": asked}, {})

    assert [each.name for each in settings.targets] == ["wiki", "jira", "jira-2"]
    assert settings.targets[1].variables == {"key_suffix": "-dev"}


def test_a_target_that_was_not_picked_runs_no_command(project: Path) -> None:
    """Its password is nobody's business in this run."""
    assert not load(project, {"target": ("wiki",)}, {}).password_commands


def test_the_same_target_twice_is_one(project: Path) -> None:
    """By name and by URL, however it is written."""
    asked = ("jira", "http://localhost:2990/jira", "http://x/a", "http://x/a/#b")

    settings = load(project, {"target": asked}, {})

    assert [each.name for each in settings.targets] == ["jira", "a"]


def test_user_holds_for_all_targets(project: Path) -> None:
    """`--user` wins over the settings file."""
    settings = load(project, {"user": "bob"}, {})

    assert [each.user for each in settings.targets] == ["bob", "bob"]


def test_user_info_of_the_environment_is_split_off(project: Path) -> None:
    """The secret never stands in a Target, nor in what is shown of the settings."""
    environ = {"UPM_DEV_TARGET": "http://bob:hunter%402@localhost:2990/jira https://x@h/wiki"}

    settings = load(project, {}, environ)

    jira, wiki = settings.targets
    assert (jira.url, jira.user) == ("http://localhost:2990/jira", "bob")
    assert (wiki.name, wiki.user) == ("wiki-2", "x")
    assert settings.url_secrets == {"jira": "hunter@2"}
    assert "hunter" not in repr(settings)


def test_a_secret_goes_with_its_own_user(project: Path) -> None:
    """`--user` for somebody else leaves the URL's password unused."""
    environ = {"UPM_DEV_TARGET": "http://bob:hunter2@localhost:2990/jira"}

    assert load(project, {"user": "bob"}, environ).url_secrets == {"jira": "hunter2"}
    assert not load(project, {"user": "eve"}, environ).url_secrets


def test_user_info_on_the_command_line_is_refused(project: Path) -> None:
    """`ps` shows it; the message does not repeat it."""
    with pytest.raises(SettingsInvalid) as caught:
        load(project, {"target": ("http://bob:hunter2@h/jira",)}, {})

    (found,) = caught.value.diagnostics
    assert found.code == "C006"
    assert "hunter2" not in str(caught.value)
    assert "UPM_DEV_PASSWORD" in found.fix


@pytest.mark.parametrize(
    ("asked", "code", "fix"),
    [
        ("jirra", "C007", "did you mean jira?"),
        ("xyzzy", "C007", "there are jira, wiki"),
        ("localhost:2990/jira", "C005", "write http://localhost:2990/jira"),
        ("localhost", "C005", "write http://localhost"),
        ("http://", "C005", "write it like"),
        ("http://h:0/", "C005", "write it like"),
        ("http://h:port/", "C005", "write it like"),
        ("http://bob:a/b@h/", "C005", "%2F"),
        ("http://[::1/", "C005", "write it like"),
        ("http://-/", "C005", "write it like"),
    ],
)
def test_a_target_that_is_none(project: Path, asked: str, code: str, fix: str) -> None:
    """The message says what was probably meant."""
    with pytest.raises(SettingsInvalid) as caught:
        load(project, {"target": (asked,)}, {})

    (found,) = caught.value.diagnostics
    assert found.code == code
    assert fix in found.fix


def test_without_any_target_the_fix_is_to_add_one(tmp_path: Path) -> None:
    """There is nothing to be near to."""
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path, {"target": ("jira",)}, {})

    assert "[targets.jira]" in caught.value.remedy


def test_a_target_with_a_mistake_is_told_once(tmp_path: Path) -> None:
    """Asking for it by name adds no second message."""
    (tmp_path / "upm-dev.toml").write_text("[targets.a]\nurl = 'x'\n", encoding="utf-8")

    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path, {"target": ("a",)}, {})

    assert [each.code for each in caught.value.diagnostics] == ["C005"]


def test_upm_dev_toml_wins_key_by_key(project: Path) -> None:
    """A target may be told in both files."""
    (project / "pyproject.toml").write_text(
        '[tool.upm-dev.targets.wiki]\nurl = "https://old"\nuser = "bob"\n', encoding="utf-8"
    )

    wiki = load(project, {"target": ("wiki",)}, {}).targets[0]

    assert (wiki.url, wiki.user) == ("https://wiki.example.com/wiki", "bob")


@pytest.mark.parametrize(
    ("pasted", "base"),
    [
        ("http://h:2990/jira", "http://h:2990/jira"),
        ("http://h:2990/jira///", "http://h:2990/jira"),
        ("HTTP://H:80/jira", "http://h/jira"),
        ("https://h:443", "https://h"),
        (" http://h/ ", "http://h"),
        ("http://h/jira/plugins/servlet/upm", "http://h/jira"),
        ("http://h/jira/plugins/servlet/upm/manage/all?x=1#y", "http://h/jira"),
        ("http://h/secure/Dashboard.jspa", "http://h"),
        ("http://h/jira/secure/admin/ViewApplicationProperties.jspa", "http://h/jira"),
        ("http://h/jira/rest/plugins/1.0/", "http://h/jira"),
        ("http://h/confluence/pages/viewpage.action?pageId=1", "http://h/confluence"),
        ("http://h/confluence/dashboard.action", "http://h/confluence"),
        ("http://h/jira/browse/KEY-1", "http://h/jira"),
        ("http://h/jira/projects/KEY/issues/KEY-1?filter=x", "http://h/jira"),
        ("http://h/wiki/spaces/DS/overview", "http://h/wiki"),
        ("http://h/projects/PROJ/repos/app/browse", "http://h"),
        ("http://h/login.jsp", "http://h"),
        ("http://h/a/b", "http://h/a/b"),
        ("http://[::1]:2990/jira", "http://[::1]:2990/jira"),
    ],
)
def test_addresses_pasted_from_a_browser(pasted: str, base: str) -> None:
    """The context path stays, the product's own pages go."""
    assert addresses.parse(pasted, pasted=True).url == base
    assert addresses.parse(base, pasted=True).url == base


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://localhost:2990/jira", "jira"),
        ("https://jira.example.com", "jira"),
        ("http://localhost:2990", "localhost"),
        ("http://10.0.0.5:8080", "10.0.0.5"),
        ("http://[::1]:80", "1"),
        ("http://h/a%20b", "a-20b"),
        ("http://h/~", "target"),
    ],
)
def test_names_made_for_urls(url: str, name: str) -> None:
    """Short, and fit for a URL and an environment name."""
    assert addresses.name_for(url) == name


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://localhost:2990/jira", True),
        ("http://jira.localhost", True),
        ("http://LOCALHOST.", True),
        ("http://127.0.0.1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:80", True),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("http://192.0.2.1", False),
        ("http://[2001:db8::1]", False),
        ("http://0.0.0.0", False),
        ("http://224.0.0.1", False),
    ],
)
def test_which_hosts_are_this_machine(url: str, here: bool) -> None:
    """Loopback names and addresses; a name that merely begins like one is not."""
    assert addresses.is_this_machine(url) is here


def test_an_origin_always_has_its_port() -> None:
    """So that two spellings of one origin are equal."""
    assert addresses.origin("http://H/jira") == addresses.origin("http://h:80/") == "http://h:80"
    assert addresses.origin("https://[::1]/") == "https://[::1]:443"


def test_an_addresss_secret_is_not_shown() -> None:
    """Not even by a debugger's repr."""
    address = addresses.parse("http://bob:hunter2@h")

    assert (address.url, address.user, address.secret) == ("http://h", "bob", "hunter2")
    assert "hunter2" not in repr(address)


@pytest.mark.parametrize("host", [f"{'a' * 64}.example", "a..example", "a." * 130 + "b"])
def test_a_name_that_no_resolver_takes(host: str) -> None:
    """Known from the name alone: too long, or with an empty part."""
    with pytest.raises(addresses.NotAnAddress, match="no usable host"):
        addresses.parse(f"http://{host}/jira")


@pytest.mark.parametrize("host", [f"{'a' * 63}.example", "a.example.", "my_host", "x--1.y"])
def test_a_name_that_a_resolver_takes(host: str) -> None:
    """As long as it may be, and with what hosts in a company network have."""
    assert addresses.parse(f"http://{host}/jira").url == f"http://{host}/jira"


@given(st.text(max_size=40))
def test_no_text_is_a_crash(text: str) -> None:
    """It is a base URL or it is not."""
    for candidate in (text, f"http://{text}"):
        try:
            address = addresses.parse(candidate, pasted=True)
        except addresses.NotAnAddress:
            continue
        assert addresses.parse(address.url, pasted=True).url == address.url
        assert addresses.name_for(address.url)
        addresses.is_this_machine(address.url)


def test_the_environment_name_of_a_secret() -> None:
    """Upper case, everything else an underscore."""
    assert secret_variable("jira-eu.1", "TOKEN") == "UPM_DEV_JIRA_EU_1_TOKEN"
