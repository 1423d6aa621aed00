"""Patched JARs: what is replaced is new, everything else is as it was, and every tool takes it."""

import hashlib
import io
import shutil
import struct
import subprocess
import zipfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devserver.descriptor import patch
from devserver.descriptor.archive import Archive, Unfit, parse

MAIN = "atlassian-plugin.xml"
FILES = {
    "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\r\n\r\n",
    "com/acme/A.class": bytes(range(256)) * 40,
    MAIN: b"<atlassian-plugin/>",
    "grüße.properties": b"a=b",
    "com/": b"",
}


class Unseekable(io.RawIOBase):
    """What makes `zipfile` write data descriptors."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, more: object) -> int:
        self.data += bytes(more)  # type: ignore[call-overload]
        return len(bytes(more))  # type: ignore[call-overload]


def packed(
    files: dict[str, bytes] = FILES, *, stored: bool = False, streamed: bool = False
) -> bytes:
    file: io.BytesIO | Unseekable = Unseekable() if streamed else io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.data if isinstance(file, Unseekable) else file.getvalue()


def good(data: bytes) -> Archive:
    found = parse(data)
    assert isinstance(found, Archive), found
    return found


def patched(data: bytes, replaced: dict[str, bytes], dropped: tuple[str, ...] = ()) -> bytes:
    found = patch.patched(good(data), replaced, dropped)
    assert isinstance(found, patch.Pieces), found
    whole = bytes(found)
    assert whole == b"".join(found)
    assert (found.size, found.digest) == (len(whole), hashlib.sha256(whole).hexdigest())
    return whole


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {each.filename: archive.read(each) for each in archive.infolist()}


@pytest.mark.parametrize(
    "data",
    [
        packed(),
        packed(stored=True),
        packed(streamed=True),
        b"#!/bin/sh\n" + packed(),
        b"#!/bin/sh\n" + packed(streamed=True),
    ],
    ids=["deflated", "stored", "data descriptors", "a prefix", "a prefix and descriptors"],
)
def test_only_what_is_replaced_changes(data: bytes) -> None:
    """Order, names and every other entry stay; a new one comes last; it is the same each time."""
    new = b"<atlassian-plugin key='a'/>" * 50
    found = patched(data, {MAIN: new, "neu/ä.properties": b"x=y"})
    assert contents(found) == {**FILES, MAIN: new, "neu/ä.properties": b"x=y"}
    assert [*contents(found)] == [*FILES, "neu/ä.properties"]
    assert found == patched(data, {"neu/ä.properties": b"x=y", MAIN: new})
    assert good(found).read(MAIN) == new


@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5})?", fullmatch=True), st.binary()),
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_entries_can_go_and_come(files: dict[str, bytes], data: st.DataObject) -> None:
    """Whatever is replaced, added and dropped: the rest is there, and the copy can be patched."""
    names = sorted(files)
    dropped = tuple(data.draw(st.lists(st.sampled_from(names), unique=True)) if names else ())
    replaced = data.draw(st.dictionaries(st.sampled_from([*names, "neu"]), st.binary()))
    replaced = {name: value for name, value in replaced.items() if name not in dropped}
    found = patched(packed(files, streamed=len(files) % 2 == 1), replaced, dropped)
    wanted = {name: value for name, value in files.items() if name not in dropped} | replaced
    assert contents(found) == wanted
    assert contents(patched(found, {"neu": b"2"})) == {**wanted, "neu": b"2"}


def test_more_entries_than_a_plain_zip_can_count() -> None:
    """A zip64 directory stays one, with its counts and places brought up to date."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(66_000):
            archive.writestr(f"{number:06}", b"")
        archive.writestr(MAIN, b"<a/>")
        archive.writestr("last", b"end")
    found = patched(file.getvalue(), {MAIN: b"<b/>" * 100, "new": b"n"}, ("000001",))
    with zipfile.ZipFile(io.BytesIO(found)) as archive:
        assert len(archive.infolist()) == 66_002
        assert archive.read("last") == b"end"
        assert archive.read(MAIN) == b"<b/>" * 100
        assert archive.read("new") == b"n"


