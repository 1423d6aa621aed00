"""What kind of Connect descriptor it is: Bitbucket's, a draft's, or an ordinary one."""

from typing import Any

from devserver.descriptor.document import JsonDocument
from devserver.model import Kind

JSON = Kind.CONNECT_JSON


def bitbucket(document: JsonDocument) -> bool:
    """Whether it is written for Bitbucket, which has scopes and modules of its own."""
    root = document.root
    modules = root.get("modules")
    return (
        "contexts" in root
        or document.context.product == "bitbucket"
        or (isinstance(modules, dict) and bool(BITBUCKET_ONLY & modules.keys()))
    )


BITBUCKET_ONLY = frozenset(["repoPages", "fileViews", "profileTabs", "linkers", "oauthConsumer"])


def draft(document: JsonDocument) -> bool:
    """HipChat's format, or the one of 2013: J520 and J521 say so, and nothing else matters."""
    return "capabilities" in document.root


def written_base_url(document: JsonDocument) -> str:
    """The base URL that stands in the file; empty where it is a placeholder of our own address."""
    url = text(document.root.get("baseUrl"))
    return "" if url == document.context.base_url else url


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""
