"""What is remembered between callbacks, and for how long."""

from devserver.callbacks.memory import KEPT_NONCES, Nonces, Secrets


def test_a_nonce_counts_once() -> None:
    """Until it is older than any timestamp that would still be taken."""
    now = 0.0
    nonces = Nonces(10, clock=lambda: now)

    assert nonces.use("a", "1")
    assert not nonces.use("a", "1")
    assert nonces.use("a", "2")
    now = 1.0
    assert nonces.use("a", "1", grace=2)
    assert not nonces.use("a", "1", grace=1)
    now = 11.0
    assert nonces.use("a", "1")


def test_nonces_do_not_pile_up() -> None:
    """A flood forgets the oldest."""
    nonces = Nonces(10, clock=lambda: 0.0)
    for number in range(KEPT_NONCES + 1):
        nonces.use(str(number))

    assert nonces.use("0")
    assert not nonces.use(str(KEPT_NONCES))


def test_the_last_two_secrets_count() -> None:
    """A host that did not like our answer goes on with the one before; shown, none is shown."""
    secrets = Secrets()
    for secret in ("one", "two", "three", "three"):
        secrets.learn("jira", "app", secret)

    assert secrets.of("jira", "app") == ("three", "two")
    assert secrets.of("other", "app") == ()
    assert "three" not in repr(secrets)
