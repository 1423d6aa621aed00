"""`rest/plugins/1.0`: tokens, installing, polling, plugins (upm-protocol.md §1 to §4.4)."""

import json
import re

from aiohttp import web

from devserver.simulator import answers, gates, representations
from devserver.simulator.bodies import content_type, read_json, receive, receiving
from devserver.simulator.faults import Fault
from devserver.simulator.fetch import unfit
from devserver.simulator.gates import Caller
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.installs import Job
from devserver.simulator.refusal import Refusal
from devserver.simulator.state import UPM_KEY, Plugin
from devserver.simulator.tasks import Stage, Task
from devserver.simulator.users import Role

CALLER = web.RequestKey("CALLER", Caller)
STRUCK = web.RequestKey("STRUCK", tuple[Fault, ...])
"""Faults that struck this request and that the handler itself carries out."""
STAGE = web.RequestKey("STAGE", str)
FAULTS = web.RequestKey("FAULTS", tuple[str, ...])
"""For the journal: where in the protocol this request stands, and what was done to it."""


def enter(
    request: web.Request, *, role: Role = Role.ADMIN, refusal: int = 401, sudo: bool = True
) -> tuple[SimulatedHost, Caller]:
    """REST authentication, web-sudo and UPM's permission, in this order (§5).

    *refusal* is what somebody without the right is told; it differs by endpoint (§5.2).
    """
    host, caller = request.app[HOST], request[CALLER]
    gates.require_login(request, caller)
    if sudo:
        gates.require_sudo(host.state, caller, host.now())
    if not caller.may(role):
        raise answers.Refused(answers.no_permission(refusal))
    return host, caller


def accepts(request: web.Request, media_type: str) -> bool:
    """Whether the `Accept` header leaves room for *media_type*; a missing one does."""
    header = request.headers.get("Accept", "").strip()
    if not header:
        return True
    ranges = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    return bool(ranges & {media_type, "*/*", "application/*", "*"})


def find(host: SimulatedHost, request: web.Request) -> Plugin:
    """The plugin that the path names. Raises Refused: 404 with an empty body (§4.3)."""
    plugin = host.state.plugins.get(request.match_info["key"])
    if plugin is None:
        raise answers.Refused(answers.empty(404))
    return plugin


# The collection and its token


async def installed(request: web.Request) -> web.Response:
    """GET and HEAD `/`."""
    host, caller = enter(
        request,
        refusal=403 if request.method == "HEAD" else 401,
        sudo=request.method != "HEAD",
    )
    if not accepts(request, representations.INSTALLED):
        return answers.empty(406)
    headers = token_header(host, caller, request)
    if request.method == "HEAD":
        return web.Response(
            headers={**headers, "Content-Type": f"{representations.INSTALLED};charset=UTF-8"}
        )
    links = json.dumps(
        representations.collection_links(host.state, host.context), separators=(",", ":")
    )
    body = f'{{"plugins":[{",".join(host.summaries())}],"links":{links}}}'
    return web.Response(
        body=body.encode(),
        headers={**headers, "Content-Type": f"{representations.INSTALLED};charset=UTF-8"},
    )


def token_header(host: SimulatedHost, caller: Caller, request: web.Request) -> dict[str, str]:
    """Spelled so: shipped scripts look for this very line (§1)."""
    if any(fault.kind == "no-token" for fault in request[STRUCK]):
        return {}
    return {"upm-token": host.state.tokens.current(caller.name, host.now())}


# Installing


async def install(request: web.Request) -> web.Response:
    """POST `/`: by URI or by file, told apart by the Content-Type."""
    host, caller = request.app[HOST], request[CALLER]
    gates.require_login(request, caller)
    gates.require_sudo(host.state, caller, host.now())
    kind = content_type(request)
    if kind in ("multipart/form-data", "multipart/mixed"):
        return await _install_file(request, host, caller)
    if kind not in {
        f"application/vnd.atl.plugins.{each}+json" for each in host.profile.install_types
    }:
        return answers.empty(415)
    return await _install_uri(request, host, caller)


