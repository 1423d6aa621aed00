"""A refused installation, as a value: what the task will say (upm-protocol.md §2.7, §6.4)."""

from dataclasses import dataclass

INSTALL = "upm.pluginInstall.error."
CONNECT = "connect.install.error."


@dataclass(frozen=True, slots=True)
class Refusal:
    """`sub_code` is always there; `message` is what an administrator would read."""

    sub_code: str
    message: str


def install(code: str, message: str) -> Refusal:
    return Refusal(INSTALL + code, message)


def connect(code: str, message: str) -> Refusal:
    return Refusal(CONNECT + code, message)
