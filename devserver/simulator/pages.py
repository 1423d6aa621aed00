"""The administrator's pages, as the tutorial walks through them."""

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

from aiohttp import BodyPartReader, web

from devserver.simulator import administration, bodies, gates, representations, rest, spool
from devserver.simulator.answers import Refused
from devserver.simulator.control import check_host, check_origin, check_own
from devserver.simulator.fetch import Artefact, unfit
from devserver.simulator.gates import Caller
from devserver.simulator.host import HOST, SimulatedHost
from devserver.simulator.installs import Job
from devserver.simulator.refusal import Refusal
from devserver.simulator.render import page, problem
from devserver.simulator.state import UPM_KEY
from devserver.simulator.tasks import Stage, Task
from devserver.simulator.users import LoggedIn, Role

SETTINGS: Mapping[str, tuple[str, str]] = {
    administration.LISTINGS: (
        "Private listings",
        "Apps that are not on the Marketplace can be installed from a URL.",
    ),
    "pacDisabled": ("Disable the Marketplace", "Do not connect to the Atlassian Marketplace."),
    "requestsDisabled": ("Disable app requests", "Users cannot ask for apps."),
    "emailDisabled": ("Disable e-mail", "Nobody is written to about apps."),
    "autoUpdateEnabled": ("Update apps automatically", "Where vendor and licence allow it."),
}

PATIENCE = 0.4
"""Seconds that the progress page waits for a quick installation before it is shown at all."""


def see_other(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})


def enter(request: web.Request, role: Role = Role.ADMIN) -> tuple[SimulatedHost, Caller]:
    """Who may see this page. Raises Refused with the login page, a question or a sentence."""
    host, caller = request.app[HOST], request[rest.CALLER]
    check_host(request, host)
    if caller.user is None:
        there = quote(str(request.rel_url) if request.method == "GET" else f"{host.context}/")
        raise Refused(see_other(f"{host.context}/login.jsp?os_destination={there}"))
    if not caller.may(role):
        needed = "a system administrator" if role is Role.SYSADMIN else "an administrator"
        why = f"{caller.name} is not {needed}."
        raise Refused(problem(host, caller, 403, "Not allowed", why))
    try:
        gates.require_sudo(host.state, caller, host.now())
    except Refused as refused:
        path = "/secure/admin/WebSudoAuthenticate.jspa"
        there = quote(str(request.rel_url))
        raise Refused(see_other(f"{host.context}{path}?os_destination={there}")) from refused
    return host, caller


async def form(
    request: web.Request, role: Role = Role.ADMIN
) -> tuple[SimulatedHost, Caller, Mapping[str, Any]]:
    """The same for a form of ours, with its fields."""
    host, caller = enter(request, role)
    check_origin(request, host)  # before anything is read, let alone kept
    fields = await bodies.read_form(request)
    check_own(request, host, str(fields.get("form_token", "")))
    return host, caller, fields


