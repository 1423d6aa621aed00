"""The wire: proxies of the environment, a body without end, and where credentials go."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from registrar.house import house
from upm.scripted import answer, scripted, token, upm_of

from devserver.credentials import Credentials
from devserver.errors import TargetError, TargetUnavailable, UsageError
from devserver.model import Target, TargetState
from devserver.registrar import Limits
from devserver.upm import causes, wire
from devserver.upm.client import Upm
from devserver.upm.wire import Wire, connections

URL = "http://jira.localhost:2990/jira"


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://proxy:3128"),
        ({"http_proxy": "proxy:3128"}, "http://proxy:3128"),
        ({"ALL_PROXY": "http://me:secret@proxy:3128"}, "http://proxy:3128"),
        ({"HTTPS_PROXY": "http://proxy:3128"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "jira.localhost"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "other, .localhost"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, None),
        ({"HTTP_PROXY": "", "NO_PROXY": "x"}, None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*.localhost:2990"}, None),
        ({"HTTP_PROXY": "http://p:1", "NO_PROXY": "jira.localhost:80"}, "http://p:1"),
        ({"http_proxy": "http://lower:1", "HTTP_PROXY": "http://upper:1"}, "http://lower:1"),
    ],
)
async def test_proxies(environ: dict[str, str], proxy: str | None) -> None:
    """The one for the target's scheme, unless it is excepted; shown without its password."""
    target = Target(name="jira", url=URL)
    who = Credentials(origin="http://jira.localhost:2990", user="admin", secret="x")
    async with connections() as session:
        found = Wire(session, target, who, environ=environ).proxy

    assert (str(found).rstrip("/") if found else None) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_used"),
    [
        ("http://localhost:2990/jira", "", False),
        ("http://127.0.0.1:2990/jira", "", False),
        ("http://[::1]:2990/jira", "", False),
        ("https://10.1.2.3/jira", "", True),
        ("https://10.1.2.3/jira", "10.0.0.0/8", False),
        ("https://10.1.2.3/jira", "11.0.0.0/8, 10.1.2.3/x", True),
        ("https://[fd00::1]/jira", "fd00::1", False),
        ("https://[fd00::1]/jira", "[fd00::1]:443", False),
        ("https://[fd00::1]/jira", "[fd00::1]:8443", True),
        ("https://[fd00::1]/jira", "fd00::/8", False),
    ],
)
async def test_whom_no_proxy_is_for(url: str, no_proxy: str, is_used: bool) -> None:
    """This machine never, whatever the environment says; networks that are excepted."""
    environ = {"ALL_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy}
    target = Target(name="jira", url=url)
    who = Credentials(origin=url.removesuffix("/jira"), user="admin", secret="x")
    async with connections() as session:
        assert (Wire(session, target, who, environ=environ).proxy is not None) is is_used


@pytest.mark.parametrize("proxy", ["http://me:pl4nted@[::1", "http://me:pl4nted@proxy:99999"])
async def test_a_proxy_that_is_no_url(proxy: str) -> None:
    """Said as the mistake that it is, without the password in it."""
    who = Credentials(origin="http://jira.localhost:2990", user="admin", secret="x")
    async with connections() as session:
        with pytest.raises(UsageError) as caught:
            Wire(session, Target(name="jira", url=URL), who, environ={"HTTP_PROXY": proxy})

    assert "the proxy that the environment names for http://" in caught.value.reason
    assert "pl4nted" not in f"{caught.value}{caught.value.remedy}"


async def test_no_way_to_a_host() -> None:
    """Where no connection can go, nobody can say that nothing listens."""
    async with upm_of("http://255.255.255.255/jira") as upm:
        with pytest.raises(TargetUnavailable) as asked:
            await upm.plugin("a")
        with pytest.raises(TargetUnavailable) as knocked:
            await upm.wire.connect()

    assert asked.value.code == knocked.value.code == "NET-UNREACHABLE"
    assert asked.value.reason == knocked.value.reason
    assert "255.255.255.255:80 cannot be reached: " in asked.value.reason


async def test_nobody_has_no_session() -> None:
    """What is asked without credentials is asked without the cookie that they got."""
    let_in = token("9").replace(b"\r\n", b"\r\nSet-Cookie: JSESSIONID=1; Path=/\r\n", 1)
    async with scripted([let_in], answer(404)) as host, upm_of(host.url) as upm:
        await upm.token()
        await upm.plugin("a")
        with pytest.raises(TargetError):
            await upm.identity()

    _, known, nobody = host.requests
    assert known.headers["cookie"] == "JSESSIONID=1"
    assert not {"cookie", "authorization"} & nobody.headers.keys()


async def test_a_body_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as far as it fits, then said to be broken."""
    monkeypatch.setattr(wire, "BODY_LIMIT", 1000)
    endless = answer(200, b"{" + b" " * 100_000 + b"}")
    async with scripted([endless]) as host, upm_of(host.url) as upm:
        with pytest.raises(TargetUnavailable) as caught:
            await upm.plugin("a")

    assert caught.value.code == "NET-CUT"


async def test_a_proxy_is_used_and_told_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The request goes to the proxy, with a header of its own for it."""
    async with scripted([token("9")]) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:pw@127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with upm_of("http://jira.localhost:2990/jira") as upm:
            assert await upm.token() == "9"

    assert proxy.requests[0].path.startswith("http://jira.localhost:2990/jira/rest/plugins/1.0/")
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


class Secured:
    """A UPM behind TLS, with a certificate for localhost that its own authority signed."""

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "localhost",
        days: int = 1,
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    ) -> None:
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(self.ca_file, private)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(token("9"))
        await writer.drain()
        writer.close()

    async def token(self, *, ca_file: Path | None = None) -> str:
        """A token of this UPM, asked for by a target with this *ca_file*."""
        server = await asyncio.start_server(self.serve, "localhost", 0, ssl=self.context)
        origin = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        target = Target(name="jira", url=origin, ca_file=str(ca_file) if ca_file else None)
        who = Credentials(origin=origin, user="admin", secret="x")
        async with server, connections() as session:
            return await Upm(session, target, who, limit=5.0).token()


