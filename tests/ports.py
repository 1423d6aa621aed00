"""Ports for what a test starts later."""

import random

from devserver.errors import PortInUse
from devserver.web.listen import open_sockets

BELOW_THE_SYSTEMS = range(20_000, 32_000)
"""The system gives others to whoever asks for any: what is free here is not taken meanwhile."""


def free_port() -> int:
    """One that nobody listens on, at neither loopback address."""
    while True:
        port = random.choice(BELOW_THE_SYSTEMS)
        try:
            sockets = open_sockets(None, port)
        except PortInUse:
            continue
        for each in sockets:
            each.close()
        return port