def test_places_that_only_the_extra_field_says() -> None:
    """A record whose numbers stand in zip64's extra field is moved there."""
    plain = packed({"a": b"1" * 100, "b": b"2" * 50}, stored=True)
    at = plain.rindex(b"PK\x01\x02")
    record = bytearray(plain[at : at + 47])
    offset = struct.unpack_from("<I", record, 42)[0]
    struct.pack_into("<I", record, 42, 0xFFFFFFFF)
    struct.pack_into("<I", record, 24, 0xFFFFFFFF)
    struct.pack_into("<H", record, 30, 20)
    wide = bytes(record) + struct.pack("<2H2Q", 1, 16, 50, offset)
    end = bytearray(plain[plain.index(b"PK\x05\x06") :])
    struct.pack_into("<I", end, 12, struct.unpack_from("<I", end, 12)[0] + 20)
    data = plain[:at] + wide + bytes(end)
    assert contents(data) == {"a": b"1" * 100, "b": b"2" * 50}
    assert contents(patched(data, {"a": b"longer" * 100}))["b"] == b"2" * 50


def test_a_signature_goes_cleanly(tmp_path: Path) -> None:
    """The files that sign a JAR are found by name, whatever their case, and dropped alone."""
    names = ["META-INF/ACME.SF", "META-INF/acme.rsa", "META-INF/SIG-X", "META-INF/sub/X.SF"]
    data = packed({**FILES, **dict.fromkeys(names, b"s")})
    assert good(data).signature == ("META-INF/ACME.SF", "META-INF/SIG-X", "META-INF/acme.rsa")
    found = patched(data, {MAIN: b"<b/>"}, good(data).signature)
    assert contents(found) == {**FILES, MAIN: b"<b/>", "META-INF/sub/X.SF": b"s"}


def flagged(data: bytes) -> bytes:
    """The same with its first record marked as encrypted."""
    at = data.index(b"PK\x01\x02")
    return data[: at + 8] + b"\x01" + data[at + 9 :]


def lying(data: bytes) -> bytes:
    """The same with a directory that points elsewhere."""
    at = data.rindex(b"PK\x01\x02")
    return data[: at + 42] + struct.pack("<I", 7) + data[at + 46 :]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JAR"),
        (b"<html>", "no JAR"),
        (packed()[:-30], "not whole"),
        (packed()[: len(packed()) // 2], "not whole"),
        (packed()[10:], "cut off"),
        (flagged(packed()), "encrypted"),
        (packed({"../evil": b""}), "outside its root"),
        (packed({"/etc/passwd": b""}), "outside its root"),
        (packed({"a\\..\\..\\b": b""}), "outside its root"),
        (packed({"\\\\server\\b": b""}), "outside its root"),
        (lying(packed()), "broken"),
        (packed().replace(b"PK\x01\x02", b"PK\x01\x00", 1), "something else"),
    ],
    ids=["empty", "a page", "no end", "half", "no start", "encrypted", "climbs", "absolute",
         "backslashes", "a share", "lying", "torn directory"],
)  # fmt: skip
def test_what_is_no_jar_is_said(data: bytes, said: str) -> None:
    """Nothing that a host could choke on is made into something to send."""
    found = parse(data)
    assert isinstance(found, Unfit)
    assert said in found.reason


@given(st.binary(max_size=300), st.integers(0, 600))
@settings(max_examples=200, deadline=None)
def test_no_bytes_break_it(noise: bytes, at: int) -> None:
    """Any bytes, and any damage to a good JAR: a verdict, never an exception."""
    data = packed(stored=True)
    for each in (noise, data[:at] + noise + data[at + len(noise) :], data[:at] + noise + data[at:]):
        found = parse(each)
        if isinstance(found, Archive):
            found.read(MAIN)
            patch.patched(found, {MAIN: b"x"})


def test_an_entry_that_is_larger_than_it_says() -> None:
    """Is not read: what it says is what keeps us from unpacking too much."""
    data = bytearray(packed({"a": b"x" * 10_000}, stored=True))
    struct.pack_into("<I", data, data.rfind(b"PK\x01\x02") + 24, 5)

    assert good(bytes(data)).read("a", limit=100) is None


