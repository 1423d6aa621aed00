"""After a rejection nothing is sent until there is another secret; a saved `.env` is enough."""

from pathlib import Path

from processes import environment, upm_dev
from projects import Project
from upm.scripted import answer, scripted

from devserver.simulator import SimulatedHost, simulated_host

NO = answer(401, X_Seraph_LoginReason="AUTHENTICATED_FAILED")


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


async def test_one_secret_goes_to_one_origin_once(tmp_path: Path) -> None:
    """Two targets on one host lock an account twice as fast: whichever asked first speaks for both.

    So it is for a saved `.env`: the same secret is not sent again, another one once.
    """
    project = Project(tmp_path / "hello")
    dotenv = project.root / ".env"
    dotenv.touch(0o600)

    def passwords(jira: str, wiki: str) -> None:
        dotenv.write_text(f"UPM_DEV_JIRA_PASSWORD={jira}\nUPM_DEV_WIKI_PASSWORD={wiki}\n")

    passwords("wrong-one", "wrong-one")
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"))
    async with scripted([], last=NO) as host:
        with project.settings.open("a") as settings:
            for name in ("jira", "wiki"):
                settings.write(f'[targets.{name}]\nurl = "http://127.0.0.1:{host.port}/{name}"\n')

        def sent() -> list[str]:
            return [each.headers["authorization"] for each in host.requests]

        async with upm_dev("serve", project.root, "--json", "--port", "0", env=env) as process:
            for _ in range(2):
                await process.seen("target", state="rejected", code="UPM401-CREDENTIALS")
            assert {each["target"] for each in process.of("target", state="rejected")} == {
                "jira",
                "wiki",
            }
            assert len(sent()) == 1

            passwords("other-one", "wrong-one")
            await process.seen("target", state="rejected", target="jira")
            assert len(sent()) == 2
            passwords("other-one", "other-one")
            notice = await process.seen("notice", target="wiki")
            while "other" not in notice["message"] and "already" not in notice["message"]:
                notice = await process.seen("notice", target="wiki")
            assert len(sent()) == 2
            assert await process.stop() == 130

    assert len(set(sent())) == 2


async def test_a_target_without_a_password_stops_no_other(tmp_path: Path) -> None:
    """It waits for one, in `.env` say, while the others go on."""
    project = Project(tmp_path / "hello")
    env = environment(XDG_STATE_HOME=str(tmp_path / "state"))
    async with simulated_host(port=0) as host, simulated_host(port=0) as other:
        with project.settings.open("a") as settings:
            settings.write(f'[targets.jira]\nurl = "{host.url}"\n')
            settings.write(f'[targets.bobs]\nurl = "{other.url}"\nuser = "bob"\n')
        async with upm_dev("serve", project.root, "--json", "--port", "0", env=env) as process:
            await process.seen("target", state="confirmed", target="jira")
            rejected = process.of("target", state="rejected", target="bobs")
            assert [each["code"] for each in rejected] == ["CREDENTIALS-MISSING"]
            assert not asked(other)

            dotenv = project.root / ".env"
            dotenv.touch(0o600)
            dotenv.write_text("UPM_DEV_BOBS_PASSWORD=wrong-one\n")
            await process.seen("target", state="rejected", target="bobs")
            assert asked(other) == 1
            assert await process.stop() == 130
