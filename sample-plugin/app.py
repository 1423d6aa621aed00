"""The app behind the descriptor: two pages, and the webhook that a host calls on installation.

Start it with `python app.py`; its pages are at http://localhost:3000/hello and /greet.
"""

import logging
import os
from html import escape

from aiohttp import web

PORT = int(os.environ.get("PORT", "3000"))

routes = web.RouteTableDef()


def page(title: str, text: str) -> web.Response:
    """A page as it stands in the host's frame."""
    heading = escape(title)
    html = (
        f'<!doctype html><html lang="en"><title>{heading}</title><link rel="icon" href="data:,">'
        f"<h1>{heading}</h1><p>{escape(text)}</p>"
    )
    return web.Response(text=html, content_type="text/html")


@routes.get("/")
async def start(_: web.Request) -> web.Response:
    """For whoever opens the app's address in a browser."""
    raise web.HTTPFound("/hello")


@routes.get("/hello")
async def hello(request: web.Request) -> web.Response:
    """The general page; the host says in the query who looks at it."""
    return page("Hello World", f"Hello, {request.query.get('user_id', 'whoever you are')}!")


@routes.get("/greet")
async def greet(_: web.Request) -> web.Response:
    """Where the web item leads."""
    return page("Greetings", "You came by the web item.")


@routes.post("/installed")
async def installed(request: web.Request) -> web.Response:
    """The webhook: the host says who it is. A real app checks the signature first."""
    try:
        payload = await request.json()
        host = payload["baseUrl"]
    except (ValueError, KeyError, TypeError) as exc:
        raise web.HTTPBadRequest(text="this is no remote_plugin_installed") from exc
    logging.info("installed on %s", host)
    return web.Response(status=204)


def app() -> web.Application:
    """The app with its routes."""
    made = web.Application()
    made.add_routes(routes)
    return made


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    web.run_app(app(), host="localhost", port=PORT, print=None, access_log=None)