def test_an_entry_that_is_there_twice() -> None:
    """A duplicate is left alone, unless it is what is to be replaced."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for _ in range(2):
            with pytest.warns(UserWarning, match="Duplicate") if _ else nullcontext():
                archive.writestr("a", str(_))
        archive.writestr(MAIN, b"<a/>")
    assert good(file.getvalue()).twice == ("a",)
    assert len(good(patched(file.getvalue(), {MAIN: b"<b/>"})).twice) == 1
    assert isinstance(patch.patched(good(file.getvalue()), {"a": b""}), Unfit)


@pytest.mark.skipif(not shutil.which("jar"), reason="there is no JDK")
def test_the_tools_of_others_take_it(tmp_path: Path) -> None:
    """`jar` makes one from what `javac` compiled; `jar tf` and `unzip -t` take the patched copy."""
    source = tmp_path / "acme" / "Hello.java"
    source.parent.mkdir()
    source.write_text("package acme; public class Hello { class Inner {} }", "utf-8")
    (tmp_path / MAIN).write_text("<atlassian-plugin/>", "utf-8")

    def run(*command: str) -> str:
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    run("javac", "acme/Hello.java")
    run("jar", "cf", "a.jar", "acme/Hello.class", "acme/Hello$Inner.class", MAIN)
    before = (tmp_path / "a.jar").read_bytes()
    (tmp_path / "b.jar").write_bytes(patched(before, {MAIN: b"<b/>", "x.properties": b"a=b"}))
    assert run("jar", "tf", "b.jar") == run("jar", "tf", "a.jar") + "x.properties\n"
    run("unzip", "-t", "b.jar")
    run("jar", "xf", "b.jar", MAIN)
    assert (tmp_path / MAIN).read_bytes() == b"<b/>"
    after = contents((tmp_path / "b.jar").read_bytes())
    assert {n: d for n, d in contents(before).items() if n != MAIN}.items() <= after.items()


@pytest.mark.skipif(not shutil.which("jarsigner"), reason="there is no JDK")
def test_a_signed_jar_is_an_unsigned_one_after(tmp_path: Path) -> None:
    """What `jarsigner` signed verifies as unsigned, not as broken."""

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    run("keytool", "-genkeypair", "-alias", "a", "-dname", "CN=a", "-keyalg", "EC", "-storepass",
        "secret", "-keystore", "keys")  # fmt: skip
    (tmp_path / "a.jar").write_bytes(packed())
    run("jarsigner", "-keystore", "keys", "-storepass", "secret", "a.jar", "a")
    assert "jar verified" in run("jarsigner", "-verify", "a.jar")
    data = (tmp_path / "a.jar").read_bytes()
    found = patched(data, {MAIN: b"<b/>"}, good(data).signature)
    (tmp_path / "b.jar").write_bytes(found)
    assert "jar is unsigned" in run("jarsigner", "-verify", "b.jar")
    run("unzip", "-t", "b.jar")


@pytest.mark.skipif(not shutil.which("zip"), reason="there is no zip")
@pytest.mark.parametrize("how", ["-q -r", "-q -r -fz", "-q -r -0", "streamed"])
def test_what_zip_makes(tmp_path: Path, how: str) -> None:
    """Its zip64, its data descriptors (what goes into a pipe has them), stored or deflated."""
    for name, data in FILES.items():
        if not name.endswith("/"):
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name).write_bytes(data)
    made = tmp_path / "a.jar"
    if how == "streamed":
        piped = subprocess.run(
            ["zip", "-q", "-r", "-", "."], cwd=tmp_path / "in", capture_output=True, check=True
        )
        made.write_bytes(piped.stdout)
    else:
        subprocess.run(["zip", *how.split(), made, "."], cwd=tmp_path / "in", check=True)
    before = contents(made.read_bytes())
    found = patched(made.read_bytes(), {MAIN: b"<b/>" * 200, "neu": b"n"})
    assert contents(found) == {**before, MAIN: b"<b/>" * 200, "neu": b"n"}
    (tmp_path / "b.jar").write_bytes(found)
    tested = subprocess.run(
        ["unzip", "-t", "b.jar"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "No errors" in tested.stdout


@pytest.mark.skipif(not shutil.which("zip"), reason="there is no zip")
def test_what_zip_has_encrypted(tmp_path: Path) -> None:
    """Told as what it is."""
    (tmp_path / MAIN).write_text("<a/>", "utf-8")
    subprocess.run(["zip", "-q", "-P", "secret", "a.jar", MAIN], cwd=tmp_path, check=True)
    found = parse((tmp_path / "a.jar").read_bytes())
    assert isinstance(found, Unfit)
    assert f"encrypted ({MAIN})" in found.reason
