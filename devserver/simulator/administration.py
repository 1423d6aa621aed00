"""`rest/plugins/1.0`: settings, safe mode, licences, audit log, versions (upm-protocol.md §4.5)."""

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from devserver.simulator import answers, representations
from devserver.simulator.bodies import content_type, read_json
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.representations import API, PLAIN, SAFE_MODE
from devserver.simulator.rest import enter, find, token_header
from devserver.simulator.state import UPM_KEY, Plugin
from devserver.simulator.users import Role

LISTINGS = "connectDeveloperListingsEnabled"


async def settings(request: web.Request) -> web.Response:
    """GET `/settings`: what atlassian-connect-express asks before anything else."""
    host, _ = enter(request)
    listed = [
        {
            "key": key,
            "value": value,
            "requiresRefresh": key == "pacDisabled",
            "defaultCheckedValue": False,
            "readOnly": key == LISTINGS and host.profile.listings_locked,
        }
        for key, value in host.state.shown_settings().items()
    ]
    return answers.document({"settings": listed}, PLAIN)


async def change_settings(request: web.Request) -> web.Response:
    """PUT `/settings`: 200 without a body."""
    host, caller = enter(request)
    if content_type(request) != PLAIN:
        return answers.empty(415)
    body = await read_json(request)
    listed = body.get("settings") if isinstance(body, dict) else None
    for each in listed if isinstance(listed, list) else []:
        if isinstance(each, dict) and isinstance(each.get("value"), bool):
            host.state.set_setting(
                str(each.get("key")), each["value"], user=caller.name, now=host.now()
            )
    return answers.empty(200)


def _safe_mode(host: SimulatedHost) -> dict[str, Any]:
    links = representations.collection_links(host.state, host.context)
    return {
        "enabled": host.state.safe_mode,
        "links": {name: link for name, link in links.items() if "safe-mode" in name},
    }


async def safe_mode(request: web.Request) -> web.Response:
    host, _ = enter(request)
    return answers.document(_safe_mode(host), SAFE_MODE)


async def change_safe_mode(request: web.Request) -> web.Response:
    """PUT `/safe-mode[?keepState=]`; 409 where it is so already."""
    host, caller = enter(request)
    if content_type(request) != SAFE_MODE:
        return answers.empty(415)
    body = await read_json(request)
    wanted = body.get("enabled") if isinstance(body, dict) else None
    if not isinstance(wanted, bool):
        return answers.sub_code(400, "upm.safeMode.error.invalid")
    if wanted == host.state.safe_mode:
        code = "already.in.safe.mode" if wanted else "not.in.safe.mode"
        return answers.sub_code(409, f"upm.safeMode.error.{code}")
    keep = request.query.get("keepState") == "true"
    host.safe_mode(wanted, keep=keep, user=caller.name)
    return answers.document(_safe_mode(host), SAFE_MODE)


def _license(plugin: Plugin, host: SimulatedHost) -> dict[str, Any]:
    document: dict[str, Any] = {"pluginKey": plugin.key}
    if plugin.license is not None:
        document |= {
            "valid": True,
            "evaluation": False,
            "nearlyExpired": False,
            "maintenanceExpired": False,
            "licenseType": "DEVELOPER",
            "licenseTypeDescriptionKey": "upm.license.type.developer",
            "creationDateString": "01/Jan/20",
            "rawLicense": plugin.license,
            "renewable": False,
            "organizationName": "Simulated",
            "active": True,
        }
    document["links"] = {"self": f"{representations.plugin_path(host.context, plugin.key)}/license"}
    return document


async def license(request: web.Request) -> web.Response:
    """GET, PUT and DELETE `/{key}-key/license`."""
    host, caller = enter(request)
    if request.method == "PUT" and content_type(request) != PLAIN:
        return answers.empty(415)
    body = await read_json(request) if request.method == "PUT" else {}
    plugin = find(host, request)
    if request.method != "GET":
        if not plugin.app.paid:
            return answers.sub_code(412, "upm.plugin.license.error.plugin.not.using.licensing")
        raw = body.get("rawLicense") if isinstance(body, dict) else None
        if request.method == "PUT" and not (isinstance(raw, str) and raw.strip()):
            return answers.sub_code(400, "upm.plugin.license.error.setting.empty.license")
        if isinstance(raw, str) and len(raw.strip()) < 10:
            return answers.sub_code(400, "upm.plugin.license.error.invalid.license")
        plugin = host.state.set_license(plugin.key, raw if request.method == "PUT" else None)
        host.state.note(f"Changed the licence of {plugin.key}", caller.name, host.now())
    return answers.document(_license(plugin, host), PLAIN)


