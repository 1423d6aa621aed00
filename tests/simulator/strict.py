"""An app that checks who calls it as the documents say; oauthlib and PyJWT do it, not our code."""

import hashlib
import json
import time
from dataclasses import dataclass, field
from urllib.parse import quote

import jwt
from aiohttp import web
from oauthlib.oauth1.rfc5849 import signature as oauth


@dataclass
class Strict:
    """What such an app knows of the one host it trusts."""

    url: str = ""
    client_key: str = ""
    public_key: str = ""
    secret: str = ""
    nonces: set[str] = field(default_factory=set)

    def accepts(self, request: web.Request, body: bytes) -> bool:
        if json.loads(body)["clientKey"] != self.client_key:
            return False
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme == "OAuth":
            return self._oauth(request)
        return scheme == "JWT" and self._jwt(request, value)

    def _oauth(self, request: web.Request) -> bool:
        signed = oauth.collect_parameters(
            uri_query=request.rel_url.raw_query_string,
            headers={"Authorization": request.headers["Authorization"]},
            exclude_oauth_signature=False,
        )
        parameters = dict(signed)
        found = Signed(f"{self.url}{request.rel_url}", "POST", signed)
        if not oauth.verify_rsa_sha1(found, self.public_key):
            return False
        fresh = abs(time.time() - int(parameters["oauth_timestamp"])) < 300
        new = parameters["oauth_nonce"] not in self.nonces
        self.nonces.add(parameters["oauth_nonce"])
        return fresh and new and parameters["oauth_consumer_key"] == self.client_key

    def _jwt(self, request: web.Request, token: str) -> bool:
        rs256 = request.path in ("/installed", "/uninstalled")
        query = "&".join(
            f"{quote(name, safe='~')}={quote(value, safe='~')}"
            for name, value in sorted(request.query.items())
        )
        expected = hashlib.sha256(f"POST&{request.path}&{query}".encode()).hexdigest()
        try:
            claims = jwt.decode(
                token,
                self.public_key if rs256 else self.secret,
                algorithms=["RS256" if rs256 else "HS256"],
                audience=self.url if rs256 else None,
            )
        except jwt.InvalidTokenError:
            return False
        return (claims["iss"], claims["qsh"]) == (self.client_key, expected)


class Signed:
    """A request as oauthlib's verification reads one."""

    def __init__(self, uri: str, method: str, parameters: list[tuple[str, str]]) -> None:
        self.uri = uri
        self.http_method = method
        self.params = [each for each in parameters if each[0] != "oauth_signature"]
        self.signature = dict(parameters)["oauth_signature"]
