"""One-shot commands as scripts use them: real processes, real exit codes."""

import asyncio
import sys
from pathlib import Path

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


async def register(project: Path, url: str, env: dict[str, str], *more: str) -> tuple[int, str]:
    code, out, err = await run(
        "register", project, "--target", url, "--port", "0", "--timeout", "5", *more, env=env
    )
    return code, out + err
