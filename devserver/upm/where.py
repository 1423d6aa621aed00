"""How targets reach us. Pure."""

from dataclasses import dataclass

from devserver.model import Descriptor


@dataclass(frozen=True, slots=True)
class Where:
    """Our public address; *ours* are further ones that lead here (`http://localhost:8000`)."""

    public_url: str
    ours: tuple[str, ...] = ()

    def descriptor(self, target: str, descriptor: Descriptor) -> str:
        """The address that hands *target* exactly these bytes (DESIGN §2)."""
        base = f"{self.public_url.rstrip('/')}/{descriptor.file_name}"
        return f"{base}?target={target}&rev={descriptor.digest}"

    def is_ours(self, base_url: str | None) -> bool:
        """Whether callbacks to *base_url* reach us."""
        wanted = (base_url or "").rstrip("/") + "/"
        return any(
            wanted.startswith(each.rstrip("/") + "/") for each in (self.public_url, *self.ours)
        )
