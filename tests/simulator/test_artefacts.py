"""What is installed, refused, skipped, and kept for a restart (§2.7, §2.8, §6, §8)."""

import struct
from pathlib import Path

import pytest
from simulator.conftest import LogIn, Start
from simulator.people import PLAIN_XML, REMOTE_XML, App
from simulator.zips import archive, jar

from devserver.errors import UsageError
from devserver.simulator.app import App as Described
from devserver.simulator.app import Kind
from devserver.simulator.artefact import file_name, recognise
from devserver.simulator.policy import compare_versions
from devserver.simulator.profile import load_product, load_profile, profile_names
from devserver.simulator.refusal import Refusal

UPM = "upm.pluginInstall.error."
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"

DOCUMENTS = [
    ("<broken", "unknown.plugin.type"),
    ("<other/>", "unknown.plugin.type"),
    ('<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><atlassian-plugin key="k">&e;'
     "</atlassian-plugin>", "unknown.plugin.type"),
    ("<atlassian-plugin/>", "install.failed"),
    ('<atlassian-plugin key="k" plugins-version="7"/>', "unrecognised.plugin.version"),
    ('<atlassian-plugin key="k"/>', "legacy.plugins.unsupported"),
    ('<atlassian-plugin key="k" plugins-version="2"><a key="m"/><b key="m"/></atlassian-plugin>',
     "install.failed"),
    ('<atlassian-plugin key="k"><remote-plugin-container display-url="http://x"/>'
     "</atlassian-plugin>", "install.failed"),
    ('<atlassian-plugin key="k" plugins-version="2"><remote-plugin-container/>'
     "</atlassian-plugin>", "install.failed"),
    ('<atlassian-plugin key="k" plugins-version="2"><remote-plugin-container'
     ' display-url="javascript:x"/></atlassian-plugin>', "install.failed"),
    ('<atlassian-plugin key="k" plugins-version="2"><remote-plugin-container display-url="http://x"'
     '/><general-page key="p" url="http://y/"/></atlassian-plugin>', "install.failed"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), DOCUMENTS)
async def test_xml_that_is_refused(
    start: Start, log_in: LogIn, app: App, text: str, code: str
) -> None:
    """Each ends in the subCode that such a host gives."""
    admin = await log_in(await start())
    app.body = text.encode()

    assert await admin.refused(app.descriptor) == UPM + code


