"""The wire: proxies of the environment, a body without end, and where credentials go."""

import pytest
from upm.scripted import answer, scripted, token, upm_of

from devserver.credentials import Credentials
from devserver.errors import TargetUnavailable
from devserver.model import Target
from devserver.upm import wire
from devserver.upm.wire import Wire, connections

URL = "http://jira.localhost:2990/jira"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"http_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://me:secret@proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "jira.localhost"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "other, .localhost"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": "", "NO_PROXY": "x"}, None),
    ],
)
async def test_proxies(environ: dict[str, str], proxy: str | None) -> None:
    """The one for the target's scheme, unless it is excepted; shown without its password."""
    target = Target(name="jira", url=URL)
    who = Credentials(origin="http://jira.localhost:2990", user="admin", secret="x")
    async with connections() as session:
        found = Wire(session, target, who, environ=environ).proxy

    assert (str(found).rstrip("/") if found else None) == proxy


async def test_a_body_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as far as it fits, then said to be broken."""
    monkeypatch.setattr(wire, "BODY_LIMIT", 1000)
    endless = answer(200, b"{" + b" " * 100_000 + b"}")
    async with scripted([endless]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetUnavailable) as caught:
            await upm.plugin("a")

    assert caught.value.code == "NET-CUT"


async def test_a_proxy_is_used_and_told_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to the proxy, with a header of its own for it."""
    async with scripted([token("9")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with upm_of("http://jira.localhost:2990/jira") as upm:
            assert await upm.token() == "9"

    assert proxy.requests[0].path.startswith("http://jira.localhost:2990/jira/rest/plugins/1.0/")
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


async def test_a_certificate_authority_of_ones_own_has_to_be_one() -> None:
    """A file that is none is an error at once, not at the first request."""
    with pytest.raises(OSError, match=r"."):
        async with connections(ca_file="/nowhere/ca.pem"):
            pass
