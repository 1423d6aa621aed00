"""Who really called: genuine calls of every era, and every way to forge one that we thought of."""

import base64
import hashlib
import hmac
import json
import string
import time
from dataclasses import replace

import pytest
from callbacks.calls import (
    BASE,
    BODY,
    INSTALLED,
    SECRET,
    URL,
    Host,
    claims,
    hs256,
    oauth,
    private_key,
    public_pem,
    rs256,
    spec,
    verify,
    with_token,
)

from devserver.callbacks import connect
from devserver.callbacks import verifier as module
from devserver.callbacks.call import Call, Finding
from devserver.callbacks.qsh import qsh
from devserver.callbacks.record import Record
from devserver.callbacks.verifier import Verifier
from devserver.model import Verdict


async def test_a_webhook_of_the_xml_era_is_genuine() -> None:
    """Signed with the key in the target's own consumer-info."""
    found = await verify(oauth(), event="remote_plugin_installed")

    assert found == Finding(
        verdict=Verdict.GENUINE,
        event="remote_plugin_installed",
        target="host0",
        key="com.example.app",
    )


async def test_the_right_target_is_named() -> None:
    """Of several hosts, the one whose key signed."""
    hosts = Host(key="other"), Host(), Host(key="third", silent=True)

    assert (await verify(oauth(), *hosts)).target == "host1"


async def test_of_copied_hosts_the_one_that_it_names() -> None:
    """A host that was set up from another's data signs like it; the body says which it is."""
    hosts = Host(), Host(url="http://localhost:2991/copy")
    verifier = Verifier({"first": hosts[0], "copy": hosts[1]})
    await verifier.prepare()
    body = {**BODY, "baseUrl": "http://localhost:2991/copy"}

    found = await verifier.verify(oauth(body=body), INSTALLED, base_url=BASE)

    assert found.target == "copy"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (oauth(key=1), "did not sign"),
        (oauth(consumer="stranger"), "no target of ours"),
        (oauth(timestamp=int(time.time()) - 400), "behind our clock"),
        (oauth(timestamp=int(time.time()) + 4000), "ahead of our clock"),
        (replace(oauth(), url=f"{BASE}/uninstalled"), "signed another request"),
        (replace(oauth(), method="PUT"), "signed as POST and came as PUT"),
        (oauth(body={**BODY, "clientKey": "somebody"}), "its body says somebody"),
        (replace(oauth(), headers={"Authorization": "OAuth nonsense"}), "no OAuth"),
        (replace(oauth(), headers={"Authorization": 'OAuth oauth_nonce="1'}), "Authorization"),
        (replace(oauth(), headers={}), ""),
        (replace(oauth(), url=f"{BASE}/installed?a=%zz"), "cannot be signed"),
        (replace(oauth(), url=f"{BASE}http://elsewhere/installed"), "cannot be signed"),
    ],
)
async def test_forged_webhooks(call: Call, says: str) -> None:
    """Nothing but the target's own signature of this very request counts."""
    found = await verify(call, event="remote_plugin_enabled")

    assert found.verdict is Verdict.FORGED
    assert says in (found.reason or "")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("RSA-SHA1", "HMAC-SHA1"), "HMAC-SHA1"),
        (('oauth_version="1.0"', 'oauth_version="2.0"'), "claims OAuth 2.0"),
        (('oauth_timestamp="', 'oauth_timestamp="x'), "no number"),
        (('oauth_signature="', 'oauth_signature="%21'), "did not sign"),
    ],
)
async def test_a_bent_header(change: tuple[str, str], says: str) -> None:
    """Each part of the header is held to."""
    call = oauth()
    header = call.header("Authorization").replace(*change)
    found = await verify(replace(call, headers={"Authorization": header}))

    assert found.verdict is Verdict.FORGED
    assert says in (found.reason or "")


async def test_a_copy_of_a_webhook_counts_once() -> None:
    """The same nonce again is a replay."""
    verifier = Verifier({"jira": Host()})
    call = oauth()
    first = await verifier.verify(call, INSTALLED, base_url=BASE)
    second = await verifier.verify(call, INSTALLED, base_url=BASE)

    assert first.verdict is Verdict.GENUINE
    assert second.verdict is Verdict.FORGED
    assert "copy of an earlier call" in (second.reason or "")


async def test_a_token_that_lives_long_counts_once_all_the_same() -> None:
    """What was used is remembered for longer than any host lets a token live."""
    record = Record()
    verifier = Verifier({"jira": Host()}, record)
    call = rs256(exp=int(time.time()) + 7200)
    token = call.header("Authorization").removeprefix("JWT ")
    record.use(token.rpartition(".")[0], time.time() - 3600, module.NONCE_SECONDS)

    assert (await verifier.verify(call, INSTALLED, base_url=BASE)).verdict is Verdict.FORGED