def _license_token(host: SimulatedHost, plugin: Plugin) -> dict[str, Any]:
    state = "ACTIVE_SUBSCRIPTION" if plugin.license is not None else "NONE"
    return {
        "pluginKey": plugin.key,
        "token": plugin.license or "",
        "state": state,
        "valid": plugin.license is not None,
        "links": {"self": f"{host.context}{API}/license-tokens/{quote(plugin.key, safe='')}-key"},
    }


async def license_tokens(request: web.Request) -> web.Response:
    """Cloud's `/license-tokens`: a token keeps its app from being uninstalled (§4.5)."""
    host, caller = enter(request)
    if host.profile.era != "cloud":
        return answers.empty(404)
    if request.method == "GET":
        tokens = [
            _license_token(host, plugin)
            for plugin in host.state.plugins.values()
            if plugin.license is not None
        ]
        return answers.document({"tokens": tokens}, PLAIN)
    if content_type(request) != PLAIN:
        return answers.empty(415)
    body = await read_json(request)
    key, token = (body.get("pluginKey"), body.get("token")) if isinstance(body, dict) else ("", "")
    if not isinstance(key, str) or key not in host.state.plugins:
        return answers.empty(404)
    if not isinstance(token, str) or len(token.strip()) < 10:
        return answers.sub_code(400, "upm.license.token.invalid.error")
    plugin = host.state.set_license(key, token)
    host.state.note(f"Set the licence token of {key}", caller.name, host.now())
    return answers.document(_license_token(host, plugin), PLAIN)


async def license_token(request: web.Request) -> web.Response:
    """GET and DELETE `/license-tokens/{key}-key`."""
    host, caller = enter(request)
    plugin = find(host, request)
    if host.profile.era != "cloud":
        return answers.empty(404)
    if request.method == "GET":
        return answers.document(_license_token(host, plugin), PLAIN)
    host.state.set_license(plugin.key, None)
    host.state.note(f"Removed the licence token of {plugin.key}", caller.name, host.now())
    return answers.empty(204)


async def audit_log(request: web.Request) -> web.Response:
    """GET `/log/feed?max-results=25&start-index=0`: Atom, newest first."""
    host, _ = enter(request)
    entries = list(reversed(host.state.log))
    start, most = _count(request, "start-index", 0), _count(request, "max-results", 25)
    newest = entries[0].time if entries else 0.0
    mark = hashlib.sha256(f"{len(entries)} {newest}".encode()).hexdigest()[:16]
    etag = f'"{mark}"'
    if request.headers.get("If-None-Match") == etag:
        return answers.empty(304, {"ETag": etag})
    shown = "".join(
        "<entry>"
        f"<id>tag:{host.identity.kid},{entry.number}</id>"
        f"<title>{escape(entry.text)}</title>"
        f"<updated>{_atom_time(entry.time)}</updated>"
        f"<author><name>{escape(entry.user)}</name></author>"
        "</entry>"
        for entry in entries[start : start + most]
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<feed xmlns="http://www.w3.org/2005/Atom"'
        f' xmlns:upm="http://www.atlassian.com/upm"><title>UPM audit log</title>'
        f"<id>tag:{host.identity.kid}</id><updated>{_atom_time(newest)}</updated>"
        f"<link rel={quoteattr('self')} href={quoteattr(f'{host.base_url}{API}/log/feed')}/>"
        f"<upm:totalEntries>{len(entries)}</upm:totalEntries>"
        f"<upm:startIndex>{start}</upm:startIndex>{shown}</feed>"
    )
    response = answers.text(200, _visible(body), "application/atom+xml")
    response.headers["ETag"] = etag
    response.last_modified = newest
    return response


def _visible(text: str) -> str:
    """Without the control characters that XML cannot hold: apps choose their own names."""
    return "".join(char for char in text if char >= " " or char in "\t\n\r")