JSON = [
    ("{", "unknown.plugin.type"),
    ("[1]", "unknown.plugin.type"),
    ('{"key": "k"}', "unknown.plugin.type"),
    ('{"key": "k", "baseUrl": ', "connect.invalid.descriptor.install.exception"),
    ('{"key": "k k", "baseUrl": "http://x"}', "remote.descriptor.validation.dev"),
    ('{"key": "k", "baseUrl": 1}', "remote.descriptor.validation.dev"),
    ('{"key": "k", "baseUrl": "http://x"}', "remote.descriptor.validation.dev"),
    ('{"key": "k", "baseUrl": "http://x", "authentication": {"type": "jwt"}}',
     "auth.with.no.installed.callback"),
    ('{"key": "k", "baseUrl": "x", "authentication": {"type": "none"}}', "base_url.no_scheme"),
    ('{"key": "k", "baseUrl": "http://x", "authentication": {"type": "none"}, "modules": []}',
     "remote.descriptor.validation.dev"),
    ('{"key": "k", "baseUrl": "http://x", "authentication": {"type": "none"}, "lifecycle": 1}',
     "remote.descriptor.validation.dev"),
    ('{"key": "k", "baseUrl": "http://x", "authentication": {"type": "none"}, "lifecycle":'
     ' {"installed": "http://y"}}', "remote.descriptor.validation.dev"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code"), JSON)
async def test_json_that_is_refused(
    start: Start, log_in: LogIn, app: App, text: str, code: str
) -> None:
    """Each ends in the subCode that the Connect host gives."""
    admin = await log_in(await start(profile="connect"))
    app.body, app.media_type = text.encode(), "application/json"

    assert (await admin.refused(app.descriptor)).endswith(code)


@pytest.mark.parametrize(
    ("profile", "product", "kind", "code"),
    [
        ("xml-era", "jira", "json", "unknown.plugin.type"),
        ("connect", "jira", "remote", "unknown.plugin.type"),
        ("dc", "jira", "remote", "unknown.plugin.type"),
        ("dc", "jira", "json", "unknown.plugin.type"),
        ("dc", "bitbucket", "plain", "xml.plugins.unsupported"),
        ("dc", "refapp", "plain", "xml.plugins.unsupported"),
        ("dc", "crowd", "plain", "xml.plugins.unsupported"),
        ("dc", "jira", "plain", None),
        ("dc", "confluence", "plain", None),
        ("dc", "bamboo", "plain", None),
        ("cloud", "jira", "json", "descriptor.not.from.marketplace"),
        ("cloud-2025", "jira", "json", "response.exception"),
    ],
)
async def test_what_each_profile_takes(
    start: Start, log_in: LogIn, app: App, profile: str, product: str, kind: str, code: str | None
) -> None:
    """Kinds by profile and product, as docs/simulator.md has them."""
    admin = await log_in(await start(profile=profile, product=product))
    if kind == "json":
        app.serve_json()
    else:
        app.serve_xml(template=REMOTE_XML if kind == "remote" else PLAIN_XML)

    ended = await admin.install(app.descriptor)

    if code is None:
        assert ended.status == 303
    else:
        assert ended.json["status"]["subCode"] == UPM + code


async def test_cloud_of_2025_on_this_machine(start: Start, log_in: LogIn, app: App) -> None:
    """With the flag a local app installs, by RS256 and with an accountId in the task."""
    host = await start(profile="cloud-2025", allow_loopback=True)
    admin = await log_in(host)
    app.serve_json()

    accepted = await admin.post(app.descriptor)

    assert (await admin.finish(accepted)).status == 303
    assert host.url == host.origin
    assert (accepted.json["accountId"], accepted.json["pingAfter"]) == ("admin", 300)


async def test_cloud_wants_https(start: Start, log_in: LogIn, app: App) -> None:
    """A base URL without TLS is refused by its own subCode."""
    admin = await log_in(await start(profile="cloud-2025", allow_loopback=True))
    app.serve_json(baseUrl="http://app.example")

    assert await admin.refused(app.descriptor) == "connect.install.error.base_url.no_tls"


async def test_versions(start: Start, log_in: LogIn) -> None:
    """The same version installs again, an older one is skipped without a word (§2.8)."""
    host = await start(profile="dc")
    admin = await log_in(host)

    for version in ("1.10", "1.9", "1.10"):
        done = await admin.finish(await admin.upload(jar("a.b", version)))
        assert done.status == 303
        assert host.state.plugins["a.b"].app.version == "1.10"
    assert [entry.text for entry in host.state.log] == [
        'Installed app "A JAR" (a.b) version 1.10',
        'Updated app "A JAR" (a.b) version 1.10',
    ]


@pytest.mark.parametrize(
    ("left", "right", "sign"),
    [
        ("1.0", "1", 0),
        ("1.10", "1.9", 1),
        ("1.0-SNAPSHOT", "1.0", -1),
        ("1.0.1", "1.0", 1),
        ("2", "1.9.9", 1),
        ("1.0-alpha", "1.0-beta", -1),
    ],
)
def test_comparing_versions(left: str, right: str, sign: int) -> None:
    """Number by number; text comes before any number."""
    assert compare_versions(left, right) == sign
    assert compare_versions(right, left) == -sign


async def test_an_update_that_waits_for_a_restart(start: Start, log_in: LogIn) -> None:
    """Some module types keep the old plugin until then; `requires-restart` lists and cancels it."""
    host = await start(profile="dc")
    admin = await log_in(host)
    fields = '<customfield-type key="f"/>'
    for version in ("1", "2"):
        await admin.finish(await admin.upload(jar("a.b", version, modules=fields)))

    waiting = (await admin("GET", "a.b-key")).json
    listed = (await admin("GET", "requires-restart")).json["changes"]

    assert (waiting["version"], waiting["restartState"]) == ("1", "upgrade")
    assert [(each["key"], each["action"]) for each in listed] == [("a.b", "upgrade")]
    host.restart()
    assert (await admin("GET", "a.b-key")).json["version"] == "2"
    await admin.finish(await admin.upload(jar("a.b", "3", modules=fields)))
    assert (await admin("DELETE", "requires-restart/a.b-key")).status == 204
    host.restart()
    assert (await admin("GET", "a.b-key")).json["version"] == "2"


async def test_signatures(start: Start, log_in: LogIn) -> None:
    """A host that checks them wants JARs signed (§6.2)."""
    profile = load_profile("dc")
    from dataclasses import replace

    admin = await log_in(await start(profile=replace(profile, signatures=True)))

    unsigned = await admin.finish(await admin.upload(jar("a.b")))
    signed = jar("a.b", extra={"META-INF/A.SF": b"", "META-INF/A.RSA": b""})

    assert unsigned.json["status"]["errorMessage"] == "Signature check failed!"
    assert (await admin.finish(await admin.upload(signed))).status == 303


async def test_an_obr(start: Start, log_in: LogIn) -> None:
    """The plugin in it is installed."""
    host = await start(profile="dc")
    admin = await log_in(host)
    obr = archive(
        {"obr.xml": b"<repository/>", "app.jar": jar("in.obr"), "dependencies/x.jar": b"no"}
    )

    await admin.finish(await admin.upload(obr, "app.obr"))

    assert "in.obr" in host.state.plugins


def many_zeros() -> bytes:
    """A descriptor that says of itself that it is 3 GB."""
    data = bytearray(jar("a.b"))
    central = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, central + 24, 3 * 1024**3)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip",
        b"PK\x03\x04broken",
        archive({"x": b""}),
        archive({"atlassian-plugin.xml": b"<broken"}),
        archive({"atlassian-plugin.xml": b"<other/>"}),
        archive({"obr.xml": b""}),
        jar("a.b", extra={"../../evil": b"x"}),
        jar("a.b", extra={"/etc/evil": b"x"}),
        jar("a.b", extra={"..\\evil": b"x"}),
        archive({"atlassian-plugin.xml": b"<atlassian-plugin key='k'>" + b" " * 20_000_000}),
        many_zeros(),
    ],
    ids=lambda data: str(len(data)),
)
async def test_files_that_are_refused(start: Start, log_in: LogIn, data: bytes) -> None:
    """Broken ones, bombs, and archives whose names climb out."""
    host = await start(profile="dc")
    admin = await log_in(host)

    failed = await admin.finish(await admin.upload(data))

    assert failed.json["status"]["subCode"] == UPM + "install.failed"
    assert "a.b" not in host.state.plugins