async def to_context(request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": f"{request.app[HOST].context}/"})


async def home(request: web.Request) -> web.Response:
    host, caller = request.app[HOST], request[rest.CALLER]
    check_host(request, host)
    return page(host, caller, "home.html", title="Home")


async def login(request: web.Request) -> web.Response:
    """The login page, which also answers a CAPTCHA: whoever gets here is a person."""
    host, caller = request.app[HOST], request[rest.CALLER]
    check_host(request, host)
    return _login(host, caller, request.query.get("os_destination", ""), "")


def _login(
    host: SimulatedHost, caller: Caller, destination: str, error: str, *, confirm: bool = False
) -> web.Response:
    path = "/secure/admin/WebSudoAuthenticate.jspa" if confirm else "/login.jsp"
    return page(
        host,
        caller,
        "login.html",
        title="Administrator access" if confirm else "Log in",
        status=401 if error else 200,
        destination=destination,
        error=error,
        confirm=confirm,
        action=f"{host.context}{path}",
    )


async def log_in(request: web.Request) -> web.Response:
    host, caller = request.app[HOST], request[rest.CALLER]
    check_origin(request, host)
    fields = await bodies.read_form(request)
    check_own(request, host, str(fields.get("form_token", "")))
    name, password = str(fields.get("os_username", "")), str(fields.get("os_password", ""))
    destination = str(fields.get("os_destination", ""))
    match host.state.users.log_in(name, password, person=True):
        case LoggedIn(user=user):
            # Whoever has just typed the password need not type it again at once.
            cookie = host.state.users.open_session(user.name)
            host.state.users.raise_session(cookie, host.now())
            response = see_other(_local(destination, host))
            response.set_cookie(host.cookie, cookie, path="/", httponly=True, samesite="Lax")
            return response
    return _login(host, caller, destination, "Your username and password are incorrect.")


def _local(destination: str, host: SimulatedHost) -> str:
    """Where to go after the login: never to another site."""
    # Browsers leave out tabs and line ends: "/<tab>/evil" would be another site.
    if re.fullmatch(r"/(?![/\\])[!-~]*", destination):
        return destination
    return f"{host.context}/"


async def log_out(request: web.Request) -> web.Response:
    host, caller = request.app[HOST], request[rest.CALLER]
    check_own(request, host, str((await bodies.read_form(request)).get("form_token", "")))
    host.state.users.close_session(caller.cookie)
    response = see_other(f"{host.context}/login.jsp")
    response.del_cookie(host.cookie, path="/")
    return response


async def sudo(request: web.Request) -> web.Response:
    """Web-sudo's question (upm-protocol.md §5.3)."""
    host, caller = request.app[HOST], request[rest.CALLER]
    check_host(request, host)
    if caller.user is None:
        return see_other(f"{host.context}/login.jsp")
    return _login(host, caller, request.query.get("os_destination", ""), "", confirm=True)


async def answer_sudo(request: web.Request) -> web.Response:
    """The answer: from our page with a form token, or from a script as on a real host."""
    host, caller = request.app[HOST], request[rest.CALLER]
    if caller.user is None or caller.by != "session":
        return see_other(f"{host.context}/login.jsp")
    fields = await bodies.read_form(request)
    if "webSudoPassword" not in fields and "password" not in fields:
        check_own(request, host, str(fields.get("form_token", "")))
    password = fields.get("os_password") or fields.get("webSudoPassword") or fields.get("password")
    destination = str(
        fields.get("os_destination")
        or fields.get("webSudoDestination")
        or fields.get("destination")
        or ""
    )
    match host.state.users.log_in(caller.name, str(password or ""), person=True):
        case LoggedIn():
            host.state.users.raise_session(caller.cookie, host.now())
            response = web.Response(status=302, headers={"Location": _local(destination, host)})
            response.headers["X-Atlassian-WebSudo"] = "Has-Authentication"
            return response
    return _login(host, caller, destination, "The password is incorrect.", confirm=True)


async def admin(request: web.Request) -> web.Response:
    host, caller = enter(request)
    return page(host, caller, "admin.html", title="Administration", admin_area=True)


async def manage(request: web.Request) -> web.Response:
    host, caller = enter(request)
    dialog = request.query.get("dialog", "")
    if dialog != "settings" and not (dialog == "upload" and caller.may(Role.SYSADMIN)):
        dialog = ""
    return manage_page(host, caller, dialog=dialog, open_key=request.query.get("app", ""))


def manage_page(host: SimulatedHost, caller: Caller, **values: Any) -> web.Response:
    state = host.state
    shown = {administration.LISTINGS: state.settings.private_listings, **state.settings.values}
    settings = [
        {
            "key": key,
            "label": SETTINGS[key][0],
            "hint": SETTINGS[key][1],
            "value": value,
            "locked": key == administration.LISTINGS and host.profile.listings_locked,
        }
        for key, value in shown.items()
        if value is not None
    ]
    plugins = sorted(state.plugins.values(), key=lambda plugin: plugin.app.name.lower())
    return page(
        host,
        caller,
        "manage.html",
        **{
            "title": "Manage apps",
            "admin_area": True,
            "area": "manage",
            "open_key": "",
            "settings": settings,
            "user_installed": [plugin for plugin in plugins if plugin.user_installed],
            "system_apps": [plugin for plugin in plugins if not plugin.user_installed],
            **values,
        },
    )


async def settings(request: web.Request) -> web.Response:
    host, caller, fields = await form(request)
    for key in SETTINGS:
        host.state.set_setting(key, key in fields, user=caller.name, now=host.now())
    return see_other(f"{host.context}/plugins/servlet/upm")


async def upload(request: web.Request) -> web.Response:
    """Install from the dialog: a URL, or a file."""
    if not bodies.content_type(request).startswith("multipart/"):
        host, caller, fields = await form(request, Role.SYSADMIN)
        return _begin(host, caller, str(fields.get("url", "")).strip(), None)
    host, caller = enter(request, Role.SYSADMIN)
    check_origin(request, host)
    async with AsyncExitStack() as stack:
        async with bodies.receiving(request):
            texts, file = await _parts(request, stack)
        check_own(request, host, texts.get("form_token", ""))
        stack.pop_all()  # from here on it is the job's to close
        return _begin(host, caller, texts.get("url", "").strip(), file)


async def _parts(
    request: web.Request, stack: AsyncExitStack
) -> tuple[Mapping[str, str], Artefact | None]:
    """The text fields, and the file of the part `plugin`, where one was chosen.

    *stack* closes the file.
    """
    texts: dict[str, str] = {}
    file: Artefact | None = None
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.name is None:
            continue
        if part.filename is None:
            texts[part.name] = (await part.read())[:4096].decode("utf-8", "replace")
        elif part.name == "plugin" and part.filename and file is None:
            kept = await spool.keep(bodies.chunks(part))
            if kept is None:
                raise Refused(web.Response(status=413, text="The file is larger than 200 MB."))
            stack.callback(kept.close)
            file = Artefact(kept, part.filename, "application/octet-stream")
    return texts, file


def _begin(host: SimulatedHost, caller: Caller, url: str, file: Artefact | None) -> web.Response:
    stage = Stage.INSTALLING if file else Stage.DOWNLOADING
    source = file.name if file else url
    name = source if file else url.rstrip("/").rsplit("/", 1)[-1]
    task = host.state.accept(
        user=caller.name, source=source, name=name, stage=stage, now=host.now()
    )
    no = None if file else unfit(url)
    if not host.profile.upload:
        no = Refusal("upm.plugin.upload.disabled", "Plugins cannot be installed via upload.")
    if no:
        if file:
            file.file.close()
        host.state.tasks.fail(task.id, no, host.now())
    else:
        host.run(Job(task=task, uri="" if file else url, upload=file), caller)
    return see_other(f"{host.context}/plugins/servlet/upm/progress/{task.id}")


async def progress(request: web.Request) -> web.Response:
    host, caller = enter(request)
    task_id = request.match_info["id"]

    def look() -> Task | None:
        return host.state.tasks.get(task_id, host.now())

    def done() -> bool:
        task = look()
        return task is None or task.done

    try:
        await host.wait(done, within=PATIENCE)
    except TimeoutError:
        task = look()
        return manage_page(host, caller, dialog="progress", refresh="1", task=task)
    task = look()
    if task is None:
        why = "The task is not known: it ended long ago, or the host was restarted."
        return problem(host, caller, 404, "No such task", why)
    if task.refusal or task.key is None:
        return manage_page(host, caller, dialog="failed", task=task)
    plugin = host.state.plugins.get(task.key)
    return manage_page(
        host,
        caller,
        dialog="done",
        task=task,
        installed_name=representations.shown_name(plugin) if plugin else task.key,
        installed_version=plugin.app.version if plugin else "",
    )


async def switch(request: web.Request) -> web.Response:
    host, caller, fields = await form(request)
    key, enabled = str(fields.get("key", "")), fields.get("enabled") == "true"
    if key in host.state.plugins and key != UPM_KEY:
        if host.state.safe_mode and enabled:
            why = "The host is in safe mode: leave it first."
            return problem(host, caller, 409, "Not now", why)
        host.lifecycle.switch(key, enabled, caller.name)
    return see_other(f"{host.context}/plugins/servlet/upm?app={quote(key, safe='')}")


async def module(request: web.Request) -> web.Response:
    host, caller, fields = await form(request)
    key, name = str(fields.get("key", "")), str(fields.get("module", ""))
    plugin = host.state.plugins.get(key)
    if plugin is None or name not in {each.key for each in plugin.app.modules}:
        return problem(host, caller, 404, "No such module", f"{key} has no module {name}.")
    enabled = fields.get("enabled") == "true"
    host.state.set_module(key, name, enabled, user=caller.name, now=host.now())
    return see_other(f"{host.context}/plugins/servlet/upm?app={quote(key, safe='')}")


async def uninstall(request: web.Request) -> web.Response:
    host, caller, fields = await form(request, Role.SYSADMIN)
    key = str(fields.get("key", ""))
    if key in host.state.plugins:
        code = "safe.mode" if host.state.safe_mode else host.state.removal_refused(key)
        if code:
            why = f"It cannot be uninstalled: upm.pluginUninstall.error.{code}."
            return problem(host, caller, 409, "Not uninstalled", why)
        host.lifecycle.uninstall(key, caller.name)
        host.changed()
    return see_other(f"{host.context}/plugins/servlet/upm")


async def safe_mode(request: web.Request) -> web.Response:
    host, caller, fields = await form(request)
    wanted = fields.get("enabled") == "true"
    if wanted != host.state.safe_mode:
        host.safe_mode(wanted, keep=fields.get("keep") == "true", user=caller.name)
    return see_other(f"{host.context}/plugins/servlet/upm")


async def audit_log(request: web.Request) -> web.Response:
    host, caller = enter(request)
    entries = list(reversed(host.state.log))
    return page(
        host, caller, "log.html", title="Audit log", admin_area=True, area="log", entries=entries
    )


def routes(context: str) -> list[web.RouteDef]:
    upm = f"{context}/plugins/servlet/upm"
    slash = "{slash:/?}"
    sudo_path = f"{context}/secure/admin/WebSudoAuthenticate.jspa"
    listed = [
        web.get(f"{context}{slash}" if context else "/", home),
        web.get(f"{context}/login.jsp", login),
        web.post(f"{context}/login.jsp", log_in),
        web.post(f"{context}/logout", log_out),
        web.get(sudo_path, sudo),
        web.post(sudo_path, answer_sudo),
        web.post(f"{context}/doauthenticate.action", answer_sudo),
        web.get(f"{context}/admin{slash}", admin),
        web.get(f"{context}/secure/admin{slash}", admin),
        web.get(f"{upm}{slash}", manage),
        web.get(f"{upm}/manage{slash}", manage),
        web.post(f"{upm}/settings", settings),
        web.post(f"{upm}/upload", upload),
        web.get(f"{upm}/progress/{{id}}", progress),
        web.post(f"{upm}/switch", switch),
        web.post(f"{upm}/module", module),
        web.post(f"{upm}/uninstall", uninstall),
        web.post(f"{upm}/safe-mode", safe_mode),
        web.get(f"{upm}/log{slash}", audit_log),
    ]
    return listed if not context else [*listed, web.get("/", to_context)]
