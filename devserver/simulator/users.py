"""Who may do what: users, sessions, personal access tokens, CAPTCHA (upm-protocol.md §5). Pure."""

import hmac
from collections import OrderedDict
from dataclasses import dataclass, replace
from enum import IntEnum
from random import Random

SESSIONS = 1000
"""How many sessions are remembered."""

SUDO = 600.0
"""Seconds a secure administrator session lasts."""


class Role(IntEnum):
    USER = 0
    ADMIN = 1
    SYSADMIN = 2


@dataclass(frozen=True, slots=True)
class User:
    name: str
    password: str
    role: Role
    full_name: str = ""


DEFAULT_USERS = (
    User("admin", "admin", Role.SYSADMIN, "Ada Admin"),
    User("manager", "manager", Role.ADMIN, "Manuel Manager"),
    User("user", "user", Role.USER, "Uma User"),
)


@dataclass(frozen=True, slots=True)
class Session:
    user: str
    sudo_until: float = 0.0


@dataclass(frozen=True, slots=True)
class LoggedIn:
    user: User


@dataclass(frozen=True, slots=True)
class WrongPassword:
    pass


@dataclass(frozen=True, slots=True)
class Challenged:
    """Too many failures: a person has to log in in a browser first (§5.4)."""


class Users:
    def __init__(self, users: tuple[User, ...], captcha_after: int, random: Random) -> None:
        self._users = {user.name: user for user in users}
        self._captcha_after = captcha_after
        self._failures: dict[str, int] = {}
        self._random = random
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._basic_sessions: dict[str, str] = {}
        self._personal: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._users)

    def __getitem__(self, name: str) -> User:
        return self._users[name]

    def log_in(
        self, name: str, password: str, *, person: bool = False
    ) -> LoggedIn | WrongPassword | Challenged:
        """Check a password. *person*: on the login page, where the CAPTCHA can be answered."""
        user = self._users.get(name)
        if user and not person and self._failures.get(name, 0) >= self._captcha_after:
            return Challenged()
        expected = user.password if user else ""
        if not hmac.compare_digest(password.encode(), expected.encode()) or user is None:
            if user:
                self._failures[name] = self._failures.get(name, 0) + 1
            return WrongPassword()
        self._failures.pop(name, None)
        return LoggedIn(user)

    def open_session(self, user: str, *, sudo_until: float = 0.0) -> str:
        cookie = f"{self._random.getrandbits(128):032X}"
        self._sessions[cookie] = Session(user, sudo_until)
        while len(self._sessions) > SESSIONS:
            self._sessions.popitem(last=False)
        return cookie

    def basic_session(self, user: str) -> str:
        """The session that requests with a password share: one a user, so they do not pile up."""
        cookie = self._basic_sessions.get(user)
        if cookie is None or cookie not in self._sessions:
            cookie = self._basic_sessions[user] = self.open_session(user)
        return cookie

    def session(self, cookie: str) -> Session | None:
        return self._sessions.get(cookie)

    def raise_session(self, cookie: str, now: float) -> None:
        """Make it a secure administrator session."""
        self._sessions[cookie] = replace(self._sessions[cookie], sudo_until=now + SUDO)

    def close_session(self, cookie: str) -> None:
        self._sessions.pop(cookie, None)

    def new_personal_token(self, user: str) -> str:
        token = f"{self._random.getrandbits(160):040x}"
        self._personal[token] = user
        return token

    def owner_of(self, personal_token: str) -> User | None:
        name = self._personal.get(personal_token)
        return self._users[name] if name else None

    def forget_sessions(self) -> None:
        """After a restart everybody logs in again."""
        self._sessions.clear()
        self._basic_sessions.clear()
        self._failures.clear()
