"""Reading a project's files: what is found, what is refused, what is to be watched."""

import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devserver.model import Diagnostic, Position
from devserver.sources import LIMIT, Snapshot, Sources, find_descriptor

MAIN = "atlassian-plugin.xml.j2"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a template, and something beside it that is none of its business."""
    (tmp_path / "outside.j2").write_text("secret")
    project = tmp_path / "project"
    project.mkdir()
    (project / MAIN).write_text("<a/>")
    return project


def looked(root: Path, *variables: str, name: str = MAIN) -> Snapshot:
    return Sources(root, name, variables).look()


def codes(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(each.code, each.position.file) for each in snapshot.diagnostics]


# What is read


def test_a_look_reads_all_that_templates_name(root: Path) -> None:
    """The descriptor, its templates at any depth, variables and pom.xml, in one look."""
    (root / "sub").mkdir()
    (root / MAIN).write_text("{% include 'sub/a.j2' %}{% include 'no.j2' ignore missing %}")
    (root / "sub/a.j2").write_text("{% from 'b.j2' import x %}")
    (root / "sub/b.j2").write_text("{% macro x() %}{% endmacro %}")
    (root / "vars.toml").write_text("a = 1")
    (root / "pom.xml").write_text("<project/>")
    (root / "unrelated.j2").write_text("")
    snapshot = looked(root, "vars.toml")

    assert snapshot.descriptor == MAIN
    assert set(snapshot.files) == {MAIN, "sub/a.j2", "sub/b.j2", "vars.toml", "pom.xml"}
    assert snapshot.files["vars.toml"] == b"a = 1"
    assert snapshot.missing == {"no.j2", "b.j2"}
    assert snapshot.diagnostics == ()
    assert not snapshot.unsettled


def test_the_neighbour_is_read_only_where_the_root_has_none(root: Path) -> None:
    """Names mean the project's file first; the one beside the template is then not needed."""
    (root / "sub").mkdir()
    (root / MAIN).write_text("{% include 'sub/a.j2' %}")
    (root / "sub/a.j2").write_text("{% include 'b.j2' %}")
    (root / "sub/b.j2").write_text("")
    (root / "b.j2").write_text("")

    assert set(looked(root).files) == {MAIN, "sub/a.j2", "b.j2"}


def test_what_is_wanted_is_read_from_then_on(root: Path) -> None:
    """A name that only rendering turned up is part of every later look, with what it names."""
    (root / "a.j2").write_text("{% include 'b.j2' %}")
    (root / "b.j2").write_text("")
    sources = Sources(root, MAIN)
    first = sources.look()
    sources.want(["a.j2", "none.j2", "odd\0name", "x" * 5000])
    snapshot = sources.look()

    assert set(first.files) == {MAIN}
    assert set(snapshot.files) == {MAIN, "a.j2", "b.j2"}
    assert snapshot.missing == {"none.j2", "odd\0name", "x" * 5000}
    assert snapshot.diagnostics == ()
    assert sources.look() == snapshot


def test_a_plain_descriptor_is_read_as_bytes(root: Path) -> None:
    """A file that is no template names none, and its encoding is its parser's business."""
    data = "<?xml version='1.0' encoding='ISO-8859-1'?><a b='é'/>{% include 'x' %}".encode(
        "latin-1"
    )
    (root / "atlassian-plugin.xml").write_bytes(data)
    snapshot = looked(root, name="atlassian-plugin.xml")

    assert snapshot.files == {"atlassian-plugin.xml": data}
    assert snapshot.diagnostics == ()


def test_templates_that_name_each_other_are_read_once(root: Path) -> None:
    """A circle of includes is the rendering's problem, not a look that never ends."""
    (root / MAIN).write_text("{% include 'a.j2' %}")
    (root / "a.j2").write_text(f"{{% include '{MAIN}' %}}{{% include 'a.j2' %}}")

    assert set(looked(root).files) == {MAIN, "a.j2"}


def test_a_template_that_does_not_compile_keeps_its_includes(root: Path) -> None:
    """While a tag is being typed, the files it would include stay part of the look."""
    (root / MAIN).write_text("{% include 'a.j2' %}{% if %}")
    (root / "a.j2").write_text("")

    assert set(looked(root).files) == {MAIN, "a.j2"}


# The digest


