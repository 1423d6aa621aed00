"""What every test starts from."""

from collections.abc import Iterator

import pytest

STATE = "XDG_STATE_HOME"


@pytest.fixture(autouse=True, scope="session")
def _nothing_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is kept in the state folder of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STATE, str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test leaves behind is not told in the next."""
    monkeypatch.setenv(STATE, str(tmp_path_factory.mktemp("state")))
