"""What a template may know: our address, its target, git, and the allowed environment."""

from pathlib import Path

from devserver.model import Target
from devserver.settings import Settings
from devserver.variables import allowed_env, for_target


def test_a_later_variable_wins(tmp_path: Path) -> None:
    """Built in, variables files, settings, target: in this order."""
    target = Target(name="jira", url="http://localhost:2990/jira", variables={"suffix": "-dev"})
    settings = Settings(
        root=tmp_path / "hello",
        variables={"suffix": "", "name": "Hello"},
        variables_files=("more.toml",),
    )

    found = for_target(
        settings,
        target,
        base_url="http://localhost:8000",
        files={"more.toml": b'name = "other"\ncolour = "red"\n'},
        environ={},
    )

    assert isinstance(found, dict)
    assert (found["suffix"], found["name"], found["colour"]) == ("-dev", "Hello", "red")
    assert found["base_url"] == found["localBaseUrl"] == "http://localhost:8000"
    assert found["target"] == {"name": "jira", "url": "http://localhost:2990/jira"}
    assert found["app"]["name"] == "hello"


def test_a_broken_variables_file_is_the_users_mistake(tmp_path: Path) -> None:
    """What cannot be read is a diagnostic with its line, not an empty variable."""
    settings = Settings(root=tmp_path, variables_files=("more.toml",))

    found = for_target(settings, None, base_url="", files={"more.toml": b"a = \n"}, environ={})

    assert isinstance(found, tuple)
    assert (found[0].position.file, found[0].position.line) == ("more.toml", 1)


def test_our_own_environment_never_reaches_a_template() -> None:
    """Only allowed names, and never UPM_DEV_*, which hold secrets."""
    environ = {"HOME": "/home/a", "STAGE": "dev", "UPM_DEV_PASSWORD": "s", "upm_dev_token": "t"}

    found = allowed_env(["STAGE", "UPM_DEV_PASSWORD", "upm_dev_token", "MISSING"], environ)

    assert found == {"STAGE": "dev"}