def test_the_digest_tells_every_difference(root: Path) -> None:
    """Contents, names, what is missing and what is wrong each make another digest."""
    seen = [looked(root).digest]
    steps: list[Callable[[], object]] = [
        lambda: (root / MAIN).write_text("<b/>"),
        lambda: (root / MAIN).write_text("{% include 'a.j2' ignore missing %}"),
        lambda: (root / "a.j2").write_text(""),
        lambda: (root / "a.j2").write_bytes(b"\xff"),
        lambda: (root / "a.j2").write_bytes(b"\n\xff"),
        lambda: (root / "a.j2").unlink(),
    ]
    for step in steps[:-1]:
        step()
        seen.append(looked(root).digest)
    assert len(set(seen)) == len(seen)

    steps[-1]()
    assert looked(root).digest == seen[2]


def test_a_save_without_a_change_has_the_same_digest(root: Path) -> None:
    """Another inode, another time, the same bytes: nothing happened."""
    before = looked(root)
    (root / "new").write_text("<a/>")
    (root / "new").replace(root / MAIN)

    assert looked(root).digest == before.digest


# What is refused


def test_missing_files(root: Path) -> None:
    """A descriptor or a variables file that is named and not there is S003."""
    snapshot = looked(root, "vars.toml", name="none.xml.j2")

    assert codes(snapshot) == [("S003", "none.xml.j2"), ("S003", "vars.toml")]
    assert snapshot.missing == {"none.xml.j2", "vars.toml"}
    assert snapshot.diagnostics[0].message == "none.xml.j2 is not there"


def test_links_out_of_the_project_are_not_followed(root: Path) -> None:
    """S004 for a link to a file, through a folder, by `..`; nothing of it is read."""
    (root / "file.j2").symlink_to(root.parent / "outside.j2")
    (root / "folder").symlink_to(root.parent)
    (root / "dangling.j2").symlink_to(root.parent / "nothing.j2")
    (root / MAIN).write_text("{% include ['file.j2', 'folder/outside.j2', 'dangling.j2'] %}")
    snapshot = looked(root, "../outside.j2")

    assert set(snapshot.files) == {MAIN}
    assert sorted(codes(snapshot)) == [
        ("S004", "../outside.j2"),
        ("S004", "dangling.j2"),
        ("S004", "file.j2"),
        ("S004", "folder/outside.j2"),
    ]
    assert str(root.parent / "outside.j2") in snapshot.diagnostics[0].message
    assert "secret" not in repr(snapshot)


def test_links_within_the_project_work(root: Path) -> None:
    """A linked template, a linked folder and a chain of links are read like any other."""
    (root / "real").mkdir()
    (root / "real/a.j2").write_text("a")
    (root / "linked").symlink_to("real")
    (root / "b.j2").symlink_to("linked/a.j2")
    (root / "c.j2").symlink_to(root / "b.j2")
    (root / MAIN).rename(root / "real/main.j2")
    (root / "real/main.j2").write_text("{% include 'c.j2' %}{% include 'linked/a.j2' %}")
    (root / MAIN).symlink_to("real/main.j2")
    snapshot = looked(root)

    assert snapshot.diagnostics == ()
    assert set(snapshot.files) == {MAIN, "c.j2", "linked/a.j2"}


def test_a_project_reached_by_a_link_is_a_project(root: Path) -> None:
    """The root itself may be a link: its real folder is what counts."""
    link = root.parent / "link"
    link.symlink_to(root)
    sources = Sources(link, MAIN)

    assert set(sources.look().files) == {MAIN}
    assert sources.folders == {root}


