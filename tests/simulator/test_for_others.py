"""What others' tests use: the pytest plugin and the host in a thread."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from devserver.errors import PortInUse
from devserver.simulator import Fault, ThreadedHost


def test_the_plugin_in_a_project_of_others(tmp_path: Path) -> None:
    """`upm_host` is there, its marker is known, and nothing heavy is loaded at start."""
    (tmp_path / "test_mine.py").write_text(
        "import sys\n"
        'HEAVY = [m for m in ("aiohttp", "lxml", "cryptography") if m in sys.modules]\n'
        "import pytest, urllib.error, urllib.request\n"
        "from devserver.simulator import Fault\n"
        '@pytest.mark.upm_host(profile="connect", context="/wiki")\n'
        "def test_mine(upm_host):\n"
        "    assert not HEAVY\n"
        '    upm_host.script(Fault(kind="status", status=503, times=1))\n'
        "    with pytest.raises(urllib.error.HTTPError) as caught:\n"
        '        urllib.request.urlopen(upm_host.url + "/status")\n'
        "    caught.value.close()\n"
        "    assert caught.value.code == 503\n"
        '    assert upm_host.url.endswith("/wiki")\n'
        '    assert upm_host.requests[0].faults == ("status",)\n'
    )
    others = ["-p", "no:asyncio", "-p", "no:aiohttp"]  # which import aiohttp themselves

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--strict-markers", "-W", "error", *others],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_in_a_thread() -> None:
    """It is scripted, restarted, asked and waited for from any other thread."""
    with ThreadedHost(profile="xml-era") as host:
        with urllib.request.urlopen(f"{host.url}/status") as answer:
            assert json.load(answer) == {"state": "RUNNING"}
        assert [each.path for each in host.requests] == ["/jira/status"]
        host.script(Fault(kind="latency", ms=1))
        host.restart(memory=False)
        assert list(host.plugins) == ["com.atlassian.upm.atlassian-universal-plugin-manager-plugin"]
        assert host.callbacks == []
        host.wait(lambda running: running.state.safe_mode is False)
        with pytest.raises(TimeoutError):
            host.wait_installed("nobody", within=0.01)
        with pytest.raises(TimeoutError):
            host.wait_callback("installed", within=0.01)
        port = int(host.url.split(":")[2].split("/")[0])
        with pytest.raises(PortInUse), ThreadedHost(port=port):
            pass  # pragma: no cover
