"""An app's pages inside the host: an iframe whose URL is signed as the era signed it.

(XML era: OAuth 1.0a RSA-SHA1 over the query; Connect JSON: `jwt` with the query's hash.)
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from aiohttp import web

from devserver.simulator import gates, rest, signing
from devserver.simulator.app import App, Kind, Module
from devserver.simulator.hooks import app_url
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.pages import enter
from devserver.simulator.render import is_web, opens, page, page_path, problem
from devserver.simulator.state import Plugin
from devserver.simulator.users import Role

CONTEXT: Mapping[str, str] = {
    "issue.key": "DEMO-1",
    "issue.id": "10001",
    "project.key": "DEMO",
    "project.id": "10000",
    "space.key": "DS",
    "space.id": "98305",
    "page.id": "65537",
    "content.id": "65537",
    "dashboard.id": "10000",
}
"""What `{issue.key}` and the like become; what is not here becomes nothing, as on a host."""

SANDBOX = "allow-scripts allow-forms allow-popups allow-downloads"


async def signed_url(host: SimulatedHost, plugin: Plugin, module: Module, user: str) -> str:
    """The URL that the frame loads; *user* is who looks at it."""
    app = plugin.app
    path = re.sub(
        r"\$?\{([^{}]*)\}",
        lambda found: quote(CONTEXT.get(found[1], ""), safe=""),
        module.url or "/",
    )
    url = app_url(app, path)
    parameters = {
        "tz": "Etc/UTC",
        "loc": "en-US",
        "user_id": user,
        "user_key": user,
        "xdm_e": host.origin,
        "xdm_c": f"channel-{plugin.key}__{module.key}",
        "cp": host.context,
        "lic": "active" if plugin.license else "none",
    }
    if app.kind is Kind.CONNECT_JSON:
        url = _with(url, {**parameters, "cv": "1.1.90"})
        now = int(host.now())
        claims = {
            "iss": host.identity.client_key,
            "sub": user,
            "iat": now,
            "exp": now + signing.JWT_LIFETIME,
            "qsh": signing.qsh("GET", url, app.base_url or ""),
        }
        token = signing.jwt_hs256(claims, plugin.secret) if plugin.secret else ""
        return _with(url, {"jwt": token}) if token else url
    url = _with(url, {**parameters, "xdm_p": "1"})
    oauth = signing.oauth_parameters(
        host.identity.client_key,
        nonce=f"{host.random.getrandbits(64):d}",
        timestamp=int(host.now()),
    )
    signature = signing.oauth_signature("GET", url, oauth, await host.identity.key())
    return _with(url, {**oauth, "oauth_signature": signature})


def _with(url: str, parameters: Mapping[str, str]) -> str:
    query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in parameters.items())
    return f"{url}{'&' if '?' in url else '?'}{query}"


def _origin(app: App) -> str:
    parts = urlsplit(app.base_url or "")
    return f"{parts.scheme}://{parts.netloc}"


async def show(request: web.Request) -> web.Response:
    """`/plugins/servlet/ac/{app}/{module}`: for whoever is logged in."""
    host, caller = _enter(request)
    plugin = host.state.plugins.get(request.match_info["key"])
    modules = () if plugin is None else plugin.app.modules
    wanted = request.match_info["module"]
    module = next((each for each in modules if each.key == wanted), None)
    if plugin is None or module is None or not opens(plugin, module):
        return problem(host, caller, 404, "No such page", "No installed app has a page here.")
    why, src = "", ""
    if not (plugin.enabled and module.enabled):
        why = "The app or this module is disabled."
    elif not is_web(plugin.app.base_url) or re.search(r"[\s;,']", _origin(plugin.app)):
        why = f"The app's base URL cannot be opened: {plugin.app.base_url}"
    else:
        src = await signed_url(host, plugin, module, caller.name)
    # A frame of its own origin may keep it; one that says it is ours must not be what it says.
    own = urlsplit(plugin.app.base_url or "").port == host.port
    return page(
        host,
        caller,
        "app.html",
        title=module.name,
        frame="" if why else _origin(plugin.app),
        plugin=plugin,
        module=module,
        src=src,
        problem=why,
        sandbox=SANDBOX if own else f"{SANDBOX} allow-same-origin",
        width="100%",
        here=page_path(host.context, plugin, module),
    )


def _enter(request: web.Request) -> tuple[SimulatedHost, gates.Caller]:
    """Everybody who is logged in; the secure session is for administration."""
    host, caller = request.app[HOST], request[rest.CALLER]
    if caller.user is None:
        return enter(request, Role.USER)
    from devserver.simulator.control import check_host

    check_host(request, host)
    return host, caller


def routes(context: str) -> list[web.RouteDef]:
    return [
        web.get(f"{context}/plugins/servlet/{{era:ac|atlassian-connect}}/{{key}}/{{module}}", show)
    ]
