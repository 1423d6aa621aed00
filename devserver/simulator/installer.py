"""`rest/remotable-plugins/latest`: installing from before UPM could (upm-protocol.md §7.1)."""

from aiohttp import web

from devserver.simulator import answers
from devserver.simulator.bodies import read_form
from devserver.simulator.fetch import unfit
from devserver.simulator.installs import Job
from devserver.simulator.rest import enter
from devserver.simulator.tasks import Stage
from devserver.simulator.users import Role


async def install(request: web.Request) -> web.Response:
    """POST `installer` with the form field `url`: 200 without a body, or 400 with a sentence."""
    host, caller = enter(request, role=Role.SYSADMIN, refusal=403)
    if not host.profile.installer:
        return answers.empty(404)
    url = (await read_form(request)).get("url")
    if not isinstance(url, str) or unfit(url):
        return answers.text(400, "Field 'url' is required and has to be an absolute http URL.")
    task = host.state.accept(
        user=caller.name, source=url, name=url, stage=Stage.DOWNLOADING, now=host.now()
    )
    await host.run_now(Job(task=task, uri=url), caller)
    ended = host.state.tasks.get(task.id, host.now())
    host.state.tasks.forget(task.id)
    if ended is None or ended.refusal:
        why = ended.refusal.message if ended and ended.refusal else "The host was restarted."
        return answers.text(400, why)
    return answers.empty(200)


async def uninstall(request: web.Request) -> web.Response:
    """DELETE `uninstaller/{key}`: 204."""
    host, caller = enter(request, role=Role.SYSADMIN, refusal=403)
    key = request.match_info["key"]
    plugin = host.state.plugins.get(key)
    if not host.profile.installer or plugin is None or not plugin.app.kind.remote:
        return answers.empty(404)
    host.lifecycle.uninstall(key, caller.name)
    host.changed()
    return answers.empty(204)


def routes(context: str) -> list[web.RouteDef]:
    base = context + r"/rest/{api:remotable-plugins|atlassian-connect}/{version:1|latest}"
    return [
        web.post(f"{base}/installer{{slash:/?}}", install),
        web.delete(f"{base}/uninstaller/{{key}}{{slash:/?}}", uninstall),
    ]
