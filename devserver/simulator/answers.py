"""The kinds of answer a UPM and the products around it give (upm-protocol.md §1, §3, §5)."""

import html
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from devserver.simulator.representations import ERROR, TASK_ERROR


class Refused(Exception):
    """A gate said no: *response* is the answer."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """No body at all: some client takes a 404 with a body for a plugin (§4.3)."""
    return web.Response(status=status, headers=headers)


def document(
    body: Any,
    media_type: str,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """JSON under exactly this Content-Type: clients compare it for equality (§2.3)."""
    return web.Response(
        status=status,
        body=json.dumps(body, separators=(",", ":")).encode(),
        headers={**(headers or {}), "Content-Type": f"{media_type};charset=UTF-8"},
    )


def text(status: int, body: str, media_type: str = "text/plain") -> web.Response:
    return web.Response(
        status=status, body=body.encode(), headers={"Content-Type": f"{media_type};charset=UTF-8"}
    )


def sub_code(status: int, code: str, media_type: str = TASK_ERROR) -> web.Response:
    return document({"subCode": code}, media_type, status)


def forbidden(status: int, sentence: str) -> web.Response:
    """UPM's own refusals: a bare sentence under a JSON type (§5.2)."""
    return text(status, sentence, ERROR)


def no_permission(status: int) -> web.Response:
    return forbidden(
        status,
        "Must have permission to access this resource."
        if status == 401
        else "Cannot access this resource on this system.",
    )


def textarea(body: Any, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """What the multipart install answers to whoever may be a browser (§3)."""
    inner = html.escape(json.dumps(body, separators=(",", ":")), quote=False)
    return web.Response(
        status=status,
        body=f"<textarea>{inner}</textarea>".encode(),
        headers={**(headers or {}), "Content-Type": "text/html;charset=UTF-8"},
    )


def invalid_token(*, multipart: bool) -> web.Response:
    body = {"errorMessage": "invalid token", "subCode": "upm.error.invalid.token"}
    return textarea(body, 403) if multipart else document(body, "application/json", 403)


def status_entity(
    request: web.BaseRequest, status: int, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The platform's error entity: JSON where it is asked for, XML otherwise (§5.1)."""
    if "json" in request.headers.get("Accept", ""):
        body = json.dumps({"message": message, "status-code": status})
        media_type = "application/json"
    else:
        body = (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
            f"<status><status-code>{status}</status-code>"
            f"<message>{html.escape(message, quote=False)}</message></status>"
        )
        media_type = "application/xml"
    response = text(status, body, media_type)
    response.headers.update(headers or {})
    return response


def internal_error(message: str, referral: str) -> web.Response:
    """The platform's 500, doubled apostrophe and all (§5.7)."""
    return document(
        {
            "message": message,
            "status-code": 500,
            "stack-trace": "Please contact your admin passing attached Log''s referral number: "
            + referral,
        },
        "application/json",
        500,
    )
