"""`upm-dev explain`: the page of a diagnostic or of a refusal."""

from collections.abc import Mapping
from pathlib import Path

import click

from devserver.errors import UsageError

OTHERS: Mapping[str, str] = {
    "S001": "The project has no descriptor: no template, no atlassian-plugin.xml, no JSON.",
    "S002": "The project has several descriptors, and none is named in upm-dev.toml.",
    "S003": "A file is not there, cannot be read, or is no regular file.",
    "S004": "A file or a link leads out of the project: it is not followed.",
    "S005": "A file is larger than a descriptor can be.",
    "S006": "A file is no text in UTF-8: the message says which byte is wrong.",
    "T001": "The template's own syntax is wrong.",
    "T002": "A variable of the template is not defined: it is never silently empty.",
    "T003": "A template that is included, imported or extended is not there.",
    "T004": "A template names a file outside the project.",
    "T005": "Rendering takes too much time, memory or output.",
    "T006": "A template does what the sandbox does not allow.",
    "T007": "An expression of the template failed.",
    "V001": "A file of variables is not well-formed: the message says where.",
    "V002": "A file of variables is of a kind, or a size, that is not read here.",
    "V003": "A file of variables is no table of names, or a name in it is none.",
    "A404": "The app answers 404, or fails, at a page that the descriptor declares: a route is "
    "missing in the app, or an url in the descriptor is mistyped.",
}
"""Codes of reading, rendering and asking the app, which have no page with examples."""


@click.command(name="explain")
@click.argument("code", required=False)
@click.option(
    "--write",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the pages of all rules there, as Markdown.",
)
def command(code: str | None, write: Path | None) -> None:
    """Say why CODE is reported, what the host says, and what is wrong and right.

    Without CODE, list every one.
    """
    from devserver.descriptor.rules.pages import book, pages
    from devserver.upm import causes

    if write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for name, content in book.book().items():
            (write / name).write_text(content, encoding="utf-8")
        click.echo(f"{len(book.book())} files in {write}", err=True)
        return
    if code is None:
        for each in pages().values():
            click.echo(f"{each.code}  {book.severity(each.code):8} {each.title}")
        for name, told in {**OTHERS, **_settings()}.items():
            click.echo(f"{name}  {'error':8} {told}")
        for name, sentence in causes.codes().items():
            click.echo(f"{name}  {sentence}")
        return
    asked = code.upper()
    page = pages().get(asked)
    if page is not None:
        click.echo(book.text(page), nl=False)
    elif (what := {**OTHERS, **_settings()}.get(asked)) is not None:
        click.echo(f"{asked}: {what}")
        from devserver.datacenter.findings import REMEDIES

        if asked in REMEDIES:
            click.echo(f"\nWhat to do: {REMEDIES[asked]}")
    elif (refusal := causes.page(asked)) is not None:
        click.echo(refusal, nl=False)
    else:
        from devserver.descriptor.nearest import nearest

        near = nearest(asked, [*pages(), *OTHERS, *_settings(), *causes.codes()])
        raise UsageError(
            f"there is no code {code}",
            remedy=f"did you mean {near}?" if near else "upm-dev explain lists them",
        )


def _settings() -> Mapping[str, str]:
    from devserver.datacenter.findings import CODES as JAR
    from devserver.settings import CODES

    return {**CODES, **JAR}
