"""`login` and `logout` with a keyring behind them: here a file, as a keyring's backend would be."""

from pathlib import Path

import pytest
from commands.house import run
from commands.keyrings import keyring_in
from processes import environment

URL = "http://localhost:2990/jira"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(HOME=str(tmp_path), **keyring_in(tmp_path))


async def test_a_secret_is_kept_and_forgotten(env: dict[str, str], tmp_path: Path) -> None:
    """By origin, for a password and for a token; neither is shown."""
    keys = tmp_path / "keys.json"
    for flags, secret in (((), "pl4nted-password"), (("--token",), "pl4nted-token")):
        code, out, err = await run(
            "login", URL, *flags, "--project", tmp_path, env=env, text=f"{secret}\n"
        )
        assert code == 0, err
        assert secret not in out + err
        assert secret in keys.read_text()
    assert "upm-dev http://localhost:2990|admin" in keys.read_text()

    code, out, _ = await run("logout", URL, "--project", tmp_path, env=env)
    again, said, _ = await run("logout", URL, "--project", tmp_path, env=env)

    assert (code, again) == (0, 0)
    assert keys.read_text() == "{}"
    assert "nothing was kept" in said


async def test_a_locked_keyring_is_said(env: dict[str, str], tmp_path: Path) -> None:
    """With what to do, and without the secret."""
    for command in ("login", "logout"):
        code, out, err = await run(
            command,
            URL,
            "--project",
            tmp_path,
            env={**env, "KEYRING_LOCKED": "1"},
            text="pl4nted-password\n",
        )
        assert code == 3, err
        assert "the collection is locked" in err
        assert "unlock it" in err
        assert "Traceback" not in err
        assert "pl4nted" not in out + err


async def test_no_secret_is_no_login(env: dict[str, str], tmp_path: Path) -> None:
    """And one that would go over the wire in the open is not asked for."""
    nothing, _, _ = await run("login", URL, "--project", tmp_path, env=env, text="\n")
    plain, _, err = await run(
        "login", "http://jira.example.com", "--project", tmp_path, env=env, text="x\n"
    )

    assert nothing == 2
    assert plain == 5
    assert "PLAIN-HTTP" in err
