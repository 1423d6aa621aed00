"""The UPM of one target: token, install, poll, look up, uninstall (upm-protocol.md §11).

Raises TargetUnavailable, CredentialsRejected and TargetRefused, nothing else; `AnswerLost`, a kind
of the first, where a request may have been carried out although its answer never came whole.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from devserver.addresses import origin
from devserver.credentials import Credentials, found
from devserver.errors import CredentialsRejected, TargetError, TargetUnavailable
from devserver.model import Target
from devserver.upm import answers, known
from devserver.upm.answers import (
    ROOT,
    Forgotten,
    Identity,
    Installed,
    Outcome,
    Plugin,
    Task,
)
from devserver.upm.causes import Call, Refusal, Trouble
from devserver.upm.restraint import Restraint
from devserver.upm.wire import REQUEST_LIMIT, Answer, AnswerLost, Wire

if TYPE_CHECKING:
    import aiohttp

    from devserver.descriptor.patch import Pieces

PLUGINS = "application/vnd.atl.plugins."
UPLOAD_LIMIT = 300.0
"""Seconds that a JAR may take to get through."""
INSTALL_TYPES = (f"{PLUGINS}install.uri+json", f"{PLUGINS}remote.install+json")
"""In the order they are tried: hosts without Connect know only the first, few only the second."""
TOKEN_TRIES = 3
"""Confluence in development mode was seen to forget the header once (upm-protocol.md §1)."""
INVALID_TOKEN = "upm.error.invalid.token"


class Upm:
    """One target's UPM, spoken to over *session* (from `wire.connections`).

    `limit` is in seconds, for each request; `restraint` is shared with others at the same origin.
    """

    def __init__(
        self,
        session: "aiohttp.ClientSession",
        target: Target,
        credentials: Credentials,
        *,
        limit: float = REQUEST_LIMIT,
        restraint: Restraint | None = None,
    ) -> None:
        self.target = target
        self.wire = Wire(session, target, credentials, limit=limit, restraint=restraint)
        self._install_type = INSTALL_TYPES[0]

    @property
    def url(self) -> str:
        return self.target.url

    @property
    def credentials(self) -> Credentials:
        return self.wire.credentials

    @credentials.setter
    def credentials(self, credentials: Credentials) -> None:
        self.wire.credentials = credentials

    @property
    def rejected(self) -> CredentialsRejected | None:
        """Why nothing is sent any more: the target rejects our credentials, or we have none."""
        try:
            return self.wire.restraint.rejected(self.credentials.header())
        except CredentialsRejected as error:
            return error

    def insist(self) -> None:
        """Try rejected credentials once more: the user asks."""
        with suppress(CredentialsRejected):  # there are none: nothing to insist on
            self.wire.restraint.insist(self.credentials.header())

    async def token(self, *, warm: bool = False, limit: float | None = None) -> str:
        """A token for the next POST: bound to the user, good for one POST within five minutes.

        By GET, which fails just as the POST would. *warm* asks by HEAD, which is cheaper but exempt
        from web sudo, so it can succeed where the POST will not (upm-protocol.md §1).
        """
        for _ in range(TOKEN_TRIES):
            answer = await self.wire.ask(
                Call.TOKEN,
                "HEAD" if warm else "GET",
                f"{ROOT}/",
                query=self._challenge(),
                headers={"Accept": f"{PLUGINS}installed+json"},
                limit=limit,
            )
            token = answer.headers.get("upm-token")
            if answer.status == 200 and token:
                return token
            if warm and answer.status == 403 and not _login_denied(answer):
                return await self.token(limit=limit)  # a HEAD has no body to say why
            if answer.status != 200 or answer.is_html:
                raise self.wire.refused(answer)
            if not warm and "plugins" not in self._document(answer):
                raise self._not_ours(answer)
        raise self.trouble(Call.TOKEN, Trouble.NO_TOKEN)

    async def install(self, uri: str, token: str, name: str | None = None) -> Task:
        """Have the target fetch and install what *uri* serves; returns once it has accepted.

        A token that somebody else used up is asked anew, once; a host that does not know the media
        type is asked with the other one (upm-protocol.md §2.1).
        """
        body = {"pluginUri": uri} | ({"pluginName": name} if name else {})
        data = json.dumps(body).encode()
        renewed = False
        types = iter([self._install_type, *(t for t in INSTALL_TYPES if t != self._install_type)])
        media_type = next(types)
        while True:
            answer = await self.wire.ask(
                Call.INSTALL,
                "POST",
                f"{ROOT}/",
                query={"token": token},
                headers={"Content-Type": media_type, "Accept": "*/*"},
                data=data,
            )
            if answer.status in (200, 202) and (task := self._accepted(answer)):
                self._install_type = media_type
                return task
            if _invalid_token(answer) and not renewed:
                renewed = True
            elif answer.status != 415 or not (media_type := next(types, "")):
                raise self._not_installed(answer, uri)
            token = await self.token()

    def _not_installed(self, answer: Answer, uri: str) -> TargetError:
        """Why a POST was not accepted; after a 5xx it may have been, behind a proxy say."""
        error = self.wire.refused(answer, uri=uri)
        if answer.status < 500 or not isinstance(error, TargetUnavailable):
            return error
        return AnswerLost(
            error.reason, remedy=error.remedy, code=error.code, retry_after=error.retry_after
        )

    async def upload(self, jar: "bytes | Pieces", file_name: str, token: str) -> Task:
        """Send *jar* to be installed (upm-protocol.md §3); returns once the target has accepted."""
        from devserver.upm import form

        renewed = False
        while True:
            answer = await self.wire.ask(
                Call.UPLOAD,
                "POST",
                f"{ROOT}/",
                query={"token": token},
                headers={"Accept": "application/json"},
                data=form.upload(jar, file_name),
                limit=UPLOAD_LIMIT,
            )
            if answer.status in (200, 202) and (task := self._accepted(answer)):
                return task
            if not _invalid_token(answer) or renewed:
                raise self._not_installed(answer, file_name)
            renewed = True
            token = await self.token()

    async def poll(self, task: Task) -> Outcome:
        """How far *task* is. Its redirect is followed by path, on our own address of the target."""
        answer = await self.wire.ask(
            Call.TASK, "GET", f"{ROOT}/{task.path}", headers={"Accept": "*/*"}
        )
        if answer.status == 404:
            return Forgotten()
        if answer.status in (302, 303):
            path = answers.relative(answer.headers.get("Location", ""))
            if path is None:
                raise self.wire.refused(answer)
            return await self._result(path)
        said = self._document(answer)
        match answers.progress(said):
            case Plugin() as plugin:
                return Installed(plugin)
            case str() as path:
                return await self._result(path)
            case outcome:
                return outcome

    def failure(self, failed: answers.Failed, uri: str, **facts: str) -> TargetError:
        """Why a task ended badly (upm-protocol.md §2.7)."""
        refusal = Refusal(
            call=Call.OUTCOME, sub_code=failed.sub_code, text=failed.message or failed.sub_code
        )
        error = self.wire.explained(refusal, uri=uri, **facts)
        self.wire.restraint.learn(self.credentials.header(), error)
        return error

    def trouble(self, call: Call, trouble: Trouble, **facts: str) -> TargetError:
        """The error for something that only we can see: an older version, an endless task."""
        return self.wire.explained(Refusal(call=call, trouble=trouble), **facts)

    async def pending(self) -> tuple[Task, ...]:
        """The installations that this target is busy with."""
        answer = await self.wire.ask(Call.TASK, "GET", f"{ROOT}/pending", headers={"Accept": "*/*"})
        return () if answer.status == 404 else answers.pending(self._document(answer))

    async def plugin(self, key: str) -> Plugin | None:
        """What the target lists under *key*; None where it has no such app."""
        return await self._plugin(_segment(key))

    async def summary(self, key: str) -> Plugin | None:
        """The same without its modules (upm-protocol.md §4.2); old hosts may not know it."""
        return await self._plugin(f"{_segment(key)}/summary")

    async def settings(self) -> dict[str, bool]:
        """UPM's settings by key; none where a host has no such page (upm-protocol.md §4.5)."""
        answer = await self._get(Call.SETTINGS, "settings", "application/vnd.atl.plugins+json")
        return {} if answer.status == 404 else answers.settings(self._document(answer))

    async def safe_mode(self) -> bool:
        """Whether the host is in safe mode: nothing is installed then (upm-protocol.md §4.5)."""
        answer = await self._get(Call.SETTINGS, "safe-mode", f"{PLUGINS}safe.mode.flag+json")
        return self._document(answer).get("enabled") is True

    async def versions(self) -> answers.Versions:
        """Which UPM and product these are; a version that the host does not tell is None."""
        upm = await self.summary(known.UPM)
        answer = await self._get(Call.SETTINGS, "product-version", "*/*")
        product = answers.version(answer.document) if answer.status == 200 else None
        return answers.Versions(upm=upm.version if upm else None, product=product)

    async def _get(self, call: Call, path: str, accept: str) -> Answer:
        return await self.wire.ask(call, "GET", f"{ROOT}/{path}", headers={"Accept": accept})

    async def plugins(self) -> tuple[Plugin, ...]:
        """Every app the target lists."""
        answer = await self.wire.ask(
            Call.PLUGIN, "GET", f"{ROOT}/", headers={"Accept": f"{PLUGINS}installed+json"}
        )
        return answers.plugins(self._document(answer))

    async def enable(self, key: str, *, enabled: bool = True) -> None:
        """Switch the app on or off (upm-protocol.md §4.4)."""
        answer = await self.wire.ask(
            Call.CHANGE,
            "PUT",
            f"{ROOT}/{_segment(key)}",
            headers={"Content-Type": f"{PLUGINS}plugin+json", "Accept": "*/*"},
            data=json.dumps({"enabled": enabled}).encode(),
        )
        if answer.status != 200:
            raise self.wire.refused(answer, key=key)
        self._document(answer)

    async def uninstall(self, key: str, *, limit: float | None = None) -> None:
        """Take the app away; one that is not there is fine (upm-protocol.md §11.7)."""
        answer = await self.wire.ask(
            Call.UNINSTALL,
            "DELETE",
            f"{ROOT}/{_segment(key)}",
            headers={"Accept": "*/*"},
            limit=limit,
        )
        if answer.status not in (200, 202, 204, 404):
            raise self.wire.refused(answer, key=key)

    async def identity(self, *, limit: float | None = None) -> Identity:
        """Who signs this target's callbacks, by its own `consumer-info` (upm-protocol.md §7.1)."""
        answer = await self.wire.ask(
            Call.IDENTITY,
            "GET",
            "/plugins/servlet/oauth/consumer-info",
            headers={"Accept": "application/xml, */*"},
            anonymous=True,
            limit=limit,
        )
        found = answers.identity(answer.body) if answer.status == 200 and not answer.cut else None
        if found is None:
            raise self._not_ours(answer)
        return found

    async def install_key(self, key_id: str, *, limit: float | None = None) -> str | None:
        """The public key (PEM) that this target signs its installs with under *key_id*.

        Cloud has these keys at an address of its own; a simulated host at `/keys/{kid}`, beside or
        below its context path (upm-protocol.md §7.4, §10.9). None where there is no such key.
        """
        if not re.fullmatch(r"[A-Za-z0-9._~-]{1,200}", key_id) or key_id.strip(".") == "":
            return None
        for at_root in (False, True):
            answer = await self.wire.ask(
                Call.IDENTITY,
                "GET",
                f"/keys/{key_id}",
                headers={"Accept": "*/*"},
                anonymous=True,
                at_root=at_root,
                limit=limit,
            )
            if answer.status == 200 and b"-----BEGIN PUBLIC KEY-----" in answer.body:
                return answer.body.decode("ascii", "replace")
        return None

    def _challenge(self) -> Mapping[str, str]:
        # Forces a 401 in place of an anonymous answer or a redirect to a login form; it would also
        # keep Seraph from looking at a Bearer token.
        basic = self.credentials.header().startswith("Basic ")
        return {"os_authType": "basic"} if basic else {}

    def _accepted(self, answer: Answer) -> Task | None:
        task = answers.task(answer.document, answer.headers.get("Location"))
        if task is None and answer.status == 202:
            # Accepted, but we cannot know as what: whoever asked has to look for it.
            lost = self.trouble(Call.INSTALL, Trouble.CUT)
            raise AnswerLost(lost.reason, remedy=lost.remedy, code=lost.code)
        return task

    async def _result(self, path: str) -> Outcome:
        plugin = await self._plugin(path)
        return Installed(plugin) if plugin else Forgotten()

    async def _plugin(self, path: str) -> Plugin | None:
        answer = await self.wire.ask(
            Call.PLUGIN,
            "GET",
            f"{ROOT}/{path}",
            headers={"Accept": "*/*"},
        )
        if answer.status == 404 and not answer.is_html:
            return None
        plugin = answers.plugin(self._document(answer))
        if plugin is None:
            raise self._not_ours(answer)
        return plugin

    def _document(self, answer: Answer) -> Mapping[str, object]:
        if answer.status != 200:
            raise self.wire.refused(answer)
        if answer.cut:
            raise self.trouble(answer.call, Trouble.CUT)
        if answer.document is None:
            raise self._not_ours(answer)
        return answer.document

    def _not_ours(self, answer: Answer) -> TargetError:
        if answer.cut:
            return self.trouble(answer.call, Trouble.CUT)
        if answer.status != 200 or answer.is_html:
            return self.wire.refused(answer)
        text = answer.body[:400].decode("utf-8", "replace")
        return self.wire.explained(
            Refusal(call=answer.call, status=200, text=text, trouble=Trouble.NOT_UPM)
        )


def upms_of(
    session: "aiohttp.ClientSession",
    targets: Iterable[Target],
    find: Callable[[Target], Credentials],
    *,
    limit: float = REQUEST_LIMIT,
) -> dict[str, Upm]:
    """The UPM of each target by name; a target without credentials says so when it is asked."""
    restraints: defaultdict[str, Restraint] = defaultdict(Restraint)
    return {
        each.name: Upm(
            session, each, found(each, find), limit=limit, restraint=restraints[origin(each.url)]
        )
        for each in targets
    }


def _segment(key: str) -> str:
    """The path segment of a plugin: its key, quoted, and `-key` (upm-protocol.md §4.3)."""
    from urllib.parse import quote

    return f"{quote(key, safe='')}-key"


def _login_denied(answer: Answer) -> bool:
    """Whether it is the login that failed: asking again makes things worse (§5.4)."""
    reason = answer.headers.get("X-Seraph-LoginReason", "OK")
    return "X-Authentication-Denied-Reason" in answer.headers or reason != "OK"


def _invalid_token(answer: Answer) -> bool:
    return answer.status == 403 and (answer.document or {}).get("subCode") == INVALID_TOKEN
