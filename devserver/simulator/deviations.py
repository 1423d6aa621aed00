"""What a client did that the documented protocol does not say, and that a real host tolerates.

Pure: an exchange goes in, sentences come out (upm-protocol.md §1 to §5, §9, §11).
"""

import re
from collections.abc import Iterator, Mapping

INSTALLED = "application/vnd.atl.plugins.installed+json"
VENDOR = "application/vnd.atl.plugins."


def deviations(
    stage: str, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Iterator[str]:
    """Yield one sentence for each; *path* is below `rest/plugins`, with the leading slash."""
    yield from _of_any(path, headers)
    accept = headers.get("Accept", "")
    if stage == "token":
        if method == "GET" and INSTALLED not in accept:
            yield f"Accept is {accept!r}, not {INSTALLED}"
        if "token" in query:
            yield "a token is sent where none is needed"
    elif stage == "install":
        yield from _of_install(query, headers)
    elif stage == "poll":
        if "token" in query:
            yield "a token is sent where none is needed"
    elif method in ("PUT", "DELETE") and "token" in query:
        yield "a token is sent where none is needed"


def _of_any(path: str, headers: Mapping[str, str]) -> Iterator[str]:
    agent = headers.get("User-Agent", "")
    if not agent:
        yield "no User-Agent"
    elif "Mozilla/" in agent:
        yield "the User-Agent looks like a browser, which the XSRF filter treats as one"
    if path.startswith("/latest"):
        yield "latest is an alias of 1.0"
    if re.search(r"-key/$", path):
        yield "a slash at the end of a plugin's path"
    if headers.get("X-Atlassian-Token", "").lower() == "nocheck":
        yield "nocheck is the deprecated spelling of no-check"


def _of_install(query: Mapping[str, str], headers: Mapping[str, str]) -> Iterator[str]:
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == f"{VENDOR}remote.install+json":
        yield "remote.install+json is not known to Data Center"
    if ";" in headers.get("Content-Type", "") and not kind.startswith("multipart/"):
        yield "the Content-Type has a parameter"
    if "token" not in query:
        yield "no token"
    if "X-Atlassian-Token" not in headers:
        yield "no X-Atlassian-Token: no-check"
    if "Origin" in headers or "Referer" in headers:
        yield "Origin or Referer is sent, as only browsers do"
