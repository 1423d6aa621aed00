"""Commands that only look send nothing to a machine far away, either, before the user agrees."""

import json
from pathlib import Path

import pytest
from commands.house import KEY, run
from upm.scripted import answer, scripted

from devserver.upm.journal import Journal

FAR = "https://jira.example.com"
SECRET = "s3cret-of-the-test"


@pytest.mark.parametrize("command", ["status", "plan", "unregister"])
@pytest.mark.parametrize("agreed", [False, True])
async def test_nothing_is_sent_unasked(
    command: str, agreed: bool, project: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """Not a byte, for it may be a typo; with --yes it is asked."""
    journal = Journal(tmp_path / "state" / "upm-dev" / "journal.sqlite", project=str(project))
    journal.note("jira", FAR, KEY, "0" * 64)
    journal.keep(FAR, KEY)
    journal.close()
    # All that goes to a host elsewhere would come by the proxy.
    async with scripted([], last=answer(502)) as proxy:
        variables = {
            **env,
            "UPM_DEV_PASSWORD": SECRET,
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        }
        flags = ("--yes",) if agreed else ()
        code, out, err = await run(
            command, project, "--target", FAR, "--timeout", "1", *flags, env=variables
        )

    assert bool(proxy.requests) is agreed
    assert SECRET not in out + err
    assert ("TARGET-NOT-DEV" in out + err) is not agreed
    assert code in ((0,) if command == "plan" else (4, 6))


@pytest.mark.parametrize("agreed", [False, True])
async def test_a_difference_is_not_looked_for_unasked(
    agreed: bool, project: Path, env: dict[str, str]
) -> None:
    """`diff target:NAME` is such a command, too; the environment can agree as the flag does."""
    with (project / "upm-dev.toml").open("a") as settings:
        settings.write(f'[targets.far]\nurl = "{FAR}"\n')
    async with scripted([], last=answer(502)) as proxy:
        variables = {
            **env,
            "UPM_DEV_PASSWORD": SECRET,
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
        }
        flags = ("--yes",) if agreed else ()
        code, _, err = await run("diff", "target:far", project, *flags, env=variables)
        by_name = await run(
            "diff", "target:far", project, env={**variables, "UPM_DEV_YES": str(int(agreed))}
        )

    assert bool(proxy.requests) is agreed
    assert code == by_name[0] == (4 if agreed else 6)
    assert ("TARGET-NOT-DEV" in err) is not agreed


async def test_the_other_targets_are_shown(project: Path, env: dict[str, str]) -> None:
    """One that was not agreed to, or has no password, hides nothing of the others."""
    gone = answer(404)
    async with scripted([], last=gone) as host:
        with (project / "upm-dev.toml").open("a") as settings:
            settings.write(f'[targets.far]\nurl = "{FAR}"\n[targets.near]\nurl = "{host.url}"\n')
            settings.write(f'[targets.bobs]\nurl = "{host.url}-2"\nuser = "bob"\n')
        code, out, _ = await run("status", project, "--json", env=env)
    targets = {each["target"]: each for each in json.loads(out)["targets"]}

    assert code == 5
    assert targets["far"]["code"] == "TARGET-NOT-DEV"
    assert targets["bobs"]["code"] == "CREDENTIALS-MISSING"
    assert targets["near"]["installed"] is None
    assert "reason" not in targets["near"]
