"""Where the templates are that we ship: inside the package of a wheel, beside it in a checkout."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(*names: str) -> Path:
    """The folder of that name below `templates`: `folder("web", "dashboard")`."""
    inside = _PACKAGE.joinpath("templates", *names)
    return inside if inside.is_dir() else _PACKAGE.parent.joinpath("templates", *names)