async def test_uploads_of_other_kinds(start: Start, log_in: LogIn, app: App) -> None:
    """A descriptor may be uploaded as a file too; UPM itself may not be replaced."""
    host = await start()
    admin = await log_in(host)

    xml = await admin.upload(PLAIN_XML.format(version="1").encode(), "plain.xml")
    upm = await admin.upload(jar("com.atlassian.upm.atlassian-universal-plugin-manager-plugin"))

    assert (await admin.finish(xml)).status == 303
    assert (await admin.finish(upm)).json["status"]["subCode"] == "upm.update.error.downgrade"
    other = await admin.upload(b"hello", "notes.txt")
    assert (await admin.finish(other)).json["status"]["subCode"] == UPM + "unknown.plugin.type"


async def test_an_upload_without_a_part_named_plugin(start: Start, log_in: LogIn) -> None:
    """500 as on a host, and 400 where it is no multipart at all."""
    admin = await log_in(await start())
    headers = {"X-Atlassian-Token": "no-check"}
    other = b'--x\r\nContent-Disposition: form-data; name="url"\r\n\r\n\r\n--x--\r\n'

    for body, boundary, status in [(other, "; boundary=x", 500), (b"x", "", 400)]:
        answer = await admin(
            "POST",
            f"?token={await admin.token()}",
            data=body,
            headers={**headers, "Content-Type": f"multipart/form-data{boundary}"},
        )
        assert answer.status == status


