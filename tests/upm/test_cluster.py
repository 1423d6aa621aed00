"""A host of several machines, and one that calls itself by another name: cookies and redirects."""

import json

import pytest
from registrar.house import house
from upm.scripted import Request, accepted, answer, scripted, upm_of

from devserver.credentials import Credentials
from devserver.errors import TargetRefused
from devserver.model import Target, TargetState
from devserver.upm.answers import Installed
from devserver.upm.client import Upm
from devserver.upm.wire import connections

KEY = "com.example.hello"
ROOT = "/jira/rest/plugins/1.0"


class Cluster:
    """Two nodes behind a balancer: who has no cookie goes to the other one each time.

    Tokens and tasks live in one node's memory, as UPM keeps them (upm-protocol.md §1).
    """

    def __init__(self) -> None:
        self.last = 0
        self.served: list[tuple[int, str]] = []
        self.apps: set[str] = set()

    def reply(self, request: Request) -> bytes:
        cookie = request.headers.get("cookie", "")
        node = next((n for n in (1, 2) if f"ROUTE=n{n}" in cookie), 0)
        more = {}
        if not node:
            node = self.last = 1 + self.last % 2
            more = {"Set_Cookie": f"ROUTE=n{node}; Path=/jira"}
        self.served.append((node, request.method))
        return self._node(node, request, more)

    def _node(self, node: int, request: Request, more: dict[str, str]) -> bytes:
        path, _, query = request.path.partition("?")
        match request.method, path.removeprefix(f"{ROOT}/"):
            case ("GET" | "HEAD") as method, "":
                listed = "" if method == "HEAD" else '{"plugins":[]}'
                return answer(200, listed, upm_token=f"-{node}", **more)
            case "POST", "":
                if f"token=-{node}" not in query:
                    body = '{"errorMessage":"invalid token","subCode":"upm.error.invalid.token"}'
                    return answer(403, body, **more)
                self.apps.add(KEY)
                return accepted(f"{ROOT}/pending/{node}", **more)
            case "GET", pending if pending.startswith("pending/"):
                if pending != f"pending/{node}":
                    return answer(404, **more)
                return answer(303, Location=f"http://node{node}.internal{ROOT}/{KEY}-key", **more)
            case "GET", app if app == f"{KEY}-key":
                said = json.dumps({"key": KEY, "version": "1.0", "enabled": True})
                return answer(200, said, **more) if KEY in self.apps else answer(404, **more)
            case "DELETE", _:
                self.apps.clear()
                return answer(204, **more)
        return answer(404, **more)


async def test_a_cluster_is_one_host_to_us() -> None:
    """Token, installation, task and removal reach the node that the first answer named."""
    cluster = Cluster()
    async with scripted(by=cluster.reply) as host, house(host.url) as our:
        our.save()
        await our.until(TargetState.INSTALLED)
        (registrar,) = our.registrars
        registrar.leave()
        await our.until(TargetState.UNREGISTERED)

    with_us = [node for node, _ in cluster.served[1:]]
    assert set(with_us) == {cluster.served[0][0]}
    assert [method for _, method in cluster.served].count("POST") == 1
    assert [each.code for each in our.told() if each.code] == []


async def test_two_targets_share_no_cookie() -> None:
    """Cookies know no port: two products on one name would take each other's session."""
    one, other = Cluster(), Cluster()
    async with (
        scripted(by=one.reply) as first,
        scripted(by=other.reply) as second,
        connections() as session,
    ):
        for host in (first, second):
            origin = host.url.removesuffix("/jira")
            who = Credentials(origin=origin, user="admin", secret="x", source="the test")
            upm = Upm(session, Target(name="jira", url=host.url), who)
            await upm.token()
            await upm.token()

    for host in (first, second):
        assert ["cookie" in each.headers for each in host.requests] == [False, True]


async def test_credentials_go_to_no_other_host() -> None:
    """Neither the redirect of a task, nor any other, is followed to where it says."""
    task = answer(202, '{"links":{"self":"/jira/rest/plugins/1.0/pending/1"}}')
    app = answer(200, json.dumps({"key": KEY, "version": "1.0"}))
    async with scripted(last=app) as stranger:
        there = f"http://localhost:{stranger.port}/jira/rest/plugins/1.0/{KEY}-key"
        moved = answer(303, Location=there)
        async with scripted([task, moved, app, moved]) as host, upm_of(host.url) as upm:
            outcome = await upm.poll(await upm.install("http://h/x", "1"))
            with pytest.raises(TargetRefused) as refused:
                await upm.plugin(KEY)

    assert isinstance(outcome, Installed)
    assert host.lines[2] == f"GET {ROOT}/{KEY}-key"
    assert refused.value.code == "UPM30X-MOVED"
    assert f"http://localhost:{stranger.port}/jira" in refused.value.remedy
    assert stranger.requests == []


@pytest.mark.parametrize("value", ['"a/b c"', ".node1", '"n1"'])
async def test_a_cookie_goes_back_as_it_came(value: str) -> None:
    """Its quotes are part of it (RFC 6265 §4.1.1): balancers compare the whole."""
    first = answer(200, '{"plugins":[]}', upm_token="1", Set_Cookie=f"ROUTE={value}; Path=/")
    second = answer(200, '{"plugins":[]}', upm_token="2")
    async with scripted([first, second]) as host, upm_of(host.url) as upm:
        await upm.token()
        await upm.token()

    assert host.requests[1].headers["cookie"] == f"ROUTE={value}"