def test_what_is_no_file_is_refused_at_once(root: Path) -> None:
    """Folders, pipes, sockets and devices are S003; none of them is waited for."""
    (root / "folder.j2").mkdir()
    os.mkfifo(root / "pipe.j2")
    (root / "loop.j2").symlink_to("loop.j2")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(root, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/s.j2")
        os.close(here)
    (root / MAIN).write_text("{% include ['folder.j2', 'pipe.j2', 's.j2', 'loop.j2'] %}")
    snapshot = looked(root)

    assert [each.message for each in snapshot.diagnostics] == [
        "folder.j2 is a folder",
        "pipe.j2 is no ordinary file",
        "s.j2 is no ordinary file",
        "loop.j2 cannot be read: too many levels of symbolic links",
    ]
    assert {code for code, _ in codes(snapshot)} == {"S003"}
    assert snapshot.missing == {"folder.j2", "pipe.j2", "s.j2", "loop.j2"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(root: Path) -> None:
    """S003 says what the system said."""
    (root / MAIN).chmod(0)

    assert looked(root).diagnostics[0].message == f"{MAIN} cannot be read: permission denied"


def test_a_large_file_is_not_read(root: Path) -> None:
    """S005 above 8 MB, however much above: a sparse terabyte costs no more."""
    with (root / MAIN).open("wb") as file:
        file.truncate(LIMIT)
    assert "S005" not in dict(codes(looked(root)))

    with (root / MAIN).open("wb") as file:
        file.truncate(2**40)
    snapshot = looked(root)
    assert codes(snapshot) == [("S005", MAIN)]
    assert snapshot.diagnostics[0].message == f"{MAIN} is larger than 8 MB"
    assert MAIN not in snapshot.files


def test_many_large_files_are_not_read(root: Path) -> None:
    """S005 for the one with which all together grow past 32 MB."""
    names = [f"{number}.j2" for number in range(6)]
    for name in names:
        with (root / name).open("wb") as file:
            file.truncate(7 * 1024 * 1024)
    sources = Sources(root, MAIN)
    sources.want(names)
    snapshot = sources.look()

    assert set(snapshot.files) == {MAIN, *names[:4]}
    large = [each for each in snapshot.diagnostics if each.code == "S005"]
    assert [each.position.file for each in large] == names[4:]
    assert "more than 32 MB" in large[0].message


def test_names_without_end_are_not_followed(root: Path) -> None:
    """Past two thousand names a look gives up; it takes no longer for that."""
    (root / MAIN).write_text("".join(f"{{% include 'n{i}' %}}" for i in range(5000)))
    snapshot = looked(root)

    assert set(snapshot.files) == {MAIN}
    assert len(snapshot.missing) == 5000


@pytest.mark.parametrize("data", ["<a/>".encode("utf-16"), b"\x89PNG\r\n\x1a\n\0\0", b"<a>\0"])
def test_templates_are_text(root: Path, data: bytes) -> None:
    """S006 with the place; the bytes are kept, so that another edit is another digest."""
    (root / MAIN).write_text("{% include 'a.j2' %}")
    (root / "a.j2").write_bytes(data)
    snapshot = looked(root)

    assert codes(snapshot) == [("S006", "a.j2")]
    assert snapshot.diagnostics[0].position.line == 1
    assert snapshot.files["a.j2"] == data


def test_names_with_odd_characters_do_no_harm(root: Path) -> None:
    """A name that is no text to Python is told in a form that is."""
    snapshot = looked(root, os.fsdecode(b"v\xff.toml"))

    assert codes(snapshot) == [("S003", r"v\udcff.toml")]


# Whether somebody is writing


def test_an_empty_file_is_unsettled_while_it_is_young(root: Path) -> None:
    """An editor that truncates and then writes is caught in between; an old empty file is not."""
    (root / MAIN).write_text("")
    assert looked(root).unsettled

    old = time.time() - 1
    os.utime(root / MAIN, (old, old))
    assert not looked(root).unsettled


def test_an_empty_include_counts_as_well(root: Path) -> None:
    """Whichever file is being written, the look is not to be believed yet."""
    (root / MAIN).write_text("{% include 'a.j2' %}")
    (root / "a.j2").write_text("")

    assert looked(root).unsettled


def test_git_at_work_is_unsettled(root: Path) -> None:
    """A checkout of another branch holds index.lock, of the repository the project is in."""
    git = root.parent / ".git"
    git.mkdir()
    assert not looked(root).unsettled

    (git / "index.lock").touch()
    assert looked(root).unsettled


@pytest.mark.parametrize("absolute", [True, False])
def test_git_at_work_in_a_worktree(root: Path, absolute: bool) -> None:
    """In a worktree .git is a file that names the folder."""
    git = root.parent / "main/.git/worktrees/project"
    git.mkdir(parents=True)
    named = git if absolute else Path("../main/.git/worktrees/project")
    (root / ".git").write_text(f"gitdir: {named}\n")
    assert not looked(root).unsettled

    (git / "index.lock").touch()
    assert looked(root).unsettled


@pytest.mark.parametrize("content", ["gitdir: \0", "no such line", ""])
def test_a_broken_git_file_is_nobody_at_work(root: Path, content: str) -> None:
    """A .git that names no folder holds nothing up."""
    (root / ".git").write_text(content)

    assert not looked(root).unsettled


# What to watch


def test_folders_of_files_and_of_what_is_missing(root: Path) -> None:
    """Each folder down to a file; of a missing one, down to the nearest that there is."""
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/c.j2").write_text("")
    (root / MAIN).write_text(
        "{% include 'a/b/c.j2' %}{% include 'a/none/d.j2' ignore missing %}"
        "{% include 'none/e.j2' ignore missing %}"
    )
    sources = Sources(root, MAIN)
    sources.look()
    assert sources.folders == {root, root / "a", root / "a/b"}

    (root / "none").mkdir()
    (root / "a/none").mkdir()
    assert sources.folders == {root, root / "a", root / "a/b", root / "a/none", root / "none"}


def test_folders_of_links_and_of_their_targets(root: Path) -> None:
    """A link may be changed where it is, and its file where that is: both are watched."""
    for folder in ("links", "real/deep", "between"):
        (root / folder).mkdir(parents=True)
    (root / "real/deep/a.j2").write_text("")
    (root / "between/folder").symlink_to("../real")
    (root / "links/a.j2").symlink_to(root / "between/folder/deep/a.j2")
    (root / MAIN).write_text("{% include 'links/a.j2' %}")
    sources = Sources(root, MAIN)
    sources.look()

    assert sources.folders == {
        root / each for each in (".", "links", "between", "real", "real/deep")
    }


def test_folders_are_known_before_the_first_look_and_never_outside(root: Path) -> None:
    """Watching may start first; nothing outside the project is ever watched."""
    (root / "out.j2").symlink_to(root.parent / "outside.j2")
    (root / "loop.j2").symlink_to("loop.j2")
    (root / MAIN).write_text("{% include 'out.j2' %}{% include 'loop.j2' %}")
    sources = Sources(root, MAIN, ["conf/vars.toml"])
    assert sources.folders == {root}

    sources.look()
    sources.want(["../outside.j2", "odd\0name"])
    sources.look()
    assert sources.folders == {root}
    assert all(stat.S_ISDIR(each.stat().st_mode) for each in sources.folders)


# Finding the descriptor


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (["atlassian-plugin.xml.j2", "other.xml.j2", "atlassian-plugin.xml"], 0),
        (["atlassian-connect.json.j2", "atlassian-plugin.xml"], 0),
        (["my-app.xml.j2", "atlassian-plugin.xml", "macros.j2"], 0),
        (["my-app.json.j2", "atlassian-connect.json"], 0),
        (["atlassian-plugin.xml", "src/main/resources/atlassian-plugin.xml"], 0),
        (["atlassian-connect.json", "package.json"], 0),
        (["src/main/resources/atlassian-plugin.xml", "pom.xml"], 0),
    ],
)
def test_the_descriptor_is_found_by_itself(tmp_path: Path, there: list[str], found: int) -> None:
    """Templates come before plain files, the usual names before others."""
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    assert find_descriptor(tmp_path) == there[found]


@pytest.mark.parametrize(
    "there",
    [
        ["atlassian-connect.json.j2", "atlassian-plugin.xml.j2"],
        ["a.xml.j2", "b.json.j2"],
        ["atlassian-connect.json", "atlassian-plugin.xml"],
    ],
)
def test_several_descriptors_are_a_choice_for_the_user(tmp_path: Path, there: list[str]) -> None:
    """S002 names them all, and how to choose."""
    for name in there:
        (tmp_path / name).touch()
    found = find_descriptor(tmp_path)

    assert isinstance(found, Diagnostic)
    assert found.code == "S002"
    assert all(name in found.message for name in there)
    assert "[app] descriptor" in found.fix


@pytest.mark.parametrize("folder", [".", "not-there"])
def test_no_descriptor(tmp_path: Path, folder: str) -> None:
    """S001 says what was looked for, and where."""
    found = find_descriptor(tmp_path / folder)

    assert isinstance(found, Diagnostic)
    assert (found.code, found.position) == ("S001", Position("upm-dev.toml"))
    assert str(tmp_path) in found.message
