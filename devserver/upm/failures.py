"""Exceptions of the network, as trouble and words that a user can do something with. Pure."""

import errno
import ssl

import aiohttp

from devserver.upm.causes import Trouble

_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EACCES, errno.EPERM)
"""What a machine that is away, a missing route and a firewall make of a connection."""


def of_request(error: Exception) -> Trouble:
    """Which kind of trouble a request failed with; the order matters, these classes inherit."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return Trouble.CERTIFICATE
        case aiohttp.ClientSSLError():
            return Trouble.TLS
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return Trouble.PROXY
        case aiohttp.ClientConnectorDNSError():
            return Trouble.DNS
        case aiohttp.ConnectionTimeoutError():
            return Trouble.UNREACHABLE
        case TimeoutError():
            return Trouble.TIMEOUT
        case aiohttp.ClientConnectorError():
            return _unconnected(error.os_error)
        case aiohttp.ClientPayloadError():
            return Trouble.CUT
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return Trouble.RESET
        case _:
            return Trouble.NOT_HTTP


def of_connecting(error: OSError, *, tls: bool) -> Trouble:
    """The same for a connection of our own: TCP alone, or with *tls* on top of it."""
    match error:
        case ssl.SSLCertVerificationError():
            return Trouble.CERTIFICATE
        case _ if tls:
            return Trouble.TLS
        case TimeoutError():
            return Trouble.UNREACHABLE
        case _:
            return _unconnected(error)


def _unconnected(error: OSError) -> Trouble:
    """Whether nothing listens there, or there is no way to it."""
    return Trouble.UNREACHABLE if error.errno in _NO_WAY else Trouble.REFUSED


def words(error: Exception) -> str:
    """What an exception says of the world, without aiohttp's own words around it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return str(error.certificate_error)
        case aiohttp.ClientConnectorError():
            return error.os_error.strerror or str(error.os_error)
        case aiohttp.ClientHttpProxyError():
            return f"{error.status} {error.message}"
        case aiohttp.ClientResponseError():
            return error.message
        case TimeoutError():
            return "no answer"
        case OSError():
            return error.strerror or str(error)
        case _:
            return str(error)
