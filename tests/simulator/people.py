"""The people of these tests: an app, and somebody who talks to a host over HTTP."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from devserver.simulator import SimulatedHost

API = "/rest/plugins/1.0/"
URI_TYPE = "application/vnd.atl.plugins.install.uri+json"
PLUGIN_TYPE = "application/vnd.atl.plugins.plugin+json"

REMOTE_XML = """<?xml version="1.0" encoding="UTF-8"?>
<atlassian-plugin key="com.example.hello" name="Hello World" plugins-version="2">
  <plugin-info>
    <description>Says hello.</description>
    <version>{version}</version>
    <vendor name="Example" url="https://example.com"/>
  </plugin-info>
  <remote-plugin-container key="container" display-url="{base}"/>
  <general-page key="hello" name="Hello" url="/hello?x=1"/>
  <webhook key="installed" event="remote_plugin_installed" url="/installed"/>
  <webhook key="enabled" event="remote_plugin_enabled" url="/enabled"/>
  <webhook key="disabled" event="remote_plugin_disabled" url="/disabled"/>
  <webhook key="issue" event="jira:issue_created" url="/issue?a=b%20c"/>
</atlassian-plugin>
"""

PLAIN_XML = """<atlassian-plugin key="com.example.plain" name="Plain" plugins-version="2">
  <plugin-info><version>{version}</version><vendor name="E" url="https://e"/></plugin-info>
  <web-item key="item" section="s"><label>L</label><link>/l</link></web-item>
</atlassian-plugin>
"""


def connect_json(base: str, version: str = "1.0", **more: Any) -> str:
    document = {
        "key": "com.example.connect",
        "name": "Connected",
        "baseUrl": base,
        "version": version,
        "authentication": {"type": "jwt"},
        "lifecycle": {
            "installed": "/installed",
            "enabled": "/enabled",
            "disabled": "/disabled",
            "uninstalled": "/uninstalled",
        },
        "modules": {
            "generalPages": [{"key": "hello", "name": {"value": "Hello"}, "url": "/hello?x={y}"}],
            "webhooks": [{"event": "jira:issue_created", "url": "/issue"}],
        },
        **more,
    }
    return json.dumps(document)


@dataclass
class Received:
    """A request that the app got."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class App:
    """What an app is to a host: a descriptor at a URL, and callbacks that are answered."""

    url: str = ""
    body: bytes = b""
    media_type: str = "application/xml"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    callback_status: int = 204
    received: list[Received] = field(default_factory=list)
    fetched: list[Received] = field(default_factory=list)

    @property
    def descriptor(self) -> str:
        name = "atlassian-connect.json" if "json" in self.media_type else "atlassian-plugin.xml"
        return f"{self.url}/{name}"

    def serve_xml(self, version: str = "1.0", template: str = REMOTE_XML) -> None:
        self.body = template.format(base=self.url, version=version).encode()
        self.media_type = "application/xml; charset=UTF-8"

    def serve_json(self, version: str = "1.0", **more: Any) -> None:
        self.body = connect_json(self.url, version, **more).encode()
        self.media_type = "application/json"

    def paths(self) -> list[str]:
        return [each.path for each in self.received]


@dataclass
class Answer:
    status: int
    headers: Any
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def type(self) -> str:
        value: str = self.headers.get("Content-Type", "")
        return value


class Client:
    """Somebody who talks to a host over HTTP."""

    def __init__(self, host: SimulatedHost, session: aiohttp.ClientSession, user: str) -> None:
        self.host = host
        self._session = session
        self._auth = {"Authorization": aiohttp.encode_basic_auth(user, user)} if user else {}

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: Any = None,
        json: Any = None,
        skip: tuple[str, ...] = (),
    ) -> Answer:
        """*path* is a URL, or is below the base URL, or below the API where it has no slash."""
        if path.startswith("http"):
            url = path
        elif path.startswith("/"):
            url = f"{self.host.url}{path}"
        else:
            url = f"{self.host.url}{API}{path}"
        async with self._session.request(
            method,
            URL(url, encoded=True),
            headers={**self._auth, **(headers or {})},
            data=data,
            json=json,
            allow_redirects=False,
            skip_auto_headers=skip,
        ) as response:
            text = (await response.read()).decode("utf-8", "replace")
            return Answer(response.status, response.headers, text)

    async def token(self) -> str:
        answer = await self("HEAD", "")
        token: str = answer.headers["upm-token"]
        return token

    async def post(self, uri: str, *, token: str | None = None, **headers: str) -> Answer:
        """POST an install; a fresh token unless one is given."""
        token = await self.token() if token is None else token
        return await self(
            "POST",
            f"?token={token}",
            json={"pluginUri": uri},
            headers={"Content-Type": URI_TYPE, **headers},
        )

    async def finish(self, accepted: Answer, *, within: float = 5.0) -> Answer:
        """Poll until the task is done; the last answer."""
        assert accepted.status == 202, (accepted.status, accepted.text)
        async with asyncio.timeout(within):
            while True:
                answer = await self("GET", accepted.headers["Location"])
                if answer.status != 200 or answer.json["status"]["done"]:
                    return answer
                await asyncio.sleep(0.005)

    async def install(self, uri: str) -> Answer:
        return await self.finish(await self.post(uri))

    async def refused(self, uri: str) -> str:
        """The subCode that installing *uri* ends with."""
        answer = await self.install(uri)
        assert answer.status == 200, (answer.status, answer.headers)
        assert answer.type == "application/vnd.atl.plugins.task.install.err+json;charset=UTF-8"
        code: str = answer.json["status"]["subCode"]
        return code

    async def upload(self, data: bytes, name: str = "app.jar", **headers: str) -> Answer:
        form = aiohttp.FormData()
        form.add_field("plugin", data, filename=name, content_type="application/octet-stream")
        return await self(
            "POST",
            f"?token={await self.token()}",
            data=form,
            headers={"X-Atlassian-Token": "no-check", "Accept": "application/json", **headers},
        )


def unwrap(text: str) -> Any:
    """The JSON in a `<textarea>`."""
    found = re.fullmatch(r"<textarea>(.*)</textarea>", text, re.DOTALL)
    assert found, text
    return json.loads(found[1])
