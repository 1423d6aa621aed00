"""A keyring that is a file, as a keyring's backend would be."""

from pathlib import Path

BACKEND = """
import json, os
from pathlib import Path
_file = Path(os.environ["KEYRING_FILE"])
def _read():
    if "KEYRING_LOCKED" in os.environ:
        from keyring.errors import KeyringError
        raise KeyringError("the collection is locked")
    return json.loads(_file.read_text()) if _file.exists() else {}
def get_keyring(): return object()
def get_password(service, user): return _read().get(service + "|" + user)
def set_password(service, user, secret):
    _file.write_text(json.dumps({**_read(), service + "|" + user: secret}))
def delete_password(service, user):
    kept = _read(); kept.pop(service + "|" + user); _file.write_text(json.dumps(kept))
"""


def keyring_in(folder: Path) -> dict[str, str]:
    """The environment in which such a keyring is there; it keeps its secrets in keys.json."""
    package = folder / "packages" / "keyring"
    (package / "backends").mkdir(parents=True)
    (package / "__init__.py").write_text(BACKEND)
    (package / "backends" / "__init__.py").write_text("")
    (package / "backends" / "fail.py").write_text("class Keyring: pass\n")
    (package / "errors.py").write_text("class KeyringError(Exception): pass\n")
    return {"PYTHONPATH": str(package.parent), "KEYRING_FILE": str(folder / "keys.json")}
