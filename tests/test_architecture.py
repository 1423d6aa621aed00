"""The layout outlives its authors: imports point one way, and cheap commands stay cheap."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import devserver

PACKAGE = Path(devserver.__file__).parent

LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "errors",
            "eventloop",
            "model",
            "redact",
            "addresses",
            "interfaces",
            "colours",
            "files",
            "git",
            "openfiles",
            "shipped",
            "userstate",
            "__init__",
        }
    ),
    frozenset({"descriptor", "events", "settings", "credentials", "trust", "variables"})
    | {"commands", "traffic"},
    frozenset(
        {"sources", "reading", "surroundings", "watch", "publish", "callbacks", "upm", "selfcheck"}
        | {"app", "backend", "datacenter", "deadman", "editor", "probe"}
    ),
    frozenset({"registrar", "renewal", "pipeline", "farewell", "stale"}),
    frozenset({"web", "terminal", "simulator"}),
    frozenset({"companions", "errands", "port", "run"}),
    frozenset({"cli", "__main__"}),
)
"""Lowest first: a part imports from its own layer and from those before it."""

FORBIDDEN = {
    "simulator": {"upm", "callbacks", "registrar", "pipeline"},
    "web": {"pipeline", "registrar", "renewal", "upm"},
    "terminal": {"pipeline", "registrar", "renewal", "upm"},
}
"""Pairs that the layers alone would let pass."""

IO = {"asyncio", "aiohttp", "socket", "subprocess", "watchfiles", "time", "threading", "tempfile"}


def parts() -> list[tuple[str, Path]]:
    """Every module of the package with the name of the part it belongs to."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        relative = file.relative_to(PACKAGE)
        found.append((relative.parts[0].removesuffix(".py"), file))
    return found


def imports(file: Path) -> set[str]:
    """Dotted names of everything *file* imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file} has a relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer(part: str) -> int:
    return next(number for number, names in enumerate(LAYERS) if part in names)


@pytest.mark.parametrize(
    ("part", "file"), parts(), ids=[str(file.relative_to(PACKAGE)) for _, file in parts()]
)
def test_imports_point_one_way(part: str, file: Path) -> None:
    """A module imports only from its own layer and the ones below."""
    known = set().union(*LAYERS)
    assert part in known, f"{part} stands in no layer: add it to LAYERS where it belongs"
    for name in imports(file):
        root, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if root != "devserver" or other not in known or other == part:
            continue
        assert layer(other) <= layer(part), f"{file.name} imports {name}, a layer above it"
        assert other not in FORBIDDEN.get(part, set()), f"{file.name} must not import {name}"


@pytest.mark.parametrize(
    "file",
    [file for part, file in parts() if part == "descriptor"],
    ids=lambda file: str(file.relative_to(PACKAGE)),
)
def test_the_descriptor_package_is_pure(file: Path) -> None:
    """Rendering, parsing and rules touch no event loop, network, clock or file system."""
    assert not {name.partition(".")[0] for name in imports(file)} & IO


def loaded_by(*arguments: str) -> set[str]:
    """The modules a command has imported by the time it ends."""
    program = (
        "import sys\n"
        "from devserver.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(run.stdout.rpartition("MODULES")[2].split())


def test_help_imports_nothing_heavy() -> None:
    """`upm-dev --help` and `--version` answer without the libraries of `serve`."""
    heavy = {"aiohttp", "jinja2", "lxml.etree", "watchfiles", "cryptography", "oauthlib", "jwt"}
    assert not loaded_by("--help") & heavy
    assert not loaded_by("--version") & heavy


def test_validate_never_imports_the_network(tmp_path: Path) -> None:
    """`upm-dev validate` works without aiohttp, and so starts in a fraction of the time."""
    file = tmp_path / "atlassian-plugin.xml"
    file.write_text('<atlassian-plugin key="a.b" name="N" plugins-version="2"/>', encoding="utf-8")
    assert not loaded_by("validate", str(file)) & {"aiohttp", "watchfiles", "cryptography"}


def test_what_is_imported_beside_aiohttp_needs_nothing_of_it() -> None:
    """Two threads that want the same half-imported package would wait for one another."""
    program = (
        "import sys\n"
        "from importlib import import_module\n"
        "from devserver.cli.serve import WITHOUT_AIOHTTP\n"
        "for each in WITHOUT_AIOHTTP:\n    import_module(each)\n"
        "print(*sys.modules)"
    )
    assert "aiohttp" not in modules_of(program)


def test_serve_opens_its_ports_before_it_loads_what_answers_there() -> None:
    """What only a caller needs is loaded once the first install request is out."""
    program = "import sys\nimport devserver.cli.serve, devserver.run\nprint(*sys.modules)"
    later = {"aiohttp.web", "cryptography", "oauthlib", "jwt", "asyncinotify", "watchfiles"}
    assert not modules_of(program) & later


def modules_of(program: str) -> set[str]:
    """What a process that runs *program* prints."""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(run.stdout.split())
