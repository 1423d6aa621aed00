"""The JSON that a UPM answers with (upm-protocol.md §2.3, §2.6, §4). Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from devserver.simulator.app import Module
from devserver.simulator.profile import Profile
from devserver.simulator.state import Plugin, State
from devserver.simulator.tasks import Stage, Task

PREFIX = "application/vnd.atl.plugins"
TASK_ERROR = f"{PREFIX}.task.error+json"
ERROR = f"{PREFIX}.error+json"
PLAIN = f"{PREFIX}+json"
PLUGIN = f"{PREFIX}.plugin+json"
MODULE = f"{PREFIX}.plugin.module+json"
INSTALLED = f"{PREFIX}.installed+json"
SAFE_MODE = f"{PREFIX}.safe.mode.flag+json"
PENDING = f"{PREFIX}.pending-tasks+json"

API = "/rest/plugins/1.0"

Json = dict[str, Any]


def plugin_path(context: str, key: str) -> str:
    return f"{context}{API}/{quote(key, safe='')}-key"


def task(each: Task, profile: Profile, context: str) -> Json:
    """The legacy task (§2.3): keys in the order a host sends them, nulls left out."""
    document: Json = {"type": profile.task_type}
    if profile.pings_when_done or not each.done:
        document["pingAfter"] = profile.ping_after_ms
    status: Json = {
        "done": each.done,
        "statusCode": 200,
        "contentType": each.stage.media_type,
    }
    if each.refusal:
        # Some client takes a failure without subCode for a running task, so there always is one.
        status["subCode"] = each.refusal.sub_code
        if profile.failure_text:
            status["errorMessage"] = each.refusal.message
        status["source"] = each.source
    else:
        status["source"] = status["name"] = each.name
        if not each.done and profile.task_id:
            status["amountDownloaded"] = each.percent
            status["totalSize"] = 100
    document["status"] = status
    document["links"] = {
        "self": f"{context}{API}/pending/{each.id}",
        "alternate": f"{context}{API}/tasks/{each.id}",
    }
    document["timestamp"] = int(each.started * 1000)
    document[profile.task_user] = each.user
    if profile.task_id:
        document["id"] = each.id
    return document


def new_task(each: Task, profile: Profile, context: str, *, for_admin: bool) -> Json:
    """The task of `/tasks/{id}` (§2.6)."""
    links = {"self": f"{context}{API}/tasks/{each.id}"}
    if each.key is not None:
        links["result"] = plugin_path(context, each.key)
    progress = 1.0 if each.done else 0.2 if each.stage is Stage.DOWNLOADING else 0.7
    document: Json = {
        "links": links,
        "done": each.done,
        "type": profile.task_type,
        "progress": progress,
        "pollDelay": profile.ping_after_ms,
        "timestamp": int(each.started * 1000),
    }
    if each.refusal:
        document["error"] = {"code": each.refusal.sub_code, "message": each.refusal.message}
    if for_admin:
        document["userKey" if profile.task_user == "username" else profile.task_user] = each.user
    return document


def summary(plugin: Plugin, context: str, base_url: str) -> Json:
    """An item of the collection (§4.2)."""
    app = plugin.app
    path = plugin_path(context, app.key)
    links: dict[str, str] = {
        "self": path,
        "plugin-summary": f"{path}/summary",
        "modify": path,
        "plugin-icon": f"{path}/media/plugin-icon",
        "plugin-logo": f"{path}/media/plugin-logo",
        "manage": f"{base_url}/plugins/servlet/upm#manage/{path.rpartition('/')[2][:-4]}",
    }
    if plugin.user_installed:
        links["delete"] = path
    if plugin.restart:
        links["change-requiring-restart"] = (
            f"{context}{API}/requires-restart/{quote(app.key, safe='')}-key"
        )
    document: Json = {
        "enabled": plugin.enabled,
        "links": links,
        "name": shown_name(plugin),
        "version": app.version,
        "key": app.key,
        "userInstalled": plugin.user_installed,
        "optional": not plugin.system,
        "static": False,
        "unloadable": True,
        "description": app.description,
        "usesLicensing": app.paid,
        "remotable": app.kind.remote,
    }
    if app.vendor:
        document["vendor"] = {
            "name": app.vendor,
            "marketplaceLink": app.vendor_url,
            "link": app.vendor_url,
        }
    if plugin.restart:
        document["restartState"] = plugin.restart
    document["uninstallable"] = plugin.user_installed
    return document


def shown_name(plugin: Plugin) -> str:
    """The descriptor's name; where that is only the key, the name it was installed by."""
    if plugin.app.name == plugin.app.key and plugin.display_name:
        return plugin.display_name
    return plugin.app.name


def full(plugin: Plugin, context: str, base_url: str) -> Json:
    """The plugin (§4.3)."""
    return {
        **summary(plugin, context, base_url),
        "enabledByDefault": plugin.app.enabled_by_default,
        "unrecognisedModuleTypes": any(not each.recognisable for each in plugin.app.modules),
        "modules": [module(each, plugin, context) for each in plugin.app.modules],
    }


def module(each: Module, plugin: Plugin, context: str) -> Json:
    path = plugin_path(context, plugin.key)
    own = f"{path}/modules/{quote(each.key, safe='')}-key"
    return {
        "key": each.key,
        "completeKey": f"{plugin.key}:{each.key}",
        "links": {"self": own, "modify": own, "plugin": path},
        "enabled": each.enabled and plugin.enabled,
        "optional": True,
        "name": each.name,
        "description": each.description,
        "recognisableType": each.recognisable,
        "broken": False,
    }


def collection_links(state: State, context: str) -> Mapping[str, str]:
    links = {
        "self": f"{context}{API}/",
        "pending-tasks": f"{context}{API}/pending",
        "installed": f"{context}{API}/",
        "marketplace": f"{context}{API}/installed-marketplace",
        "notifications": f"{context}{API}/notifications",
        "requests": f"{context}{API}/requests",
        "audit-log": f"{context}{API}/log/feed",
    }
    if state.safe_mode:
        links["exit-safe-mode-restore"] = f"{context}{API}/safe-mode?keepState=false"
        links["exit-safe-mode-keep"] = f"{context}{API}/safe-mode?keepState=true"
    else:
        links["enter-safe-mode"] = f"{context}{API}/safe-mode"
    return links