async def test_a_copy_of_a_token_counts_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two installs within a second are signed alike; later the same token is a replay."""
    verifier = Verifier({"jira": Host()})
    call = rs256()
    verdicts = [(await verifier.verify(call, INSTALLED, base_url=BASE)).verdict]
    verdicts.append((await verifier.verify(call, INSTALLED, base_url=BASE)).verdict)
    monkeypatch.setattr(connect, "SAME", 0.0)
    verdicts.append((await verifier.verify(call, INSTALLED, base_url=BASE)).verdict)

    assert verdicts == [Verdict.GENUINE, Verdict.GENUINE, Verdict.FORGED]


async def test_another_spelling_of_a_token_is_the_same_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last letter of a signature has bits that nobody reads: to change them is no new call."""
    monkeypatch.setattr(connect, "SAME", 0.0)
    verifier = Verifier({"jira": Host()})
    call = rs256()
    token = call.header("Authorization")
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    other = replace(
        call, headers={"Authorization": token[:-1] + letters[letters.index(token[-1]) ^ 1]}
    )
    verdicts = [
        (await verifier.verify(each, INSTALLED, base_url=BASE)).verdict for each in (call, other)
    ]

    assert verdicts == [Verdict.GENUINE, Verdict.FORGED]


async def test_a_silent_target_leaves_it_open() -> None:
    """Without a key nothing can be said, and that is said."""
    found = await verify(oauth(), Host(silent=True))

    assert found.verdict is Verdict.UNVERIFIABLE
    assert "host0" in (found.reason or "")


