"""Under which addresses this machine is reached from containers and from other machines.

`localhost` means another machine to each of them; what would mean this one is looked up here.
"""

import asyncio
import socket
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

from devserver.addresses import is_this_machine

BRIDGES = ("docker0", "podman0", "cni-podman0")
LOOK_UP_SECONDS = 2.0
_ANYWHERE = "192.0.2.1"
"""An address that is nobody's (RFC 5737): the way there is the way to the network."""


@dataclass(frozen=True, slots=True)
class Reached:
    """This machine as a host elsewhere may call it; None where nothing was found."""

    bridge: str | None = None
    """From containers on this machine."""
    outward: str | None = None
    """From the network, or the machine, that was asked about."""
    far: bool = False
    """What was asked about is another machine: no question of containers or localhost."""


async def found(url: str) -> Reached:
    """`reached`, once the name in *url* is looked up, for as long as a name server may take."""
    if is_this_machine(url):
        return reached(url)
    look_up = asyncio.get_running_loop().getaddrinfo
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            known = await look_up(urlsplit(url).hostname, None, family=socket.AF_INET)
    except (OSError, TimeoutError):  # no such name, IPv6 alone, or nobody who knows
        return Reached(far=True)
    return reached(url, str(known[0][4][0]))


def reached(url: str, address: str = _ANYWHERE) -> Reached:
    """How the host of *url*, which is at *address*, may reach this machine. Sends nothing."""
    far = not is_this_machine(url)
    return Reached(bridge=_bridge(), outward=_outward(address), far=far)


def _bridge() -> str | None:
    """The address of the bridge that containers have to this machine, on Linux."""
    if sys.platform != "linux":
        return None
    import fcntl

    get_address = 0x8915  # SIOCGIFADDR
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for name in BRIDGES:
            try:
                told = fcntl.ioctl(asked, get_address, name.encode().ljust(256, b"\0"))
            except OSError:  # there is no such bridge, or it has no address
                continue
            return socket.inet_ntoa(told[20:24])
    return None


def _outward(there: str) -> str | None:
    """Our own address on the way to *there*: a datagram socket that is connected sends nothing."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
            way.connect((there, 9))
            address: str = way.getsockname()[0]
    except OSError:  # no network
        return None
    return None if address.startswith(("127.", "0.")) else address
