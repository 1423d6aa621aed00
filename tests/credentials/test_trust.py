"""Trust: no command of a project runs before the user has said yes to these very settings."""

import stat
from pathlib import Path

import pytest

from devserver import trust
from devserver.errors import UsageError
from devserver.model import Target
from devserver.settings import Settings, load

TOML = """\
[app]
command = "python app.py"
[targets.jira]
url = "http://localhost:2990/jira"
password-command = "pass show jira"
[targets.wiki]
url = "http://localhost:1990/confluence"
password-command = "pass show wiki"
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of this test's own."""
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "upm-dev" / "trusted.json"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "upm-dev.toml").write_text(TOML, encoding="utf-8")
    return folder


def settings(project: Path, **flags: object) -> Settings:
    return load(project, flags, {})


class User:
    """Answers, and remembers what was asked."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, question: str) -> bool:
        self.asked.append(question)
        return self.answers.pop(0)


def test_what_would_run(project: Path) -> None:
    """The backend's command and those of the targets of this run."""
    assert trust.commands(settings(project)) == (
        "python app.py",
        "pass show jira",
        "pass show wiki",
    )
    assert trust.commands(settings(project, target=("wiki",)))[1:] == ("pass show wiki",)


FAR = """\
[targets.prod]
url = "https://jira.example.com"
dev = true
[targets.lab]
url = "https://lab.example.com"
[targets.near]
url = "http://localhost:2990/jira"
dev = true
"""


def test_a_far_target_is_vouched_for_by_who_is_trusted(project: Path) -> None:
    """`dev = true` counts as soon as the user has said yes to the settings; asked once."""
    (project / "upm-dev.toml").write_text(FAR, encoding="utf-8")
    found, user = settings(project), User(False, True)

    assert not trust.allow(found, None)
    assert not trust.allow(found, user)
    assert [each.dev for each in trust.believed(found, False).targets] == [False, False, True]
    assert trust.allow(found, user)
    assert trust.allow(settings(project), None)
    assert trust.believed(found, True) is found
    assert trust.allow(settings(project, trust=True), None)
    assert "log in and install apps at https://jira.example.com" in user.asked[0]
    assert "lab" not in user.asked[0]


def test_a_near_target_needs_no_trust(project: Path) -> None:
    """Nor one that the user agrees to by --yes."""
    (project / "upm-dev.toml").write_text(FAR, encoding="utf-8")

    assert trust.allow(settings(project, target=("near",)), None)
    assert trust.allow(settings(project, yes=True), None)


def test_settings_that_run_nothing_need_no_trust(tmp_path: Path) -> None:
    """Nobody is asked."""
    assert trust.allow(settings(tmp_path), None)


def test_without_a_terminal_the_answer_is_no(project: Path, state: Path) -> None:
    """And nothing is remembered."""
    assert not trust.allow(settings(project), None)
    assert not state.exists()


def test_a_yes_is_remembered_for_these_settings(project: Path, state: Path) -> None:
    """Asked once; any change of the settings asks again."""
    user = User(True, False)

    assert trust.allow(settings(project), user)
    assert trust.allow(settings(project), user)
    assert trust.is_trusted(settings(project))
    (question,) = user.asked
    assert "'python app.py'" in question
    assert str(project) in question

    (project / "upm-dev.toml").write_text(TOML.replace("app.py", "x.py"), encoding="utf-8")
    assert not trust.allow(settings(project), user)
    assert "'python x.py'" in user.asked[1]
    assert not trust.is_trusted(settings(project))


def test_what_is_remembered_is_for_its_owner(project: Path, state: Path) -> None:
    """0600, in a folder of 0700."""
    trust.allow(settings(project), User(True))

    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert stat.S_IMODE(state.parent.stat().st_mode) == 0o700
    assert [file.name for file in state.parent.iterdir()] == ["trusted.json"]


def test_a_no_is_asked_again(project: Path) -> None:
    """It may have been a mistake."""
    user = User(False, True)

    assert not trust.allow(settings(project), user)
    assert trust.allow(settings(project), user)


def test_the_flag_is_for_one_run(project: Path, state: Path) -> None:
    """`--trust` asks nobody and remembers nothing."""
    assert trust.allow(settings(project, trust=True), None)
    assert not state.exists()
    assert not trust.is_trusted(settings(project))


def test_require_says_what_would_have_run(project: Path) -> None:
    """With the flag to give."""
    with pytest.raises(UsageError) as caught:
        trust.require(settings(project), None)

    assert "'python app.py'" in caught.value.reason
    assert "--trust" in caught.value.remedy
    trust.require(settings(project, trust=True), None)


def test_a_control_character_hides_nothing(project: Path) -> None:
    """The question shows the whole command."""
    (project / "upm-dev.toml").write_text('[app]\ncommand = "evil\\r\\u001b[2Kok"\n', "utf-8")
    user = User(False)

    trust.allow(settings(project), user)

    assert r"'evil\r\x1b[2Kok'" in user.asked[0]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}'])
def test_a_state_file_that_says_nothing(project: Path, state: Path, content: str) -> None:
    """Broken or of another shape: nothing is trusted, and a yes mends it."""
    state.parent.mkdir(parents=True)
    state.write_text(content, encoding="utf-8")
    state.chmod(0o600)

    assert not trust.is_trusted(settings(project))
    assert trust.allow(settings(project), User(True))
    assert trust.is_trusted(settings(project))


def test_a_state_file_that_others_can_write_is_not_believed(project: Path, state: Path) -> None:
    """They could trust on the user's behalf."""
    trust.allow(settings(project), User(True))
    state.chmod(0o666)

    assert not trust.is_trusted(settings(project))


def test_a_state_folder_that_cannot_be_written(project: Path, state: Path) -> None:
    """Said with what to do; nothing is half done."""
    state.parent.parent.write_text("", encoding="utf-8")

    with pytest.raises(UsageError) as caught:
        trust.allow(settings(project), User(True))

    assert str(state) in caught.value.reason
    assert "--trust" in caught.value.remedy


def test_a_far_target_is_asked_for_once(project: Path, state: Path) -> None:
    """For this project and this very address; without a terminal the answer is no."""
    far = Target(name="jira", url="https://jira.example.com")
    other = Target(name="jira", url="https://jira.example.com/test")
    assert not trust.agreed(project, far, None)
    assert not trust.agreed(project, far, User(False))
    assert trust.agreed(project, far, User(True))
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    assert trust.agreed(project, far, None)
    assert not trust.agreed(project, other, None)
    assert not trust.agreed(project / "clone", far, None)
