"""Why a signature does not fit: what the caller signed in place of what we received. Pure.

Nobody can read what was signed out of a signature; but what a proxy does to a request on its way
is known, so each of those changes is undone in turn until the signature fits. The variant that
fits is what the caller signed, and the change that it undoes is the cause.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus, urlsplit, urlunsplit

from devserver.callbacks import connect, oauth
from devserver.callbacks.call import Call, Explanation
from devserver.callbacks.qsh import canonical

Fits = Callable[[Call], bool]
_Variant = tuple[str, str]
"""A URL, and how it became the one that we know."""

MOST = 60
"""Variants that are tried: each costs some 0.2 ms."""
LONGEST = 4000
PIECES = 50
"""Characters of an address, and parts of its query, up to which variants are tried: to make one up,
and to hash it, takes longer the longer it is, and anybody can send one."""


def explain(call: Call, base_url: str, keys: Mapping[str, str]) -> Explanation | None:
    """What *call* was signed as, or that nothing we know of fits; None where it is not signed.

    *keys* are the targets' public keys by consumer key.
    """
    if call.header("Authorization").lower().startswith("oauth"):
        return _oauth(call, base_url, keys)
    return _jwt(call, base_url)


def _oauth(call: Call, base_url: str, keys: Mapping[str, str]) -> Explanation | None:
    signed = oauth.claimed(call)
    if isinstance(signed, str):
        return None
    try:
        ours = oauth.base_string(call)
    except ValueError:
        return None
    pem = keys.get(signed.consumer_key)
    if pem is None:
        return Explanation(ours=ours, cause="it is signed with a key that is no target's of ours")
    digest = oauth.digest_signed(signed, pem)
    if digest is None:
        return Explanation(ours=ours, cause="it was made with another key, or is no signature")
    return _matched(
        call,
        base_url,
        ours,
        fits=lambda each: oauth.digest_of(each) == digest,
        text=oauth.base_string,
    )


def _jwt(call: Call, base_url: str) -> Explanation | None:
    token = connect.claimed(call)
    if not isinstance(token, connect.Token):
        return None
    ours = canonical(call.method, call.url, base_url)
    wanted = connect.unproved(token).get("qsh")
    if not isinstance(wanted, str):
        return Explanation(ours=ours, cause="its token has no hash of the request (qsh)")
    return _matched(
        call,
        base_url,
        ours,
        fits=lambda each: connect.hashed(each, base_url) == wanted,
        text=lambda each: canonical(each.method, each.url, base_url),
    )


def _matched(
    call: Call, base_url: str, ours: str, *, fits: Fits, text: Callable[[Call], str]
) -> Explanation:
    if fits(call):
        return Explanation(ours=ours, theirs=ours, cause="the request itself was signed like this")
    if len(call.url) > LONGEST or call.url.count("&") >= PIECES:
        return Explanation(ours=ours, cause="its address is too long to find out how it was signed")
    seen = {call.url}
    for url, cause in _distinct(_variants(call, base_url), seen):
        variant = replace(call, url=url)
        try:
            if fits(variant):
                return Explanation(ours=ours, theirs=text(variant), cause=cause)
        except ValueError:  # an address that cannot be: nobody signed it
            continue
    for method in ("GET", "POST", "PUT", "DELETE"):
        variant = replace(call, method=method)
        if method != call.method and fits(variant):
            cause = f"it was signed as {method} and came as {call.method}"
            return Explanation(ours=ours, theirs=text(variant), cause=cause)
    return Explanation(
        ours=ours,
        cause="no change that proxies make explains it: another request, or a forgery",
    )


def _distinct(variants: Iterable[_Variant], seen: set[str]) -> Iterator[_Variant]:
    for url, cause in variants:
        if len(seen) == MOST:
            return
        if url not in seen:
            seen.add(url)
            yield url, cause


def _variants(call: Call, base_url: str) -> Iterator[_Variant]:
    """Other addresses that *call* may have been signed for, the likeliest first."""
    addresses = (call.url, *(url for url, _ in _elsewhere(call)))
    yield from _elsewhere(call)
    yield from _queries(call.url)
    yield from _paths(call.url, base_url)
    for address in addresses[1:]:  # two changes at once
        for url, cause in (*_queries(address), *_paths(address, base_url)):
            yield url, f"a proxy changed the address, and {cause}"


def _elsewhere(call: Call) -> Iterator[_Variant]:
    """The same path at the addresses that the request speaks of."""
    parts = urlsplit(call.url)
    host = call.header("X-Forwarded-Host").partition(",")[0].strip()
    scheme = call.header("X-Forwarded-Proto").partition(",")[0].strip()
    for netloc in filter(None, (call.header("Host"), host, parts.hostname or "")):
        for each in dict.fromkeys(filter(None, (parts.scheme, scheme, "https", "http"))):
            url = urlunsplit((each, netloc, parts.path, parts.query, ""))
            try:
                urlsplit(url)
            except ValueError:  # whoever called chose these words: they need not be an address
                continue
            ours = f"{parts.scheme}://{parts.netloc}"
            yield (
                url,
                f"a proxy changed the host: it was signed for {each}://{netloc}, and we are {ours};"
                " set --public-url to the address that the host calls",
            )


def _queries(url: str) -> Iterator[_Variant]:
    parts = urlsplit(url)
    if not parts.query:
        return

    def with_query(query: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))

    pieces = parts.query.split("&")
    yield with_query(parts.query.replace("+", "%20")), "a space was sent as + and signed as %20"
    yield with_query(parts.query.replace("%20", "+")), "a space was sent as %20 and signed as +"
    yield (
        with_query(parts.query.replace("+", "%2B")),
        "a + was sent as it is, which means a space, and signed as %2B",
    )
    yield with_query("&".join(sorted(pieces))), "the order of the query was changed"
    yield with_query("&".join(reversed(pieces))), "the order of the query was changed"
    yield with_query(unquote(parts.query)), "the query was encoded once more on its way"
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    again = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
    yield with_query(again.replace("%", "%25")), "the query was decoded on its way"
    for encode in (quote_plus, quote):
        yield (
            with_query("&".join(f"{encode(n)}={encode(unquote_plus(v))}" for n, v in pairs)),
            "the query was encoded in another way",
        )
    yield with_query(""), "a proxy added the query"
    for piece in pieces:
        rest = [each for each in pieces if each is not piece]
        yield with_query("&".join(rest)), f"a proxy added {piece.partition('=')[0]} to the query"


def _paths(url: str, base_url: str) -> Iterator[_Variant]:
    parts = urlsplit(url)

    def with_path(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))

    base = urlsplit(base_url).path.rstrip("/")
    if base and parts.path.startswith(base):
        yield with_path(parts.path[len(base) :] or "/"), f"a proxy put {base} before the path"
    first, _, rest = parts.path.lstrip("/").partition("/")
    if rest:
        yield with_path(f"/{rest}"), f"a proxy put /{first} before the path"
    other = parts.path[:-1] if parts.path.endswith("/") else f"{parts.path}/"
    yield with_path(other), "the slash at the end of the path was signed otherwise"
    yield with_path(parts.path.replace("//", "/")), "a double slash was signed as one"
    yield with_path(unquote(parts.path)), "the path was encoded on its way"
    yield with_path(quote(unquote(parts.path))), "the path was decoded on its way"