async def _install_uri(request: web.Request, host: SimulatedHost, caller: Caller) -> web.Response:
    body = await read_json(request)
    uri = body.get("pluginUri") if isinstance(body, dict) else None
    if not isinstance(uri, str):
        return answers.internal_error("java.lang.NullPointerException: pluginUri", host.referral())
    name = body.get("pluginName")
    no = unfit(uri)
    syntax = no is not None and no.sub_code.endswith("invalid.uri.syntax")
    relative = no is not None and no.sub_code.endswith("invalid.relative.uri")
    first = host.profile.safe_mode_first
    if no and syntax and not first:
        return answers.sub_code(400, no.sub_code)
    if not caller.may(Role.SYSADMIN if first else Role.ADMIN):
        return answers.no_permission(403)
    if first and host.state.safe_mode:
        return answers.sub_code(409, "upm.pluginInstall.error.safe.mode")
    if not _spend(request, host, caller):
        return answers.invalid_token(multipart=False)
    if not host.profile.upload:
        return answers.forbidden(403, "Plugins cannot be installed via upload")
    if no and (relative or syntax):
        return answers.sub_code(400, no.sub_code)
    name = name if isinstance(name, str) and name else None
    shown = name or re.sub(r"[?#].*", "", uri).rstrip("/").rsplit("/", 1)[-1] or uri
    task = host.state.accept(
        user=caller.name, source=uri, name=shown, stage=Stage.DOWNLOADING, now=host.now()
    )
    host.run(Job(task=task, uri=uri, name=name, fault=_ending(request)), caller)
    return _accepted(host, task)


def _ending(request: web.Request) -> Fault | None:
    return next(
        (each for each in request[STRUCK] if each.kind in ("endless", "error", "disable")), None
    )


def _spend(request: web.Request, host: SimulatedHost, caller: Caller) -> bool:
    token, tokens = request.query.get("token", ""), host.state.tokens
    if any(fault.kind == "steal-token" for fault in request[STRUCK]):
        tokens.spend(caller.name, tokens.current(caller.name, host.now()), host.now())
    return tokens.spend(caller.name, token, host.now())


def _accepted(host: SimulatedHost, task: Task) -> web.Response:
    """The 202 (§2.3)."""
    return answers.document(
        representations.task(task, host.profile, host.context),
        task.stage.media_type,
        202,
        {"Location": f"{host.base_url}{representations.API}/pending/{task.id}"},
    )


async def _install_file(request: web.Request, host: SimulatedHost, caller: Caller) -> web.Response:
    """Multipart, part `plugin` (§3)."""
    if not caller.may(Role.SYSADMIN):
        return answers.no_permission(401)
    if host.profile.safe_mode_first and host.state.safe_mode:
        return answers.sub_code(409, "upm.pluginInstall.error.safe.mode")
    if not _spend(request, host, caller):
        return answers.invalid_token(multipart=True)
    if not host.profile.upload:
        return answers.forbidden(403, "Plugins cannot be installed via upload")
    async with receiving(request):
        upload = await receive(request)
    if upload is None:
        return answers.internal_error("No part named plugin", host.referral())
    if isinstance(upload, Refusal):
        return answers.empty(413)
    task = host.state.accept(
        user=caller.name,
        source=upload.name,
        name=upload.name,
        stage=Stage.INSTALLING,
        now=host.now(),
    )
    host.run(Job(task=task, upload=upload, fault=_ending(request)), caller)
    accept = request.headers.get("Accept", "")
    if "text/html" in accept or "*" in accept:
        response = _accepted(host, task)
        body = representations.task(task, host.profile, host.context)
        return answers.textarea(body, 202, {"Location": response.headers["Location"]})
    return _accepted(host, task)


# Polling


async def pending_tasks(request: web.Request) -> web.Response:
    host, _ = enter(request)
    tasks = [
        representations.task(each, host.profile, host.context)
        for each in host.state.tasks
        if not each.done
    ]
    links = {"self": f"{host.context}{representations.API}/pending"}
    return answers.document({"links": links, "tasks": tasks}, representations.PENDING)


async def only_in_debug_mode(request: web.Request) -> web.Response:
    """POST `/pending` and DELETE `/pending/{id}` (§2.5)."""
    enter(request)
    return answers.empty(412)


async def pending(request: web.Request) -> web.Response:
    """GET `/pending/{id}` (§2.5)."""
    host, _ = enter(request)
    task = _look(request, host)
    if task is None:
        return answers.empty(404)
    if task.done and task.key is not None:
        path = representations.plugin_path("", task.key)
        return answers.empty(303, {"Location": f"{host.base_url}{path}"})
    return answers.document(
        representations.task(task, host.profile, host.context), task.stage.media_type
    )


