"""What was served stays fetchable by its digest, and callbacks of old revisions stay ours."""

from devserver.model import CallbackSpec, Descriptor, Kind, Revision
from devserver.publish import KEPT, Published


def descriptor(
    text: str, *callbacks: CallbackSpec, base: str = "http://localhost:8000"
) -> Descriptor:
    return Descriptor(
        kind=Kind.REMOTE_XML,
        key="a.b",
        name="A",
        version="1",
        body=text.encode(),
        canonical=text,
        base_url=base,
        callbacks=callbacks,
    )


def test_nothing_is_served_before_the_first_revision() -> None:
    """An empty shelf answers None to every question."""
    published = Published()

    assert published.newest is None
    assert published.lookup() is None
    assert published.lookup("jira", "00") is None


def test_bare_lookup_is_the_first_targets_newest() -> None:
    """The bare URL serves what the first target is to run."""
    published = Published()
    published.add(Revision(1, {"jira": descriptor("j1"), "wiki": descriptor("w1")}))
    published.add(Revision(2, {"jira": descriptor("j2"), "wiki": descriptor("w2")}))

    found = published.lookup()

    assert found is not None
    assert found.body == b"j2"


def test_a_digest_finds_exactly_those_bytes() -> None:
    """`rev` finds an earlier revision's bytes, for the target that has them."""
    old = descriptor("w1")
    published = Published()
    published.add(Revision(1, {"jira": descriptor("j1"), "wiki": old}))
    published.add(Revision(2, {"jira": descriptor("j2"), "wiki": descriptor("w2")}))

    assert old == published.lookup("wiki", old.digest)
    assert old == published.lookup(None, old.digest)
    assert published.lookup("jira", old.digest) is None
    assert published.lookup("nobody") is None


def test_only_the_last_fifty_are_kept() -> None:
    """A digest older than that is not found any more."""
    published = Published()
    for number in range(KEPT + 1):
        published.add(Revision(number, {"jira": descriptor(f"j{number}")}))

    assert published.lookup("jira", descriptor("j0").digest) is None
    assert published.lookup("jira", descriptor("j1").digest) is not None


def test_a_callback_path_outlives_its_revision() -> None:
    """A host that installed r1 still calls r1's path, below the base URL's own path."""
    spec = CallbackSpec("remote_plugin_installed", "/installed?x=1")
    published = Published()
    published.add(Revision(1, {"jira": descriptor("1", spec, base="http://localhost:8000/app/")}))
    published.add(Revision(2, {"jira": descriptor("2")}))

    assert published.callbacks("/app/installed") == (spec,)
    assert published.callbacks("/installed") == ()


def test_a_public_url_with_a_path_takes_it_away() -> None:
    """Hosts are told the whole address; what stands there hands on what follows its own path."""
    spec = CallbackSpec("remote_plugin_installed", "/installed")
    published = Published("https://abc.example/base/")
    published.add(Revision(1, {"jira": descriptor("1", spec, base="https://abc.example/base")}))
    published.add(Revision(2, {"jira": descriptor("2", spec, base="https://abc.example/basement")}))

    assert published.callbacks("/installed") == (spec,)
    assert published.callbacks("/base/installed") == (spec,)
    assert published.callbacks("/basement/installed") == (spec,)
    assert published.callbacks("/ment/installed") == ()


def test_targets_may_declare_different_events_at_one_path() -> None:
    """Neither takes the other's place; the newest comes first."""
    first, second = CallbackSpec("installed", "/hook"), CallbackSpec("enabled", "/hook")
    base = "http://localhost:8000"
    published = Published()
    published.add(
        Revision(
            1,
            {
                "jira": descriptor("1", first, base=base),
                "wiki": descriptor("2", second, base=base),
            },
        )
    )

    assert published.callbacks("/hook") == (second, first)
