"""Who a host is: its client key and its RSA key, made in a thread when first asked for.

Cryptography's import and a 2048-bit key cost some 100 ms together, which the start does not pay.
"""

import asyncio
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class Identity:
    """`client_key` and `kid` are known at once; everything of the key is awaited."""

    def __init__(self, product: str, random: Random, pem: str | None = None) -> None:
        self.client_key = f"{product.capitalize()}:{random.getrandbits(40):012d}"
        self.kid = f"{random.getrandbits(128):032x}"
        self._pem = pem
        self._made: asyncio.Future[RSAPrivateKey] | None = None

    def restore(self, client_key: str, kid: str, pem: str) -> None:
        """Be the host that was saved. Raises ValueError or TypeError where that was none."""
        if not all(isinstance(each, str) for each in (client_key, kid, pem)):
            raise TypeError("client-key, kid and private-key are text")
        _make(pem)
        self.client_key, self.kid, self._pem = client_key, kid, pem

    async def key(self) -> "RSAPrivateKey":
        """The private key; the first call has it made."""
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(_make, self._pem))
        # Shielded: who asks may give up without taking the key from the others.
        return await asyncio.shield(self._made)

    async def public_pem(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = (await self.key()).public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode().strip()

    async def public_base64(self) -> str:
        """The key as Connect payloads have it: without the PEM's first and last line."""
        lines = (await self.public_pem()).splitlines()
        return "".join(lines[1:-1])

    async def private_pem(self) -> str:
        """For `--state`: a host that comes back is the same host."""
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = await self.key()
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    async def close(self) -> None:
        """Wait for a key that is being made: the thread cannot be stopped."""
        if self._made is not None:
            await asyncio.wait([self._made], timeout=5)


def _make(pem: str | None) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if pem is None:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("private-key is no RSA key")
    return key
