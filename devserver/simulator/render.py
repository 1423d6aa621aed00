"""Renders the administrator's pages: Jinja2 with autoescape, no script, a strict policy.

Whatever an app declares is hostile text here: a name, a vendor's URL, a description.
"""

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from aiohttp import web

from devserver import shipped
from devserver.simulator import representations
from devserver.simulator.app import Module
from devserver.simulator.gates import Caller
from devserver.simulator.host import SimulatedHost
from devserver.simulator.state import Plugin
from devserver.simulator.users import Role

if TYPE_CHECKING:
    from jinja2 import Environment

HERE = ("web", "simulator")
NOT_PAGES = frozenset({"webhook", "web-hook", "webhooks", "remote-plugin-container"})


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(shipped.folder(*HERE)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["moment"] = _moment
    made.tests["web"] = is_web
    made.filters["web"] = is_web
    made.globals["name_of"] = representations.shown_name
    made.globals["opens"] = opens
    return made


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def is_web(url: str | None) -> bool:
    """Whether it is safe as a link: a scheme of `javascript:` is not."""
    try:
        return urlsplit(url or "").scheme in ("http", "https")
    except ValueError:
        return False


def opens(plugin: Plugin, module: Module) -> bool:
    """Whether a module is a page or panel that can be shown."""
    return plugin.app.kind.remote and module.url is not None and module.type not in NOT_PAGES


def page_path(context: str, plugin: Plugin, module: Module) -> str:
    return f"{context}/plugins/servlet/ac/{quote(plugin.key, safe='')}/{quote(module.key, safe='')}"


def app_pages(host: SimulatedHost) -> list[dict[str, str]]:
    """The general pages of enabled apps: what the header links to."""
    return [
        {
            "href": page_path(host.context, plugin, module),
            "name": module.name,
            "app": plugin.app.name,
        }
        for plugin in host.state.plugins.values()
        if plugin.enabled
        for module in plugin.app.modules
        if module.enabled and module.type in ("general-page", "generalPages")
        if opens(plugin, module)
    ]


def page(
    host: SimulatedHost,
    caller: Caller,
    template: str,
    *,
    title: str,
    status: int = 200,
    frame: str = "",
    **values: Any,
) -> web.Response:
    """A page. *frame* is the one origin that it may show inside."""
    body = (
        _environment()
        .get_template(template)
        .render(
            {
                "title": title,
                "base": host.context,
                "upm": f"{host.context}/plugins/servlet/upm",
                "product": host.product,
                "profile": host.profile,
                "version": host.version[0],
                "user": caller.user,
                "is_admin": caller.may(Role.ADMIN),
                "is_sysadmin": caller.may(Role.SYSADMIN),
                "form_token": host.form_token,
                "safe_mode": host.state.safe_mode,
                "private_listings": host.state.settings.private_listings,
                "pages": app_pages(host) if caller.user else [],
                "page_of": lambda plugin, module: page_path(host.context, plugin, module),
                "here": "",
                "refresh": "",
                "dialog": "",
                "admin_area": False,
                "area": "",
                **values,
            }
        )
    )
    frames = frame if frame else "'none'"
    return web.Response(
        status=status,
        body=body.encode("utf-8", "replace"),
        headers={
            "Content-Type": "text/html;charset=UTF-8",
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Frame-Options": "DENY",
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self';"
            f" frame-src {frames}; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        },
    )


def problem(host: SimulatedHost, caller: Caller, status: int, title: str, why: str) -> web.Response:
    return page(host, caller, "problem.html", title=title, status=status, message=why)


async def style(request: web.Request) -> web.Response:
    return web.Response(
        body=(shipped.folder(*HERE) / "style.css").read_bytes(),
        headers={"Content-Type": "text/css"},
    )
