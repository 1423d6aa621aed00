"""The validator: the sample and 2 MB as whole processes, 100 KB as `serve` checks it."""

import os
import sys
import tempfile
import time
from pathlib import Path

from bench.figures import Figure, median

RUNS = 30
LARGE = 10_000
NEVER_COMPILED = "PYTHONDONTWRITEBYTECODE"
"""What is installed has its bytecode beside it, whatever this machine's variables say."""
SERVED = 430
"""Modules that make some 100 KB."""
SAMPLE = Path(__file__).parents[1] / "sample-plugin"

HEAD = """\
<atlassian-plugin key="com.acme.big" name="Big" plugins-version="2">
  <plugin-info><version>1.0.0</version><vendor name="A" url="https://a.example"/></plugin-info>
"""
MODULES = (
    """\
  <web-item key="item-{0}" section="system.top/section" weight="{0}">
    <label key="item.{0}.label"/>
    <link linkId="l{0}">/plugins/servlet/item-{0}?x=1</link>
    <condition class="com.acme.conditions.Condition{0}"/>
  </web-item>
""",
    """\
  <servlet key="servlet-{0}" class="com.acme.servlets.Servlet{0}" name="Servlet number {0}">
    <description>A servlet that does things, number {0}.</description>
    <url-pattern>/acme/servlet-{0}</url-pattern>
  </servlet>
""",
    """\
  <web-resource key="resource-{0}" name="Resource {0}">
    <resource type="download" name="r{0}.js" location="js/resource-{0}.js"/>
    <dependency>com.atlassian.auiplugin:ajs</dependency>
    <context>atl.general</context>
  </web-resource>
""",
)


def descriptor(modules: int) -> bytes:
    """A P2 descriptor with that many modules, none of them wrong."""
    body = "".join(MODULES[number % 3].format(number) for number in range(modules))
    return f"{HEAD}{body}</atlassian-plugin>\n".encode()


async def figures() -> list[Figure]:
    small = [_process(SAMPLE)[0] for _ in range(RUNS)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "atlassian-plugin.xml"
        file.write_bytes(descriptor(LARGE))
        large = [_process(file) for _ in range(RUNS // 3)]
    return [
        median("validate the sample, process", small, "ms", bar=200),
        median("validate 2 MB, process", [each[0] for each in large], "ms", bar=1500),
        median("validate 2 MB, memory", [each[1] for each in large], "MiB", bar=300),
        median("examine 100 KB, in serve", _served(), "ms", bar=15),
    ]


def _process(path: Path) -> tuple[float, float]:
    """Milliseconds of `upm-dev validate` as a whole, and its peak memory in MiB."""
    started = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "devserver", "validate", str(path)],
        {name: value for name, value in os.environ.items() if name != NEVER_COMPILED},
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"validate {path} ended with {status}")
    return (time.perf_counter() - started) * 1000, used.ru_maxrss / 1024


def _served() -> list[float]:
    """Milliseconds from bytes to verdict and value, warm, as after each save."""
    from devserver.descriptor.examine import examine

    files = {"atlassian-plugin.xml": descriptor(SERVED)}
    took = []
    for _ in range(RUNS):
        started = time.perf_counter()
        examine(files, "atlassian-plugin.xml", {})
        took.append((time.perf_counter() - started) * 1000)
    return took
