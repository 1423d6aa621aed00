"""Secrets that a running `serve` knows or is told, looked for in everything it shows."""

import base64
import json
import re
import subprocess
from pathlib import Path

import aiohttp
from processes import environment, upm_dev
from projects import Project
from upm.scripted import answer, scripted

from devserver.web.dashboard.desk import VIEWS

PASSWORD = "pl4nted-P4ssword!"
IN_JWT = base64.urlsafe_b64encode(b'{"iss":"pl4nted-in-a-jwt"}').decode().rstrip("=")
JWT = f"eyJhbGciOiJIUzI1NiJ9.{IN_JWT}.c2lnbmVk-by-nobody"
SHARED = "pl4nted-shared-secret"
COOKIE = "pl4nted-cookie"
BEARER = "pl4nted-bearer"

SECRETS = (
    PASSWORD,
    base64.b64encode(f"admin:{PASSWORD}".encode()).decode(),
    IN_JWT,
    SHARED,
    COOKIE,
    BEARER,
)


def processes() -> str:
    """Every process of this machine with its whole command line, as any user sees it."""
    return subprocess.run(
        ["ps", "-eo", "args", "-ww"], capture_output=True, text=True, check=True
    ).stdout


async def told(public: str, client: aiohttp.ClientSession) -> None:
    """Send the public port secrets in each place where a caller can have one."""
    carried = {"Authorization": f"JWT {JWT}", "Cookie": f"session={COOKIE}"}
    body = {"key": "a", "clientKey": "b", "sharedSecret": SHARED, "eventType": "installed"}
    async with client.post(f"{public}/installed?jwt={JWT}", json=body, headers=carried) as refused:
        assert refused.status == 401
    carried["Authorization"] = f"Bearer {BEARER}"
    async with client.get(f"{public}/page?jwt={JWT}", headers=carried) as answered:
        await answered.read()


async def shown(dashboard: str, client: aiohttp.ClientSession) -> dict[str, str]:
    """Each page, with each thing that can be looked at, and each document; by its address."""
    found: dict[str, str] = {}
    waiting = [f"/?view={view}" for view in VIEWS] + ["/overlay", "/state", "/traffic.har"]
    while waiting:
        path = waiting.pop()
        async with client.get(f"{dashboard}{path}") as got:
            found[path] = await got.text()
        links = re.findall(r'href="(/[^"]*item=[^"]*)"', found[path])
        waiting += {each.replace("&amp;", "&") for each in links} - found.keys() - {*waiting}
    return found


async def test_nothing_that_serve_shows_has_a_secret(tmp_path: Path) -> None:
    """On no page, in no export, event or log, on neither stream, in no list of processes.

    The target repeats what it was sent; a caller of the public port brings secrets of its own.
    """
    project = Project(tmp_path / "hello")
    echo = json.dumps({"errorMessage": f"got {SECRETS[0]} and {SECRETS[1]}"})
    reply = answer(500, echo, Location=f"http://x/?os_password={PASSWORD}")
    log = tmp_path / "log.jsonl"
    env = environment(UPM_DEV_PASSWORD=PASSWORD, XDG_STATE_HOME=str(tmp_path / "state"))
    async with scripted([], last=reply) as host, aiohttp.ClientSession() as client:
        given = ("--target", host.url, "--json", "--port", "0", "-vv", "--log-file", log)
        async with upm_dev("serve", project.root, *given, env=env) as serve:
            urls = (await serve.seen("started"))["urls"]
            await serve.seen("target", state="unavailable")
            await told(urls["descriptor"].rpartition("/")[0], client)
            await serve.seen("callback", verdict="forged")
            pages = await shown(urls["dashboard"], client)
            listed = processes()
            await serve.stop()
            await serve.ended()
        assert any(SECRETS[1] in each.headers.get("authorization", "") for each in host.requests)

    texts = {
        **pages,
        "events": json.dumps(serve.events),
        "stderr": serve.errors,
        "log": log.read_text(encoding="utf-8"),
        "processes": listed,
    }
    details = [path for path in pages if "item=" in path]
    assert any("item=c" in path for path in details), pages.keys()
    assert any(path.startswith("/traffic.har") for path in details), pages.keys()
    assert str(project.root) in listed
    for where, text in texts.items():
        for secret in SECRETS:
            assert secret not in text, f"{secret} in {where}"
