"""After a rejection nothing is sent until there is another secret; a saved `.env` is enough."""

from pathlib import Path

from processes import environment, upm_dev
from projects import Project

from devserver.simulator import SimulatedHost, simulated_host


def asked(host: SimulatedHost) -> int:
    """How many requests with credentials were turned away."""
    return sum(each.status == 401 for each in host.journal)


async def test_a_saved_dotenv_goes_on(tmp_path: Path) -> None:
    """The wrong one is sent once, whatever is saved; the right one registers."""
    project = Project(tmp_path / "hello")
    dotenv = project.root / ".env"
    dotenv.write_text("UPM_DEV_PASSWORD=wrong-one\n")
    dotenv.chmod(0o600)
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"))
    async with simulated_host(port=0) as host:
        command = ("serve", project.root, "--json", "--port", "0", "--target", host.url)
        async with upm_dev(*command, env=env) as process:
            rejected = await process.seen("target", state="rejected")
            assert rejected["code"] == "UPM401-CREDENTIALS"
            turned_away = asked(host)

            dotenv.write_text("# the same\nUPM_DEV_PASSWORD=wrong-one\n")
            notice = await process.seen("notice", target=rejected["target"])
            assert "rejected already" in notice["message"]
            assert asked(host) == turned_away == 1

            dotenv.write_text("UPM_DEV_PASSWORD=admin\n")
            await process.seen("target", state="confirmed")

            assert await process.stop() == 130
            await process.ended()
    assert "wrong-one" not in str(process.events) + process.errors
