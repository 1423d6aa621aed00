"""`upm-dev init`: a new project from a starter."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from devserver import shipped
from devserver.cli import questions
from devserver.errors import UsageError

STARTERS: Mapping[str, str] = {
    "remote-app": "a remote app in XML, for the hosts of 2012 and 2013 and the simulated one",
    "xml-plugin": "a plugin without code, installed by its URL on Jira, Confluence and Bamboo",
    "p2-plugin": "a Data Center plugin: pom.xml, and a descriptor that goes into the JAR",
    "connect": "a Connect app in JSON",
}
"""Folder in templates/starters to what it is for."""
KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")

EPILOG = """\b
Examples:
  upm-dev init                                   asks what it needs to know
  upm-dev init hello --starter p2-plugin --key com.acme.hello --name "Hello World"
"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default=".")
@click.option("--starter", type=click.Choice([*STARTERS]), help="What to start from.")
@click.option("--key", metavar="KEY", help="The app's key (com.example.DIR).")
@click.option("--name", metavar="NAME", help="The app's name, as people read it (from DIR).")
def command(folder: Path, starter: str | None, key: str | None, name: str | None) -> None:
    """Make a new project in DIR, from a starter. Nothing that is there is overwritten."""
    word = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "app"
    ask = questions.text()
    if starter is None:
        if ask is None:
            raise UsageError(
                "which starter is it to be?", remedy=f"give --starter: {', '.join(STARTERS)}"
            )
        for each, what in STARTERS.items():
            click.echo(f"  {each:12} {what}", err=True)
        starter = ask("Starter", "p2-plugin", tuple(STARTERS))
    _refuse_taken(folder, starter)
    name = name or (ask or _default)("Name", word.replace("-", " ").title(), check=_name)
    key = key or (ask or _default)("Key", f"com.example.{word}", check=_key)
    written = write(folder, starter, _facts(_key(key), _name(name)))
    click.echo(f"{folder}: {', '.join(written)}", err=True)
    for line in _next(folder, starter):
        click.echo(line)


def write(folder: Path, starter: str, facts: Mapping[str, str]) -> tuple[str, ...]:
    """Write the starter's files into *folder*; their names, relative to it.

    Raises UsageError before anything is written where a file is there already.
    """
    _refuse_taken(folder, starter)
    files = {
        name: _filled(source.read_text(encoding="utf-8"), name, facts)
        for name, source in _files(starter).items()
    }
    try:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as exc:
        raise UsageError(
            f"{exc.filename} cannot be written: {(exc.strerror or str(exc)).lower()}",
            remedy="name a folder in which you may write",
        ) from exc
    return tuple(files)


def _files(starter: str) -> dict[str, Path]:
    """What the starter brings, by the name that it gets."""
    folder = shipped.folder("starters", starter)
    names = sorted(
        each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()
    )
    # A .gitignore of the starter's own would be obeyed in this repository.
    return {(".gitignore" if name == "gitignore" else name): folder / name for name in names}


def _refuse_taken(folder: Path, starter: str) -> None:
    """Raises UsageError where one of the files is there already."""
    if taken := [name for name in _files(starter) if (folder / name).exists()]:
        raise UsageError(
            f"{folder} has {', '.join(taken)} already: nothing was written",
            remedy="name a folder that is new: upm-dev init DIR",
        )


def _default(
    _: str, default: str, __: tuple[str, ...] = (), check: Callable[[str], str] = str
) -> str:
    return check(default)


def _key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise UsageError(
            f"{key!r} is no key for an app",
            remedy="use letters, digits, dots and dashes, like com.example.hello",
        )
    return key


def _name(name: str) -> str:
    if not name.strip() or not name.isprintable():
        raise UsageError("the app needs a name that can be read", remedy='--name "Hello World"')
    return name.strip()


def _facts(key: str, name: str) -> dict[str, str]:
    group, _, artifact = key.rpartition(".")
    return {"key": key, "name": name, "group": group or key, "artifact": artifact}


def _filled(text: str, file: str, facts: Mapping[str, str]) -> str:
    """*text* with every `@@fact@@` as the file's language writes it."""
    from xml.sax.saxutils import escape as xml

    def value(found: re.Match[str]) -> str:
        fact = facts[found[1]]
        if file.endswith(".toml"):
            return fact.replace("\\", "\\\\").replace('"', '\\"')
        if file.endswith(".xml"):
            return xml(fact, {'"': "&quot;"})
        # .properties are read as Latin-1 by the hosts that matter.
        plain = (each if each.isascii() else f"\\u{ord(each):04x}" for each in _units(fact))
        return "".join(plain)

    return re.sub(r"@@(\w+)@@", value, text)


def _units(text: str) -> list[str]:
    """The UTF-16 code units of *text*, a backslash doubled: what Java's \\u escapes write."""
    data = text.replace("\\", "\\\\").encode("utf-16-be")
    return [chr(data[at] << 8 | data[at + 1]) for at in range(0, len(data), 2)]


def _next(folder: Path, starter: str) -> list[str]:
    """What to type now."""
    steps = [] if folder.resolve() == Path.cwd() else [f"cd {_quoted(str(folder))}"]
    if starter == "p2-plugin":
        steps.append("atlas-package     # once, and after changes in Java: there has to be a JAR")
    return [*steps, "upm-dev serve"]


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
