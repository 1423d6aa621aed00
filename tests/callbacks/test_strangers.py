"""What strangers may send: whatever it is, it is told in short, costs little and is judged."""

import json
from dataclasses import replace
from typing import Any

import jwt
import pytest
from callbacks.calls import (
    BASE,
    BODY,
    INSTALLED,
    SECRET,
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

from devserver.callbacks import verifier as module
from devserver.callbacks.call import SAYS_LIMIT, Call
from devserver.callbacks.record import Record
from devserver.callbacks.verifier import Verifier
from devserver.model import CallbackSpec, Verdict

LARGE = json.dumps({**BODY, "more": "x" * SAYS_LIMIT}).encode()


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[1]", b"{" * 5000, LARGE])
async def test_a_body_that_says_nothing(body: bytes) -> None:
    """What was signed is proved all the same; whom it concerns is then unknown."""
    found = await verify(replace(oauth(), body=body))

    assert found.verdict is Verdict.GENUINE
    assert found.key is None


@pytest.mark.parametrize("said", ["[x", "a]b", "\u2100"])
async def test_a_forged_call_that_names_no_address_is_forged_all_the_same(said: str) -> None:
    """`X-Forwarded-Host` is anybody's to choose: it must not keep a forgery from being told."""
    call = rs256(key=1, qsh="0")
    call = replace(call, headers={**call.headers, "X-Forwarded-Host": said})
    finding = await verify(call, Host())
    assert finding.verdict is Verdict.FORGED
    assert finding.explanation is not None


@pytest.mark.parametrize("url", ["http://a.example", "http://b.example"])
async def test_of_hosts_that_sign_alike_one_without_a_secret_is_enough(url: str) -> None:
    """Whether a call can be judged does not hang on the order in which the hosts are tried."""
    record = Record()
    record.learn("a", BODY["key"], SECRET)
    hosts = {"a": Host(url="http://a.example"), "b": Host(url="http://b.example")}
    verifier = Verifier(hosts, record)
    await verifier.prepare()
    token = jwt.encode(claims(aud=None), "another-secret-that-is-long-enough-too", "HS256")
    finding = await verifier.verify(with_token(token, baseUrl=url), spec("enabled"), base_url=BASE)
    assert finding.verdict is Verdict.UNVERIFIABLE


@pytest.mark.parametrize("call", [with_token(""), hs256()], ids=["bare", "HS256"])
async def test_a_descriptor_may_ask_for_a_signed_install(call: Call) -> None:
    """Then not even the first call may come as from hosts that do not sign it."""
    asked = replace(INSTALLED, signed=True)
    verifier = Verifier({"jira": Host()})

    assert (await verifier.verify(call, INSTALLED, base_url=BASE)).verdict is Verdict.UNVERIFIABLE
    assert (await verifier.verify(call, asked, base_url=BASE)).verdict is Verdict.FORGED
    assert (await verifier.verify(rs256(), asked, base_url=BASE)).verdict is Verdict.GENUINE


@pytest.mark.parametrize("wrong", [{"exp": 1}, {"exp": None}, {"exp": "x"}, {"qsh": "nonsense"}])
async def test_what_cannot_be_judged_could_at_least_be_so(wrong: dict[str, Any]) -> None:
    """A token that is over, or of another request, is forged whatever its secret is."""
    assert (await verify(hs256(), event="enabled")).verdict is Verdict.UNVERIFIABLE
    assert (await verify(hs256(**wrong), event="enabled")).verdict is Verdict.FORGED


async def test_a_host_of_the_xml_era_shares_no_secret() -> None:
    """So what is signed by one is no call of its, not even one that cannot be judged."""
    asked = CallbackSpec("remote_plugin_installed", "/installed", signed=True)
    found = await Verifier({"jira": Host()}).verify(hs256(), asked, base_url=BASE)

    assert found.verdict is Verdict.FORGED


async def test_what_strangers_say_is_repeated_in_short() -> None:
    """In events, in the log, on pages: nobody fills those with a key of half a megabyte."""
    long = "k" * 500_000
    found = await verify(oauth(consumer="c" * 50_000, body={**BODY, "key": long}))

    assert found.verdict is Verdict.FORGED
    assert found.key == long[: module.KEY_LIMIT]
    assert len(found.reason or "") <= module.REASON_LIMIT


async def test_a_target_that_is_down_calls_nobody() -> None:
    """So a call of a stranger's is forged, however many of our targets do not run just now."""
    found = await verify(oauth(consumer="whoever"), Host(), Host(down=True))

    assert found.verdict is Verdict.FORGED
    assert "nothing listens at host1" in (found.reason or "")


async def test_a_target_that_has_just_come_up_is_believed() -> None:
    """It was down a moment ago, when it was asked last: it is asked again."""
    host = Host(down=True)
    verifier = Verifier({"jira": host})
    await verifier.prepare()
    host.down = False

    assert (await verifier.verify(oauth(), INSTALLED, base_url=BASE)).verdict is Verdict.GENUINE


async def test_a_flood_of_strange_keys_is_no_flood_of_questions() -> None:
    """Whoever makes up names of keys has a target asked for ten of them, and no more."""
    host = Host(keys={"k1": public_pem(private_key(1))})
    verifier = Verifier({"jira": host})
    known = rs256(key=1, kid="k1")
    assert (await verifier.verify(known, INSTALLED, base_url=BASE)).verdict is Verdict.GENUINE
    for number in range(30):
        strange = rs256(key=2, kid=f"made-up-{number}")
        found = await verifier.verify(strange, INSTALLED, base_url=BASE)
        assert found.verdict is Verdict.FORGED

    assert len(host.asked_for) == 1 + module.STRANGE_KEYS
    again = rs256(key=1, kid="k1", jti="another")
    assert (await verifier.verify(again, INSTALLED, base_url=BASE)).verdict is Verdict.GENUINE
