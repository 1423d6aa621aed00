"""Plugins in JARs: patching a large one, and from a save to the proof with a small one."""

import asyncio
import io
import random
import tempfile
import time
import zipfile
from pathlib import Path

from bench.figures import Figure, median
from bench.loop import serving
from devserver.descriptor.archive import Archive, parse
from devserver.descriptor.patch import Pieces, patched
from devserver.simulator import simulated_host

RUNS = 15
QUIET_MS = 300.0
MAIN = "src/main/resources/atlassian-plugin.xml"
DESCRIPTOR = """\
<atlassian-plugin key="com.acme.hello" name="Hello" plugins-version="2">
  <plugin-info><description>Greets.</description><version>1.0</version></plugin-info>
  <web-item key="greet" section="system.user.options/personal" weight="10">
    <label>Greet</label><link>/greet</link>
  </web-item>
</atlassian-plugin>
"""


async def figures() -> list[Figure]:
    return [
        median("patch a JAR of 50 MB with 20,000 entries", patches(), "ms", 200),
        median(
            "save -> confirmed, a JAR of 5 MB, beside 300 ms of quiet", await edits(), "ms", 250
        ),
    ]


def jar(entries: int, size: int) -> bytes:
    """A JAR of classes that do not compress."""
    chance, file = random.Random(1), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")
        archive.writestr("atlassian-plugin.xml", DESCRIPTOR)
        for number in range(entries):
            name = f"com/acme/p{number % 97}/Class{number}.class"
            archive.writestr(name, chance.randbytes(size // entries))
    return file.getvalue()


def patches() -> list[float]:
    """Milliseconds to read the file, exchange the descriptor and digest the copy."""
    taken = []
    with tempfile.NamedTemporaryFile(suffix=".jar") as file:
        file.write(jar(20_000, 50_000_000))
        file.flush()
        for run in range(RUNS):
            started = time.perf_counter()
            archive = parse(Path(file.name).read_bytes())
            assert isinstance(archive, Archive)
            made = patched(archive, {"atlassian-plugin.xml": DESCRIPTOR.encode() * (run + 1)})
            assert isinstance(made, Pieces)
            assert len(made.digest) == 64
            taken.append((time.perf_counter() - started) * 1000)
    return taken


async def edits() -> list[float]:
    """Milliseconds from a save to the proof, less the quiet that is kept before each install."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / MAIN).parent.mkdir(parents=True)
        (root / MAIN).write_text(DESCRIPTOR, encoding="utf-8")
        (root / "target").mkdir()
        (root / "target/hello-1.0.jar").write_bytes(jar(1_000, 5_000_000))
        (root / "pom.xml").write_text("<project><version>1.0</version></project>", "utf-8")
        async with (
            simulated_host(port=0, profile="dc", install_time=0.0) as host,
            serving(root, "--target", host.url) as tool,
        ):
            await tool.confirmed()
            for run in range(RUNS):
                await asyncio.sleep(0.05)
                saved = time.monotonic()
                text = DESCRIPTOR.replace("/greet<", f"/greet/{run}<")
                (root / MAIN).write_text(text, encoding="utf-8")
                await tool.confirmed(f"r{run + 2}")
                taken.append((time.monotonic() - saved) * 1000 - QUIET_MS)
    return taken
