"""More connections than there is room for: whoever sends them has no more than the port."""

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import aiohttp
from processes import environment, upm_dev
from projects import Project
from yarl import URL

from devserver.simulator import simulated_host


async def test_a_crowd_at_the_port_takes_nothing_else_down(tmp_path: Path) -> None:
    """The dashboard answers, saves are registered, and nothing is taken for changed or broken."""
    project = Project(tmp_path / "hello")
    env = environment(UPM_DEV_PASSWORD="admin")
    async with simulated_host(port=0) as host:
        given = ("--target", host.url, "--json", "--port", "0")
        async with upm_dev("serve", project.root, *given, env=env, files=260) as serve:
            urls = (await serve.seen("started"))["urls"]
            await serve.seen("target", state="confirmed", revision="r1")
            with ExitStack() as stack:
                for _ in range(450):
                    one = stack.enter_context(socket.socket())
                    one.settimeout(5)
                    one.connect(("127.0.0.1", URL(urls["descriptor"]).port))
                async with (
                    aiohttp.ClientSession() as client,
                    client.get(urls["dashboard"]) as answer,
                ):
                    assert answer.status == 200
                await asyncio.sleep(1.5)  # settings are looked at every second
            project.save(project.template_with("2.0"))
            await serve.seen("target", state="confirmed", revision="r2")
            assert not serve.of("notice", severity="warning")
            await serve.stop()
        assert serve.errors == ""
