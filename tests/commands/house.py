"""One-shot commands as scripts use them: real processes, real exit codes."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from processes import Process, upm_dev

KEY = "com.example.hello"
TEMPLATE = """<atlassian-plugin key="com.example.hello" name="Hello" plugins-version="2">
  <plugin-info><version>{{ version }}</version><vendor name="Me" url="http://me.example"/></plugin-info>
  <remote-plugin-container key="container" display-url="{{ base_url }}"/>
  <general-page key="page" name="Page" url="/page"/>
  <webhook key="installed" event="remote_plugin_installed" url="/installed"/>
</atlassian-plugin>
"""


async def run(*arguments: str | Path, env: dict[str, str], text: str = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `upm-dev ARGUMENTS`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "devserver",
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(text.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@asynccontextmanager
async def serving(project: Path, url: str, env: dict[str, str]) -> AsyncIterator[Process]:
    """A `serve` of *project* that the target at *url* has confirmed."""
    given = ("serve", project, "--json", "--port", "0", "--target", url)
    async with upm_dev(*given, env=env) as serve:
        await serve.seen("target", state="confirmed")
        yield serve


async def register(project: Path, url: str, env: dict[str, str], *more: str) -> tuple[int, str]:
    code, out, err = await run(
        "register", project, "--target", url, "--port", "0", "--timeout", "5", *more, env=env
    )
    return code, out + err
