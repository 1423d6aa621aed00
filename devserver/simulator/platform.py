"""What the product around the UPM answers: status, identity, keys, personal access tokens.

(upm-protocol.md §5.7, §7.1, §7.4)
"""

import html

from aiohttp import web

from devserver.simulator import answers
from devserver.simulator.bodies import content_type, read_json
from devserver.simulator.host import HOST
from devserver.simulator.rest import enter
from devserver.simulator.users import Role


async def status(request: web.Request) -> web.Response:
    state = "STARTING" if request.app[HOST].starting else "RUNNING"
    return answers.document({"state": state}, "application/json")


async def consumer_info(request: web.Request) -> web.Response:
    """Anonymous; the key and public key are those of the callbacks (§7.1)."""
    host = request.app[HOST]
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<consumer>\n'
        f"  <key>{html.escape(host.identity.client_key)}</key>\n"
        f"  <name>{html.escape(host.product.title)}</name>\n"
        f"  <publicKey>{await host.public_key()}</publicKey>\n"
        f"  <description>{html.escape(host.me.description)}</description>\n</consumer>\n"
    )
    return answers.text(200, body, "application/xml")


async def install_key(request: web.Request) -> web.Response:
    """`/keys/{kid}`: what Cloud has at connect-install-keys.atlassian.com (§7.4)."""
    host = request.app[HOST]
    if request.match_info["kid"] != host.identity.kid:
        return answers.empty(404)
    return answers.text(200, await host.identity.public_pem() + "\n", "text/plain")


async def personal_token(request: web.Request) -> web.Response:
    """POST `/rest/pat/latest/tokens`: a token for whoever asks, for themselves."""
    host, caller = enter(request, role=Role.USER, sudo=False)
    if not host.profile.personal_tokens:
        return answers.empty(404)
    if content_type(request) != "application/json":
        return answers.empty(415)
    body = await read_json(request)
    name = body.get("name") if isinstance(body, dict) else None
    raw = host.state.users.new_personal_token(caller.name)
    answer = {"id": 1, "name": name if isinstance(name, str) else "token", "rawToken": raw}
    return answers.document(answer, "application/json", 201)