def _atom_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _count(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return (
        min(int(text), 1000) if text.isascii() and text.isdecimal() and len(text) < 9 else default
    )


async def log_limits(request: web.Request) -> web.Response:
    """GET `/log/feed/max-entries` and `/log/feed/purge-after`."""
    enter(request)
    name = "maxEntries" if request.path.rstrip("/").endswith("max-entries") else "purgeAfter"
    return answers.document({name: 1000 if name == "maxEntries" else 90}, PLAIN)


async def installed_marketplace(request: web.Request) -> web.Response:
    """GET `/installed-marketplace`: the plugins, the state of the host, and a token."""
    host, caller = enter(request)
    status = {
        "baseUrlInvalid": False,
        "safeMode": host.state.safe_mode,
        "pacDisabled": host.state.settings.values["pacDisabled"],
        "pacUnavailable": True,
        "hostLicense": {"evaluation": False, "dataCenter": host.profile.era.startswith("dc")},
    }
    plugins = [
        representations.summary(each, host.context, host.base_url)
        for each in host.state.plugins.values()
    ]
    links = dict(representations.collection_links(host.state, host.context))
    body = {"plugins": plugins, "links": links, "hostStatus": status}
    return answers.document(body, PLAIN, headers=token_header(host, caller, request))


async def product_version(request: web.Request) -> web.Response:
    host, _ = enter(request)
    body = {
        "links": {"self": f"{host.context}{API}/product-version"},
        "version": host.version[0],
        "buildNumber": int(host.version[1]),
        "development": False,
        "unknown": False,
    }
    return answers.document(body, PLAIN)


async def upm_version(request: web.Request) -> web.Response:
    """GET `/build-number`: which UPM this is."""
    host, _ = enter(request)
    version = host.state.plugins[UPM_KEY].app.version
    return answers.document({"buildNumber": host.version[1], "version": version}, PLAIN)


async def pac_status(request: web.Request) -> web.Response:
    """The Marketplace is never asked: everything here stays on this machine."""
    host, _ = enter(request)
    disabled = host.state.settings.values["pacDisabled"]
    links = {"self": f"{host.context}{API}/pac-status"}
    return answers.document({"disabled": disabled, "reached": False, "links": links}, PLAIN)


async def requires_restart(request: web.Request) -> web.Response:
    host, _ = enter(request)
    changes = [
        {
            "name": representations.shown_name(plugin),
            "key": key,
            "action": plugin.restart,
            "links": {"self": f"{host.context}{API}/requires-restart/{key}-key"},
        }
        for key, plugin in host.state.plugins.items()
        if plugin.restart
    ]
    links = {"self": f"{host.context}{API}/requires-restart"}
    return answers.document({"links": links, "changes": changes}, PLAIN)


async def cancel_restart(request: web.Request) -> web.Response:
    """DELETE `/requires-restart/{key}-key`: 204, or 404 where nothing waits."""
    host, _ = enter(request, role=Role.SYSADMIN)
    return answers.empty(204 if host.state.cancel_restart(find(host, request).key) else 404)


async def empty_list(request: web.Request) -> web.Response:
    """Resources that only UPM's own pages ask for, and that have nothing to say here."""
    host, _ = enter(request)
    name = request.match_info["name"]
    body = {"links": {"self": f"{host.context}{API}/{name}"}, name: []}
    return answers.document(body, PLAIN)


async def icon(request: web.Request) -> web.Response:
    """GET `/{key}-key/media/plugin-icon`: a plain square, as a plugin without an icon has."""
    enter(request, role=Role.USER, sudo=False)
    find(request.app[HOST], request)
    return web.Response(body=ICON, headers={"Content-Type": "image/svg+xml"})


ICON = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32" viewBox="0 0 32 32">'
    b'<rect width="32" height="32" rx="6" fill="#44546f"/>'
    b'<path d="M10 9h12v4h-4v10h-4V13h-4z" fill="#fff"/></svg>'
)


def routes(api: str, slash: str) -> list[web.RouteDef]:
    one = f"{api}/{{key:[^/]+}}-key"
    log = f"{api}/log/feed"
    lists = "notifications|requests|bundles|services|packages|categories|featured|banners"
    return [
        web.get(f"{api}/settings{slash}", settings),
        web.put(f"{api}/settings{slash}", change_settings),
        web.get(f"{api}/safe-mode{slash}", safe_mode),
        web.put(f"{api}/safe-mode{slash}", change_safe_mode),
        web.get(f"{one}/license{slash}", license),
        web.put(f"{one}/license{slash}", license),
        web.delete(f"{one}/license{slash}", license),
        web.get(f"{api}/license-tokens{slash}", license_tokens),
        web.post(f"{api}/license-tokens{slash}", license_tokens),
        web.get(f"{api}/license-tokens/{{key:[^/]+}}-key{slash}", license_token),
        web.delete(f"{api}/license-tokens/{{key:[^/]+}}-key{slash}", license_token),
        web.get(f"{log}{slash}", audit_log),
        web.get(f"{log}/{{limit:max-entries|purge-after}}{slash}", log_limits),
        web.get(f"{api}/installed-marketplace{slash}", installed_marketplace),
        web.get(f"{api}/product-version{slash}", product_version),
        web.get(f"{api}/build-number{slash}", upm_version),
        web.get(f"{api}/pac-status{slash}", pac_status),
        web.get(f"{api}/requires-restart{slash}", requires_restart),
        web.delete(f"{api}/requires-restart/{{key:[^/]+}}-key{slash}", cancel_restart),
        web.get(f"{one}/media/{{icon:plugin-icon|plugin-logo}}{slash}", icon),
        web.get(f"{api}/{{name:{lists}}}{slash}", empty_list),
    ]
