"""The query string hash, against the vectors of upm-protocol.md §7.3."""

import pytest

from devserver.callbacks.qsh import canonical, qsh

BASE = "http://localhost:8000/app"
VECTORS = [
    (
        "/installed?user_key=admin",
        "POST&/installed&user_key=admin",
        "4ca63d01ffaa235e9fa8120df4f05e94102cad01d9cfb0c9653ca583543556c9",
    ),
    (
        "/",
        "POST&/&",
        "6dfb58321692d08d44565d1331846fc24e7dc08b33259d262f4eff79b21d8e05",
    ),
    (
        "",
        "POST&/&",
        "6dfb58321692d08d44565d1331846fc24e7dc08b33259d262f4eff79b21d8e05",
    ),
    (
        "/p?b=2&a=1&a=0&c",
        "POST&/p&a=0,1&b=2&c=",
        "2cbc3607d439e74ec53d74864b7e5164e267a619b0614b04b72c5187342cc0b3",
    ),
    (
        "/p?jwt=abc&z=~*'()!",
        "POST&/p&z=~%2A%27%28%29%21",
        "780c083fd743b94fab39f655c4bc583321a7ce5c991652a59f6d70c215964f16",
    ),
    (
        "/p&q?x=é+1",
        "POST&/p%26q&x=%C3%A9%201",
        "4db5c08941f5b60926f48322ce2ee46fabf7fa12bf951cc1f1a9b3ef6a91ac13",
    ),
    (
        "/p?a=1,2&a=3",
        "POST&/p&a=1%2C2,3",
        "33087e36d80c5e473760e3bf97637dd9914ae5adca9713a5272237ed43888441",
    ),
    (
        "/p?A=1&a=2&B=3",
        "POST&/p&A=1&B=3&a=2",
        "6b9247270552b8b8db538ba4a7f14b36e590d8967eaa8fde84d957089d751da8",
    ),
]


@pytest.mark.parametrize(("path", "request_", "digest"), VECTORS)
def test_vectors(path: str, request_: str, digest: str) -> None:
    """Both published libraries agree on these."""
    assert canonical("post", BASE + path, BASE) == request_
    assert qsh("POST", BASE + path, BASE + "/") == digest


def test_the_path_counts_from_the_base_url() -> None:
    """Only where it really is below: `/application` is not below `/app`."""
    assert canonical("GET", "http://h/app/x/", "http://h/app") == "GET&/x&"
    assert canonical("GET", "http://h/application", "http://h/app") == "GET&/application&"
    assert canonical("GET", "http://h/x", "http://h") == "GET&/x&"