async def new_style_task(request: web.Request) -> web.Response:
    """GET `/tasks/{id}`: anonymous, never redirects (§2.6)."""
    host = request.app[HOST]
    task = _look(request, host)
    if task is None:
        return answers.empty(404)
    for_admin = request[CALLER].may(Role.ADMIN)
    body = representations.new_task(task, host.profile, host.context, for_admin=for_admin)
    return answers.document(body, representations.PLAIN)


async def forget_tasks(request: web.Request) -> web.Response:
    """DELETE `/tasks`."""
    host, _ = enter(request, role=Role.SYSADMIN)
    for task in host.state.tasks:
        if task.done:
            host.state.tasks.forget(task.id)
    return answers.empty(204)


def _look(request: web.Request, host: SimulatedHost) -> Task | None:
    task_id = request.match_info["id"]
    if any(fault.kind == "forget-task" for fault in request[STRUCK]):
        host.state.tasks.forget(task_id)
    return host.state.tasks.look(task_id, host.now(), running_first=host.install_time > 0)


# One plugin


async def plugin(request: web.Request) -> web.Response:
    host, _ = enter(request)
    return _plugin(host, find(host, request))


def _plugin(host: SimulatedHost, found: Plugin, status: int = 200) -> web.Response:
    body = representations.full(found, host.context, host.base_url)
    return answers.document(body, representations.PLUGIN, status)


async def plugin_summary(request: web.Request) -> web.Response:
    host, _ = enter(request)
    body = representations.summary(find(host, request), host.context, host.base_url)
    return answers.document(body, representations.PLAIN)


async def without_suffix(request: web.Request) -> web.Response:
    """A key without `-key` (§4.3)."""
    enter(request)
    body = {"errorMessage": f"Invalid plugin key: {request.match_info['key']}"}
    return answers.document(body, representations.TASK_ERROR, 400)


async def change_plugin(request: web.Request) -> web.Response:
    """PUT `/{key}-key` with `enabled` (§4.4)."""
    host, caller = enter(request)
    if content_type(request) != representations.PLUGIN:
        return answers.empty(415)
    body = await read_json(request)
    found = find(host, request)
    enabled = body.get("enabled") if isinstance(body, dict) else None
    if not isinstance(enabled, bool):
        return _plugin(host, found)
    if found.key == UPM_KEY:
        return answers.sub_code(409, "upm.plugin.error.invalid.upm.plugin.action")
    if host.state.safe_mode and found.user_installed and enabled:
        return answers.sub_code(409, "upm.plugin.error.safe.mode")
    return _plugin(host, host.lifecycle.switch(found.key, enabled, caller.name))


async def module(request: web.Request) -> web.Response:
    """GET and PUT `/{key}-key/modules/{module}-key`."""
    host, caller = enter(request)
    if request.method == "PUT" and content_type(request) != representations.MODULE:
        return answers.empty(415)
    body = await read_json(request) if request.method == "PUT" else {}
    found = find(host, request)
    key = request.match_info["module"]
    here = next((each for each in found.app.modules if each.key == key), None)
    if here is None:
        return answers.empty(404)
    enabled = body.get("enabled") if isinstance(body, dict) else None
    if isinstance(enabled, bool):
        if found.system and not enabled:
            return answers.sub_code(403, "upm.pluginModule.error.cannot.be.disabled")
        if not here.recognisable:
            return answers.sub_code(412, "upm.pluginModule.error.cannot.recognise.type")
        host.state.set_module(found.key, key, enabled, user=caller.name, now=host.now())
        found = host.state.plugins[found.key]
        here = next(each for each in found.app.modules if each.key == key)
    return answers.document(
        representations.module(here, found, host.context), representations.MODULE
    )


async def uninstall(request: web.Request) -> web.Response:
    """DELETE `/{key}-key` (§4.4); no token."""
    host, caller = enter(request, role=Role.SYSADMIN)
    found = find(host, request)
    if found.key == UPM_KEY:
        return answers.empty(405)
    if host.state.safe_mode:
        return answers.sub_code(409, "upm.pluginUninstall.error.safe.mode")
    if code := host.state.removal_refused(found.key):
        body = {
            "errorMessage": f"{found.app.name} cannot be uninstalled.",
            "subCode": f"upm.pluginUninstall.error.{code}",
        }
        return answers.document(body, representations.TASK_ERROR, 403)
    removed = host.lifecycle.uninstall(found.key, caller.name)
    host.changed()
    if host.profile.delete_status == 200:
        return _plugin(host, removed)
    return answers.empty(204)
