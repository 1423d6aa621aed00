"""A secret is planted wherever one can be, and looked for in everything that leaves the process."""

import base64
import json
from pathlib import Path

import pytest
from commands.house import TEMPLATE, run
from commands.keyrings import keyring_in
from processes import environment
from upm.scripted import answer, scripted

from devserver.addresses import origin

PASSWORD = "pl4nted-P4ssword!"
TOKEN = "pl4nted-t0ken-of-a-user"
IN_URL = "pl4nted-in-the-url"
COMMAND = "pl4nted-by-a-command"
NETRC = "pl4nted-in-netrc"
PROXY = "pl4nted-in-the-proxy"
DOTENV = "pl4nted-in-a-dotenv"
KEYRING = "pl4nted-in-the-keyring"

USED = {
    "password": PASSWORD,
    "token": TOKEN,
    "command": COMMAND,
    "url": IN_URL,
    "netrc": NETRC,
    "proxy": PROXY,
    "dotenv": DOTENV,
    "keyring": KEYRING,
}
"""Which secret is in use, by the place that it comes from."""


def forms(secret: str, user: str = "admin") -> list[str]:
    """The secret, and what it looks like in an Authorization header."""
    return [secret, base64.b64encode(f"{user}:{secret}".encode()).decode()]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "atlassian-plugin.xml.j2").write_text(TEMPLATE)
    return folder


async def outputs(project: Path, env: dict[str, str], command: str, *more: str) -> tuple[str, str]:
    """Everything that the command writes, and what it keeps: its log and its state."""
    _, out, err = await run(command, project, "--trust", *more, env=env)
    log = project / "log.jsonl"
    written = b"".join(each.read_bytes() for each in (project.parent / "state").rglob("*.sqlite*"))
    return out + err, (log.read_text() if log.exists() else "") + written.decode("latin-1")


def planted(where: str, url: str, project: Path, home: Path) -> dict[str, str]:
    """Put the secret there, and give the environment for it."""
    settings = project / "upm-dev.toml"
    if where == "proxy":  # no proxy is for a loopback address
        url = url.replace("127.0.0.1", "jira.localhost")
    settings.write_text(
        '[app]\nvariables = { version = "1.0" }\n'
        f'[targets.jira]\nurl = "{url}"\n'
        + (f"password-command = \"echo '{COMMAND}'\"\n" if where == "command" else "")
    )
    (home / ".netrc").write_text(f"machine 127.0.0.1 login admin password {NETRC}\n")
    (home / ".netrc").chmod(0o600)
    if where == "dotenv":
        (project / ".env").touch(0o600)
        (project / ".env").write_text(f"UPM_DEV_JIRA_PASSWORD={DOTENV}\n")
    if where == "keyring":
        kept = {f"upm-dev {origin(url)}|admin": KEYRING}
        (home / "keys.json").write_text(json.dumps(kept))
        return keyring_in(home)
    inside = url.replace("://", f"://admin:{IN_URL}@")
    environments = {
        "password": {"UPM_DEV_JIRA_PASSWORD": PASSWORD},
        "token": {"UPM_DEV_JIRA_TOKEN": TOKEN},
        "command": {},
        "dotenv": {},
        "netrc": {},
        "url": {"UPM_DEV_TARGET": inside},
        "proxy": {
            "UPM_DEV_JIRA_PASSWORD": PASSWORD,
            "HTTP_PROXY": f"http://me:{PROXY}@127.0.0.1:{url.split(':')[2].split('/')[0]}",
        },
    }
    return environments[where]


@pytest.mark.parametrize("where", sorted(USED))
async def test_no_output_shows_a_secret(where: str, project: Path, tmp_path: Path) -> None:
    """Not even where a target repeats what it was sent, in a body, a header and a redirect.

    The terminal says all it can (-vv); the log has the events as --json writes them.
    """
    secret = USED[where]
    echo = json.dumps(
        {"errorMessage": " ".join(f"got {each}" for each in forms(secret)), "sharedSecret": secret}
    )
    there = f"http://x/?os_password={secret}"
    reply = answer(400, echo, Location=there, Set_Cookie=f"a={secret}")
    async with scripted([], last=reply) as host:
        more = planted(where, host.url, project, tmp_path)
        env = environment(HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path / "state"), **more)
        out, log = await outputs(
            project,
            env,
            "register",
            *("--port", "0", "--timeout", "20", "--log-file", str(project / "log.jsonl"), "-vv"),
        )
        sent = " ".join(
            each.headers.get(name, "")
            for each in host.requests
            for name in ("authorization", "proxy-authorization")
        )

    assert any(shape in sent for shape in (*forms(secret), *forms(secret, "me"))), out
    assert "400" in out
    assert "400" in log
    for shape in forms(secret):
        assert shape not in out
        assert shape not in log


async def test_commands_show_none(project: Path, tmp_path: Path) -> None:
    """`plan`, `status` and `doctor` as little as the loop."""
    reply = answer(401, f"no, not with {PASSWORD}", kind="text/plain")
    async with scripted([], last=reply) as host:
        more = planted("password", host.url, project, tmp_path)
        env = environment(HOME=str(tmp_path), XDG_STATE_HOME=str(tmp_path / "state"), **more)
        for command in ("plan", "status", "doctor"):
            port = ("--port", "0") if command == "doctor" else ()
            out, _ = await outputs(project, env, command, *port)
            assert host.url in out
            for shape in forms(PASSWORD):
                assert shape not in out
