"""Any bytes, any path, any header: a well-formed answer of the kind a UPM gives, never a crash."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yarl import URL

from devserver.errors import UsageError
from devserver.simulator import SimulatedHost, simulated_host
from devserver.simulator.app import Kind
from devserver.simulator.artefact import recognise
from devserver.simulator.faults import from_header
from devserver.simulator.journal import shown_path

KINDS = tuple(kind.value for kind in Kind)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
BELOW = (
    "", "pending", "pending/x", "tasks/x", "tasks", "settings", "safe-mode", "log/feed",
    "com.example-key", "com.example-key/", "x-key/summary", "x-key/license", "x-key/modules/y-key",
    "installed-marketplace", "requires-restart/x-key", "bundles", "%2e%2e/%00", "-key", "%ff-key",
)  # fmt: skip
TYPES = (
    "application/vnd.atl.plugins.install.uri+json",
    "application/vnd.atl.plugins.plugin+json",
    "application/vnd.atl.plugins+json",
    "application/vnd.atl.plugins.safe.mode.flag+json",
    "application/vnd.atl.plugins.plugin.module+json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "application/json",
    "text/plain",
    "",
)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)

requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(METHODS),
        "path": st.sampled_from(BELOW)
        | st.text(max_size=20).map(lambda text: text.replace("#", "")),
        "query": st.sampled_from(["", "token=1", "os_authType=any", "keepState=x&max-results=-1"])
        | VALUES,
        "type": st.sampled_from(TYPES) | VALUES,
        "accept": st.sampled_from(["", "*/*", "application/json", "text/html"]) | VALUES,
        "authorization": st.sampled_from(["", "Basic YWRtaW46YWRtaW4=", "Bearer x"]) | VALUES,
        "body": st.binary(max_size=60)
        | st.sampled_from(
            [
                b'{"pluginUri":"http://localhost:1/x"}',
                b'{"pluginUri":"http://[::1"}',
                b'{"enabled":true}',
                b'{"settings":[{"key":"pacDisabled","value":1}]}',
                b'--x\r\nContent-Disposition: form-data; name="plugin"\r\n\r\nPK\r\n--x--',
            ]
        ),
    }
)


class Failures(logging.Handler):
    """What was logged as an error: a 500 without a cause would be."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


PROFILES = ("xml-era", "dc", "cloud")
Ask = Callable[[str, list[dict[str, object]]], None]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Sends a batch of requests to a host of a profile; the hosts live as long as the module."""
    stack = AsyncExitStack()
    hosts: dict[str, SimulatedHost] = {}
    sessions: list[aiohttp.ClientSession] = []

    async def begin() -> None:
        sessions.append(await stack.enter_async_context(aiohttp.ClientSession()))
        for name in PROFILES:
            made = simulated_host(port=0, profile=name, install_time=0, hosts=["127.0.0.1"])
            hosts[name] = await stack.enter_async_context(made)

    with asyncio.Runner() as runner:
        runner.run(begin())
        yield lambda profile, batch: runner.run(_ask(sessions[0], hosts[profile], batch))
        runner.run(stack.aclose())


async def _ask(
    session: aiohttp.ClientSession, host: SimulatedHost, batch: list[dict[str, object]]
) -> None:
    for each in batch:
        query = str(each["query"]).replace("#", "").replace(" ", "+")
        headers = {
            "Content-Type": str(each["type"]),
            "Accept": str(each["accept"]),
            "Authorization": str(each["authorization"]),
            "X-Atlassian-Token": "no-check",
        }
        try:
            url = URL(f"{host.url}/rest/plugins/1.0/{each['path']}?{query}")
        except ValueError:
            continue
        async with session.request(
            str(each["method"]), url, headers=headers, data=each["body"]
        ) as answer:
            text = await answer.text("utf-8", "replace")
            assert 200 <= answer.status < 600
            assert "Traceback" not in text
            if answer.status == 500:
                assert "referral number" in text
            if answer.status == 404:
                assert text == ""
    async with session.get(f"{host.url}/status") as answer:
        assert answer.status == 200


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests, min_size=1, max_size=4), st.sampled_from(PROFILES))
def test_any_request(ask: Ask, batch: list[dict[str, object]], profile: str) -> None:
    """The answer is one that HTTP knows, in a body that is no traceback; the host lives on."""
    failures = Failures()
    logging.getLogger("devserver").addHandler(failures)
    try:
        ask(profile, batch)
    finally:
        logging.getLogger("devserver").removeHandler(failures)
    assert failures.seen == []


@pytest.mark.parametrize(
    "data", [b"\0\xff\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"A" * 70_000]
)
async def test_any_bytes(data: bytes) -> None:
    """What is no HTTP at all is answered with 400 or hung up on, and nothing breaks."""
    async with simulated_host(port=0) as host:
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        writer.write(data)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert answer[:9] in (b"", b"HTTP/1.1 ", b"HTTP/1.0 ")
        assert b"Traceback" not in answer


@given(
    st.binary(max_size=300) | st.text(max_size=100).map(str.encode),
    st.sampled_from(["a.xml", "a.json", "a"]),
)
def test_any_descriptor(data: bytes, name: str) -> None:
    """A descriptor of any bytes is an app or a refusal."""
    recognise(data, name, "", KINDS)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {"key": JSONISH | st.just("k"), "baseUrl": JSONISH | st.just("http://x")},
        optional={
            "authentication": JSONISH | st.just({"type": "none"}),
            "lifecycle": JSONISH,
            "modules": JSONISH
            | st.dictionaries(st.sampled_from(["webhooks", "generalPages"]), JSONISH),
            "vendor": JSONISH,
            "name": JSONISH,
            "apiMigrations": JSONISH,
        },
    )
)
def test_any_connect_descriptor(document: dict[str, object]) -> None:
    """Whatever stands where, it is an app or a refusal."""
    import json

    recognise(json.dumps(document).encode(), "a.json", "application/json", KINDS)


@given(st.text(max_size=60))
def test_any_fault_header(text: str) -> None:
    """It is a fault, or a mistake that is told."""
    try:
        fault = from_header(text, "poll")
    except UsageError:
        return
    assert fault.stage == "poll"


@given(st.text(max_size=40).filter(lambda text: "&" not in text and "#" not in text))
def test_no_secret_in_the_journal(secret: str) -> None:
    """A token in a query is a mark."""
    shown = shown_path(f"/x?a=b&token={secret}&jwt={secret}#f")

    assert shown.startswith("/x?a=b&token=#")
    assert len(shown) == len("/x?a=b&token=#123456&jwt=#123456#f")