async def test_a_restarted_host_has_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is asked for anew when it does not fit, but not at every forged call."""
    host = Host()
    verifier = Verifier({"jira": host})
    monkeypatch.setattr(module, "REFETCH", 60.0)
    await verifier.verify(oauth(), INSTALLED, base_url=BASE)
    for _ in range(20):
        await verifier.verify(oauth(key=1), INSTALLED, base_url=BASE)
    assert host.asked == 1

    host.signs_with = 1
    monkeypatch.setattr(module, "REFETCH", 0.0)
    found = await verifier.verify(oauth(key=1), INSTALLED, base_url=BASE)

    assert found.verdict is Verdict.GENUINE


async def test_a_signed_install_is_genuine() -> None:
    """RS256 with the public key of consumer-info."""
    assert (await verify(rs256())).verdict is Verdict.GENUINE


async def test_a_key_of_its_own_for_installs() -> None:
    """A host may sign installs with the key that it serves under `/keys/{kid}`."""
    host = Host(keys={"k1": public_pem(private_key(1))})

    assert (await verify(rs256(key=1, kid="k1"), host)).verdict is Verdict.GENUINE
    assert (await verify(rs256(key=1, kid="k2"), host)).verdict is Verdict.FORGED


def confused() -> Call:
    """HS256 "signed" with the public key, made by hand: PyJWT refuses to."""
    return by_hand({"alg": "HS256", "typ": "JWT"}, public_pem(private_key(0)).encode())


def by_hand(header: dict[str, str], secret: bytes | None) -> Call:
    def packed(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    signed = f"{packed(json.dumps(header).encode())}.{packed(json.dumps(claims()).encode())}"
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return with_token(f"{signed}.{packed(mac)}")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (rs256(key=1), "did not sign"),
        (rs256(iss="stranger"), "no target of ours"),
        (rs256(aud=["https://other.example.com"]), "meant for https://other.example.com"),
        (rs256(aud=None), "meant for None"),
        (rs256(aud=[]), "meant for None"),
        (rs256(aud={"a": 1}), "meant for {'a': 1}"),
        (rs256(aud=[5]), "meant for 5"),
        (rs256(exp=int(time.time()) - 100), "expired"),
        (rs256(exp=None), "does not hold"),
        (rs256(iss=None), "who issued it"),
        (rs256(iat=int(time.time()) + 1000), "does not hold"),
        (rs256(qsh=None), "has none"),
        (rs256(qsh=qsh("POST", f"{BASE}/other", BASE)), "POST&/installed&user_key=admin"),
        (rs256(body={"clientKey": "somebody"}), "its body says somebody"),
        (by_hand({"alg": "none", "typ": "JWT"}, None), "signed with none"),
        (by_hand({"alg": "HS512", "typ": "JWT"}, b"x"), "signed with HS512"),
        (with_token("no.token"), "no JWT"),
    ],
)
async def test_forged_tokens(call: Call, says: str) -> None:
    """Algorithm, issuer, audience, time and request are all held to."""
    found = await verify(call)

    assert found.verdict is Verdict.FORGED
    assert says in (found.reason or "")


async def test_a_public_key_is_no_shared_secret() -> None:
    """Algorithm confusion: a token "signed" with what everybody can read is not genuine."""
    verifier = Verifier({"jira": Host()})
    await verifier.verify(rs256(body={"sharedSecret": SECRET}), INSTALLED, base_url=BASE)

    found = await verifier.verify(confused(), INSTALLED, base_url=BASE)

    assert found.verdict is Verdict.FORGED


async def test_the_previous_secret_signs_the_next_install() -> None:
    """HS256 with what an earlier, proved install shared; its new secret counts from then on."""
    verifier = Verifier({"jira": Host()})
    shared = rs256(body={"sharedSecret": SECRET})
    assert (await verifier.verify(shared, INSTALLED, base_url=BASE)).verdict is Verdict.GENUINE

    again = await verifier.verify(hs256(), INSTALLED, base_url=BASE)
    wrong = await verifier.verify(
        hs256("another-one-of-the-same-length-1234567"), spec("enabled"), base_url=BASE
    )

    assert again.verdict is Verdict.GENUINE
    assert wrong.verdict is Verdict.FORGED


async def test_a_secret_that_we_never_learnt() -> None:
    """After our own restart an HS256 call can neither be proved nor called forged."""
    assert (await verify(hs256())).verdict is Verdict.UNVERIFIABLE


async def test_the_first_unsigned_install_proves_nothing() -> None:
    """Old Connect hosts do not sign it; and once a secret is known, they have to."""
    bare = Call(method="POST", url=URL, headers={}, body=json.dumps(BODY).encode())
    verifier = Verifier({"jira": Host()})

    first = await verifier.verify(bare, INSTALLED, base_url=BASE)
    await verifier.verify(rs256(body={"sharedSecret": SECRET}), INSTALLED, base_url=BASE)
    later = await verifier.verify(bare, INSTALLED, base_url=BASE)

    assert first.verdict is Verdict.UNVERIFIABLE
    assert later.verdict is Verdict.FORGED


async def test_a_secret_of_an_unproved_call_is_not_learnt() -> None:
    """Else whoever comes first could sign as the target for ever after."""
    verifier = Verifier({"jira": Host()})
    body = json.dumps({**BODY, "sharedSecret": SECRET}).encode()
    bare = Call(method="POST", url=URL, headers={}, body=body)
    await verifier.verify(bare, INSTALLED, base_url=BASE)

    assert (
        await verifier.verify(hs256(), spec("enabled"), base_url=BASE)
    ).verdict is Verdict.UNVERIFIABLE


async def test_what_cannot_be_judged_is_for_an_app_of_ours() -> None:
    """Else a key that nobody serves would be a way past the signature, and into the app."""
    verifier = Verifier({"jira": Host()}, keys=lambda: {"com.example.other"})
    bare = Call(method="POST", url=URL, headers={}, body=json.dumps(BODY).encode())

    for call, event in ((bare, "installed"), (hs256(), "enabled")):
        assert (await verifier.verify(call, spec(event), base_url=BASE)).verdict is Verdict.FORGED


async def test_a_webhook_need_not_say_which_app_it_is_for() -> None:
    """Those of Connect do not; the secret that was shared for the app that we serve proves them."""
    verifier = Verifier({"jira": Host()}, keys=lambda: {BODY["key"]})
    await verifier.verify(rs256(body={"sharedSecret": SECRET}), INSTALLED, base_url=BASE)
    silent = json.dumps({"issue": {}}).encode()
    forged = hs256("another-one-of-the-same-length-1234567")

    genuine = await verifier.verify(replace(hs256(), body=silent), spec("created"), base_url=BASE)
    wrong = await verifier.verify(replace(forged, body=silent), spec("created"), base_url=BASE)

    assert genuine.verdict is Verdict.GENUINE
    assert wrong.verdict is Verdict.FORGED


async def test_preparing_asks_for_the_keys() -> None:
    """So that the first callback finds them there; a silent target does not matter."""
    hosts = {"jira": Host(), "slow": Host(silent=True)}
    verifier = Verifier(hosts)

    await verifier.prepare()
    found = await verifier.verify(oauth(), INSTALLED, base_url=BASE)

    assert found.verdict is Verdict.GENUINE
    assert hosts["jira"].asked == 1