async def test_the_remote_apps_of_2011(start: Start, log_in: LogIn, app: App) -> None:
    """`<remote-app>` installs in the XML era, with its modules and `install-handler`."""
    host = await start()
    admin = await log_in(host)
    app.body = (
        f'<remote-app key="old" name="Old" version="3" display-url="{app.url}">'
        '<web-hook event="x" url="/x"/><general-page key="p" url="/p"/></remote-app>'
    ).encode()

    await admin.install(app.descriptor)

    plugin = host.state.plugins["old"]
    assert (plugin.app.version, [module.type for module in plugin.app.modules]) == (
        "3",
        ["web-hook", "general-page"],
    )


async def test_an_install_handler_decides(start: Start, log_in: LogIn, app: App) -> None:
    """The XML era's `install-handler` can fail the installation; its webhooks cannot."""
    host = await start()
    admin = await log_in(host)
    text = REMOTE_XML.replace("<general-page", '<install-handler url="/may-i"/><general-page')
    app.serve_xml(template=text)
    app.callback_status = 403

    refused = await admin.refused(app.descriptor)
    assert refused == "connect.install.error.remote.host.bad.response.403"
    assert app.paths() == ["/may-i"]
    app.serve_xml()
    assert (await admin.install(app.descriptor)).status == 303


def test_profiles_are_data(tmp_path: Path) -> None:
    """A profile is a file; what is wrong in one is told."""
    mine = tmp_path / "mine.toml"
    mine.write_text('summary = "x"\nupm = "1"\nera = "dc"\nkinds = ["jar"]\nping-after-ms = 7\n')

    assert load_profile(str(mine)).ping_after_ms == 7
    assert [load_profile(name).name for name in profile_names()] == profile_names()
    for text, says in [("no = 1", 'has no "no"'), ("kinds = [", "cannot be read"), ("", "missing")]:
        mine.write_text(text)
        with pytest.raises(UsageError) as caught:
            load_profile(str(mine))
        assert says in caught.value.reason
    with pytest.raises(UsageError, match="no profile"):
        load_profile("other")
    with pytest.raises(UsageError, match="no product"):
        load_product("other")


@pytest.mark.parametrize(
    ("path", "disposition", "media_type", "name"),
    [
        ("/a/b.xml", "", "application/xml", "b.xml"),
        ("/a/", "", "application/xml", "plugin.xml"),
        ("/a?x", 'attachment; filename="c.jar"', "", "c.jar"),
        ("/download", "", "application/java-archive", "download.jar"),
        ("/a", 'x; filename="../../etc/passwd"', "", "passwd"),
    ],
)
def test_file_names(path: str, disposition: str, media_type: str, name: str) -> None:
    """Content-Disposition, else the path; the media type coerces the ending."""
    assert file_name(path, disposition, media_type) == name


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real descriptors is not here")
def test_real_descriptors() -> None:
    """Every one of the corpus is recognised or refused, never a crash."""
    kinds = tuple(kind.value for kind in Kind)
    found = [
        recognise(path.read_bytes(), path.name, "", kinds)
        for path in sorted(CORPUS.rglob("*"))
        if path.is_file()
    ]

    assert all(isinstance(each, Described | Refusal) for each in found)
    assert sum(isinstance(each, Described) for each in found) > 200
