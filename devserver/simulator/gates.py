"""Who gets through, in the order of a real host: login, XSRF, REST authentication, web-sudo.

(upm-protocol.md §5. UPM's own permission and token come after, in `rest`.)
"""

import base64
import binascii
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from devserver.simulator import answers
from devserver.simulator.answers import Refused
from devserver.simulator.representations import ERROR
from devserver.simulator.state import State
from devserver.simulator.users import Challenged, LoggedIn, Role, Session, User, WrongPassword

XSRFABLE = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain", "")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: nobody, or a user by password, personal token or session."""

    user: User | None = None
    by: str = "nobody"
    cookie: str = ""
    """The session's, where there is one."""
    session: Session | None = None

    @property
    def name(self) -> str:
        return self.user.name if self.user else ""

    def may(self, role: Role) -> bool:
        return self.user is not None and self.user.role >= role


def cookie_name(port: int) -> str:
    """Our own: cookies do not know ports, and a real product may live on this host name."""
    return f"upm-simulator-{port}"


def log_in(request: web.BaseRequest, state: State, base_url: str, cookie: str) -> Caller:
    """The login filter: who this is. Raises Refused for credentials that do not hold."""
    header = request.headers.get(hdrs.AUTHORIZATION, "")
    scheme, _, value = header.partition(" ")
    sid = request.cookies.get(cookie, "")
    session = state.users.session(sid) if sid else None
    match scheme.lower():
        case "basic":
            return _by_password(request, state, base_url, value, sid if session else "")
        case "bearer" if state.profile.personal_tokens:
            user = state.users.owner_of(value.strip())
            if user is None:
                raise Refused(_failed_login(request, state, basic=False))
            return Caller(user, "token")
    if session:
        return Caller(state.users[session.user], "session", sid, session)
    kind = request.query.get("os_authType")
    stale = bool(sid) or "JSESSIONID" in request.cookies
    if kind == "basic" or kind == "cookie" or (kind == "any" and stale):
        headers = {"WWW-Authenticate": _realm(state)} if kind == "basic" else {}
        raise Refused(
            answers.status_entity(
                request, 401, "Client must be authenticated to access this resource.", headers
            )
        )
    return Caller()


def _by_password(
    request: web.BaseRequest, state: State, base_url: str, value: str, sid: str
) -> Caller:
    if not state.profile.basic:
        raise Refused(_basic_is_off(request))
    try:
        name, found, password = (
            base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")
        )
    except (binascii.Error, ValueError):
        name = found = password = ""
    match state.users.log_in(name, password) if found else WrongPassword():
        case LoggedIn(user=user):
            return Caller(user, "password", sid)
        case Challenged():
            response = answers.text(403, "<html><body>CAPTCHA challenge</body></html>", "text/html")
            response.headers["X-Seraph-LoginReason"] = "AUTHENTICATION_DENIED"
            response.headers["X-Authentication-Denied-Reason"] = (
                f"CAPTCHA_CHALLENGE; login-url={base_url}/login.jsp"
            )
            raise Refused(response)
        case _:
            raise Refused(_failed_login(request, state, basic=True))


def _failed_login(request: web.BaseRequest, state: State, *, basic: bool) -> web.Response:
    headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    if basic:
        headers["WWW-Authenticate"] = _realm(state)
    message = "Client must be authenticated to access this resource."
    return answers.status_entity(request, 401, message, headers)


def _realm(state: State) -> str:
    return f'Basic realm="{state.product.title}"'


def _basic_is_off(request: web.BaseRequest) -> web.Response:
    """§5.6."""
    message = (
        "Basic Authentication has been disabled on this instance. Use a personal access token."
    )
    accept = request.headers.get(hdrs.ACCEPT, "")
    if "json" in accept:
        return answers.document({"message": message}, "application/json", 403)
    if "xml" in accept:
        return answers.text(
            403, f"<warning><message>{message}</message></warning>", "application/xml"
        )
    return answers.text(403, message)


def looks_like_browser(request: web.BaseRequest) -> bool:
    agent = request.headers.get(hdrs.USER_AGENT, "")
    return any(word in agent for word in ("Mozilla/", "Opera/", "MSIE"))


def check_xsrf(
    request: web.BaseRequest, own_origin: str, names: Container[str], *, exempt: bool = False
) -> None:
    """The platform's XSRF filter (§5.5). *exempt*: what UPM takes out of its first half."""
    if request.method != "POST":
        return
    if looks_like_browser(request) and not same_origin(request, own_origin, names):
        raise Refused(answers.text(403, "XSRF check failed"))
    kind = request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()
    header = request.headers.get("X-Atlassian-Token", "").lower()
    if kind in XSRFABLE and header not in ("no-check", "nocheck") and not exempt:
        raise Refused(answers.text(403, "XSRF check failed"))


def same_origin(request: web.BaseRequest, own_origin: str, names: Container[str]) -> bool:
    """Whether Origin, or else Referer, is the host's own: under one of *names*, since another
    site's name may have been made to lead here."""
    own = {own_origin}
    if host_name(request) in names:
        own.add(f"{request.scheme}://{request.host}")
    if origin := request.headers.get(hdrs.ORIGIN):
        return origin in own
    try:
        referer = urlsplit(request.headers.get(hdrs.REFERER, ""))
    except ValueError:
        return False
    return f"{referer.scheme}://{referer.netloc}" in own


def host_name(request: web.BaseRequest) -> str:
    """What the request calls us, without the port; empty where that is no name."""
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def require_login(request: web.BaseRequest, caller: Caller) -> User:
    if caller.user is None:
        raise Refused(
            answers.status_entity(
                request, 401, "Client must be authenticated to access this resource."
            )
        )
    return caller.user


def require_sudo(state: State, caller: Caller, now: float) -> None:
    """Only a session without credentials of its own meets it (§5.3)."""
    if not state.profile.websudo or caller.by != "session" or caller.session is None:
        return
    if caller.session.sudo_until <= now:
        response = answers.sub_code(401, "upm.websudo.error", ERROR)
        response.headers["X-Atlassian-WebSudo"] = "Require-Authentication"
        raise Refused(response)
