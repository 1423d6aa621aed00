"""Why an attempt failed, with what we alone know: whether the target fetched the descriptor. Pure.

Four failures, four messages: not accepted; accepted and nobody came; fetched and refused;
installed and no callback.
"""

import json
from urllib.parse import urlsplit

from devserver.addresses import is_loopback
from devserver.errors import NotConfirmed, TargetError, TargetUnavailable
from devserver.interfaces import Reached
from devserver.model import Descriptor, Kind
from devserver.upm.answers import Plugin
from devserver.upm.attempt import Attempt

DOCKER_BRIDGE = "172.17.0.1"
"""What Docker gives its bridge, unless it was told otherwise."""
NOBODY_CAME = "TASK-NOBODY-CAME"
FETCHED_REFUSED = "TASK-FETCHED-FAILED"
NO_CALLBACK = "NO-CALLBACK"
FETCH_FAILED = "TASK-FETCH-FAILED"


def refused(attempt: Attempt, error: TargetError, uri: str, reached: Reached) -> TargetError:
    """*error*, with which a task ended, told with what we saw of it, and where we are *reached*."""
    if error.code != FETCH_FAILED:
        if attempt.fetched is not None:
            taken = f"after it fetched {attempt.revision} ({attempt.descriptor.digest[:8]}) from us"
            return type(error)(f"{error.reason}, {taken}", remedy=error.remedy, code=error.code)
        return error
    came = attempt.fetched is not None
    return not_fetched(uri.partition("?")[0], uri, reached, came=came)


def not_fetched(what: str, uri: str, reached: Reached, *, came: bool) -> TargetUnavailable:
    """Why a target says that it could not fetch *what* from *uri*, by whether it *came* for it."""
    if came:
        return TargetUnavailable(
            f"the target fetched {what} and then said that it could not",
            remedy="something between it and upm-dev may cut or change the answer; tried again",
            code=FETCHED_REFUSED,
        )
    return TargetUnavailable(
        f"the task ended in response.exception and nobody fetched {what}",
        remedy=f"the target cannot reach this address{address_hint(uri, reached)}",
        code=NOBODY_CAME,
    )


def unconfirmed(attempt: Attempt, limit: float, reached: Reached) -> NotConfirmed:
    """Why an installed revision is not confirmed, *limit* seconds after it was installed."""
    spec = attempt.descriptor.confirming
    event = spec.event if spec else "callback"
    base = attempt.descriptor.base_url or ""
    place = f"{base.rstrip('/')}{spec.path}" if spec else base
    if attempt.fetched is None:
        return NotConfirmed(
            f"UPM lists it, but the target never fetched {attempt.revision} from us",
            remedy="something between the target and upm-dev answers in our place, or keeps copies",
            code="NOT-FETCHED",
        )
    if attempt.doubted:
        remedy = "compare the target's URL with the one it calls itself, and the clocks of both"
        if attempt.spoilt:
            remedy = (
                "what stands between the target and upm-dev has to pass requests on as they are;"
                " the dashboard shows what was signed"
            )
        elif attempt.unverifiable and _leaves_unsigned(attempt.descriptor):
            remedy = (
                'write "apiMigrations": {"signed-install": true} in the descriptor: the host then'
                " signs this call too"
            )
        return NotConfirmed(
            f"installed, but the {event} callback that came is not proved: {attempt.doubted}",
            remedy=remedy,
            code="CALLBACK-NOT-GENUINE",
        )
    return NotConfirmed(
        f"installed, but no {event} callback came to {place} within {limit:g} s",
        remedy=f"the target has to reach that address{address_hint(place, reached)}",
        code=NO_CALLBACK,
    )


def _leaves_unsigned(descriptor: Descriptor) -> bool:
    """Whether a Connect host is not asked to sign its first call with its own key."""
    if descriptor.kind is not Kind.CONNECT_JSON:
        return False
    migrations = json.loads(descriptor.body).get("apiMigrations")
    return not isinstance(migrations, dict) or migrations.get("signed-install") is not True


def forgotten(target: str) -> TargetUnavailable:
    """The target knows the task no more, and does not list what it was to install."""
    return TargetUnavailable(
        f"{target} has forgotten the installation: it was restarted",
        remedy="it is registered again",
        code="TASK-FORGOTTEN",
    )


def deaf(target: str, descriptor: Descriptor) -> tuple[str, str]:
    """Message and remedy where the callbacks of *descriptor* go to somebody else."""
    return (
        f"callbacks of {target} go to {descriptor.base_url}, which is not upm-dev: they prove "
        "nothing here",
        "write {{ base_url }} in the descriptor",
    )


def vanished(target: str, there: Descriptor) -> tuple[str, str, str]:
    """Code, reason and remedy where our app is gone."""
    reason = f"{target} no longer lists {there.key}: it was removed there, or the host began anew"
    return "DRIFT-GONE", reason, "it is registered again"


def replaced(target: str, there: Descriptor, plugin: Plugin) -> tuple[str, str, str]:
    """Code, reason and remedy where somebody installed another version of our app."""
    whose = f" of {plugin.vendor}" if plugin.vendor else ""
    reason = (
        f"{target} lists {plugin.key} {plugin.version}{whose} in place of our {there.version}: "
        "somebody else installed it"
    )
    return "DRIFT-REPLACED", reason, "press y (--take-over) to install ours again"


def address_hint(uri: str, reached: Reached) -> str:
    """What to try where *uri* means this machine alone: Docker and virtual machines do not.

    *reached*: the addresses that were found for it.
    """
    parts = urlsplit(uri)
    host = parts.hostname or ""
    if not (is_loopback(host) or host == "localhost" or host.endswith(".localhost")):
        return f": open {parts.scheme}://{parts.netloc}/ from there"
    port = parts.port or 80
    outward = _flags(reached.outward, port) if reached.outward else ""
    if reached.far:
        use = outward or "--host and --public-url with this machine's address on its network"
        return f", which is itself there: it is another machine, so use {use}"
    bridge = _flags(reached.bridge or DOCKER_BRIDGE, port)
    return (
        f"; if it runs in Docker, use {bridge} (Linux) or "
        f"--public-url http://host.docker.internal:{port} (Docker Desktop); in a virtual machine, "
        + (outward or "the address of this machine on its network")
    )


def _flags(address: str, port: int) -> str:
    return f"--host {address} --public-url http://{address}:{port}"