async def test_a_certificate_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused with the way out; trusted by the target's ca-file, or by SSL_CERT_FILE."""
    host = Secured(tmp_path)
    with pytest.raises(TargetUnavailable) as caught:
        await host.token()

    assert caught.value.code == "NET-CERTIFICATE-SELF-SIGNED"
    assert "signed by itself" in caught.value.reason
    assert "[targets.jira]" in caught.value.remedy
    assert await host.token(ca_file=host.ca_file) == "9"
    monkeypatch.setenv("SSL_CERT_FILE", str(host.ca_file))
    assert await host.token() == "9"


@pytest.mark.parametrize(
    ("name", "days", "purpose", "code", "sentence"),
    [
        (
            "localhost", 1, ExtendedKeyUsageOID.SERVER_AUTH, "NET-CERTIFICATE-SELF-SIGNED",
            "the certificate of localhost is signed by itself, or by an authority that this"
            " machine does not know",
        ),
        (
            "jira.example", 1, ExtendedKeyUsageOID.SERVER_AUTH, "NET-CERTIFICATE-NAME",
            "the certificate of URL is for another name: ",
        ),
        (
            "localhost", -1, ExtendedKeyUsageOID.SERVER_AUTH, "NET-CERTIFICATE-EXPIRED",
            "the certificate of localhost is not valid today: ",
        ),
        (
            "localhost", 1, ExtendedKeyUsageOID.CLIENT_AUTH, "NET-CERTIFICATE",
            "the certificate of localhost is not trusted: ",
        ),
    ],
)  # fmt: skip
async def test_a_certificate_that_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    days: int,
    purpose: x509.ObjectIdentifier,
    code: str,
    sentence: str,
) -> None:
    """Not trusted, for another name, another day, another use: the event has a word for each."""
    host = Secured(tmp_path, name=name, days=days, purpose=purpose)
    if not code.endswith("SELF-SIGNED"):
        monkeypatch.setenv("SSL_CERT_FILE", str(host.ca_file))
    server = await asyncio.start_server(host.serve, "localhost", 0, ssl=host.context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with server, house(url, limits=Limits(first_retry=60.0, last_retry=60.0)) as our:
        our.save()
        event = await our.until(TargetState.UNAVAILABLE)

    row = next(each for each in causes.table() if each.code == code)
    facts = {"target": "jira", "host": "localhost", "port": url.rpartition(":")[2]}
    assert event.code == code
    assert (event.reason or "").startswith(sentence.replace("URL", url))
    assert event.retry_in is not None
    assert event.remedy == row.remedy.format(**facts)


async def test_a_ca_file_has_to_be_one(tmp_path: Path) -> None:
    """A file that is none is said at once, not at the first request."""
    host = Secured(tmp_path)
    host.ca_file.write_text("nothing of the kind")
    with pytest.raises(UsageError) as caught:
        await host.token(ca_file=host.ca_file)

    assert str(host.ca_file) in caught.value.reason
