"""What is remembered of hosts: in a file of its owner's alone, bounded, across restarts."""

from pathlib import Path

import pytest

from devserver.callbacks.call import Explanation, Finding
from devserver.callbacks.record import KEPT, KEPT_BYTES, KEPT_NONCES, Record, RecordBroken, Recorded
from devserver.model import Verdict


def recorded(body: bytes = b"{}", **more: object) -> Recorded:
    finding = Finding(
        verdict=Verdict.FORGED,
        event="installed",
        reason="because",
        key="app",
        explanation=Explanation(ours="GET&a", theirs="GET&b", cause="a proxy"),
    )
    made = {
        "finding": finding,
        "method": "POST",
        "path": "/installed?a=b",
        "headers": (("X-One", "1"), ("x-one", "2")),
        "body": body,
        "status": 401,
        "ms": 1.5,
    } | more
    return Recorded(**made)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "callbacks.sqlite"


def test_callbacks_survive_a_restart(file: Path) -> None:
    """Whole, with what was found, under the same number."""
    first = Record(file)
    number = first.add(recorded(b"\x00\xff"))
    first.close()

    found = Record(file).find(number)

    assert found is not None
    assert found.body == b"\x00\xff"
    assert found.headers == (("X-One", "1"), ("x-one", "2"))
    assert found.finding.explanation is not None
    assert found.finding.explanation.difference == 4
    assert found.finding.verdict is Verdict.FORGED


def test_its_owner_alone_reads_it(file: Path) -> None:
    """The file, its folder, and what SQLite puts beside it."""
    record = Record(file)
    record.add(recorded())

    assert file.parent.stat().st_mode & 0o077 == 0
    assert {each.stat().st_mode & 0o777 for each in file.parent.iterdir()} == {0o600}


def test_callbacks_do_not_pile_up(file: Path) -> None:
    """The oldest go, by number and by size; the newest stays whatever its size."""
    record = Record(file)
    for _ in range(KEPT + 5):
        record.add(recorded())
    assert len(record.newest()) == KEPT

    big = b"x" * (33 * 1024 * 1024)
    record.add(recorded(big))
    last = record.add(recorded(big))
    assert [each.number for each in record.newest()] == [last]


def test_headers_and_answers_count_too(file: Path) -> None:
    """What can be sent large is kept little of, wherever in a callback it stands."""
    record, big = Record(file), "x" * (33 * 1024 * 1024)
    record.add(recorded(headers=(("X-Big", big),)))
    record.add(recorded(answer_headers=(("X-Big", big),)))
    record.add(recorded(path=f"/installed?{big}"))
    last = record.add(recorded(answer=big.encode()))

    assert [each.number for each in record.newest()] == [last]


def test_forged_callbacks_push_no_genuine_one_out(file: Path) -> None:
    """Anybody can send as many, and as large, as they like."""
    record = Record(file)
    genuine = record.add(recorded(finding=Finding(verdict=Verdict.GENUINE, event="installed")))
    for _ in range(KEPT):
        record.add(recorded())
    record.add(recorded(b"x" * KEPT_BYTES))

    assert genuine in [each.number for each in record.newest()]


def test_a_nonce_counts_once(file: Path) -> None:
    """After a restart too, until it is older than any timestamp that would still be taken."""
    record = Record(file)

    assert record.use("a 1", 0.0, 10.0)
    record.close()
    again = Record(file)
    assert not again.use("a 1", 5.0, 10.0)
    assert again.use("a 1", 1.0, 10.0, grace=2)
    assert not again.use("a 1", 1.0, 10.0, grace=1)
    assert again.use("a 2", 5.0, 10.0)
    assert again.use("a 1", 11.0, 10.0)


def test_nonces_do_not_pile_up() -> None:
    """A flood forgets the oldest."""
    record = Record()
    for number in range(KEPT_NONCES + 1):
        record.use(str(number), 0.0, 10.0)

    assert record.use("0", 0.0, 10.0)
    assert not record.use(str(KEPT_NONCES), 0.0, 10.0)


def test_the_last_two_secrets_count(file: Path) -> None:
    """They belong to the target's address, whatever its name; shown, none is shown."""
    record = Record(file, {"jira": "http://localhost:2990/jira"})
    for secret in ("one", "two", "three", "three"):
        record.learn("jira", "app", secret)
    record.close()

    again = Record(file, {"renamed": "http://localhost:2990/jira", "jira": "http://other"})
    assert again.secrets("renamed", "app") == ("three", "two")
    assert again.secrets("jira", "app") == ()
    assert "three" not in repr(record)


def test_a_tenant_is_remembered(file: Path) -> None:
    """As its host described it last."""
    record = Record(file)
    record.meet("jira", "app", "client", "http://jira", "installed")
    record.meet("jira", "app", "client", "http://elsewhere", "enabled")

    (tenant,) = record.tenants()
    assert (tenant.base_url, tenant.event) == ("http://elsewhere", "enabled")


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """Is told once; memory takes its place."""
    file = tmp_path / "callbacks.sqlite"
    file.write_bytes(b"no database" * 100)
    told: list[RecordBroken] = []
    record = Record(file, warn=told.append)

    record.learn("jira", "app", "secret")

    assert record.secrets("jira", "app") == ("secret",)
    assert len(told) == 1
    assert str(file) in told[0].reason
    assert told[0].code == "RECORD-BROKEN"
