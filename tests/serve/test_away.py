"""A target that is away, as the terminal tells it."""

import asyncio
import signal
import sys
from pathlib import Path

from processes import environment
from projects import Project

from devserver.simulator import simulated_host


async def test_the_same_trouble_is_told_once(tmp_path: Path) -> None:
    """However often it is tried, a target that cannot fetch from us is told of once."""
    project = Project(tmp_path / "hello")
    async with simulated_host(port=0) as host:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "devserver", "serve", project.root, "--port", "0"),
            *("--dashboard-port", "0", "--target", host.url),
            *("--public-url", "http://localhost:9"),
            stdout=asyncio.subprocess.PIPE,
            env=environment(XDG_STATE_HOME=str(tmp_path / "state")),
        )
        async with asyncio.timeout(20):
            await host.wait(lambda: sum(each.stage == "install" for each in host.journal) > 3)
        assert process.returncode is None
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    said = out.decode()

    assert said.count("unavailable r1") == 1, said
    assert "unregistered" not in said
