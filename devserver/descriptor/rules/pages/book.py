"""The pages as text: for `upm-dev explain`, and for docs/rules/."""

from collections.abc import Mapping

from devserver.descriptor.rules import every_rule
from devserver.descriptor.rules.pages import MARK, Page, pages

CHAPTERS: Mapping[str, str] = {
    "G": "Files",
    "X1": "The root of atlassian-plugin.xml",
    "X2": "Any XML module",
    "X3": "XML module types",
    "R4": "Remote apps in XML",
    "J5": "The root of a Connect descriptor",
    "J6": "Connect modules",
    "E7": "Hosts",
    "P8": "The project around the descriptor",
}
PARSERS = ("G001", "G002", "G003", "G004", "G006", "G009", "G010")
"""Found by parsers, so no rule has them; G004 warns, G006 remarks where it can be read."""


def severity(code: str) -> str:
    """The worst that a rule reports."""
    for each in every_rule():
        if each.code == code:
            return each.severity.value
    return {"G004": "warning", "G006": "info"}.get(code, "error")


def text(page: Page) -> str:
    """The page for a terminal."""
    parts = [
        f"{page.code} ({severity(page.code)}): {page.title}",
        page.why,
        f"What the host says: {page.host}",
        f"What to do: {page.fix}",
    ]
    if page.context:
        known = ", ".join(f"{name} {value}" for name, value in page.context.items())
        parts.append(f"Found where this is known: {known}")
    if page.wrong:
        parts += [
            f"Wrong ({MARK} stands where it is reported):",
            _indented(page.wrong),
            "Right:",
            _indented(page.right),
        ]
    return "\n\n".join(parts) + "\n"


def book() -> Mapping[str, str]:
    """docs/rules/ by file name: an index, and a chapter for each family."""
    chapters = {"README.md": _index()}
    for family, title in CHAPTERS.items():
        found = [page for code, page in pages().items() if code.startswith(family)]
        body = "\n".join(_section(page) for page in found)
        chapters[_file(family)] = f"# {title}\n\n{body}"
    return chapters


def _file(family: str) -> str:
    return f"{family}.md"


def _index() -> str:
    lines = [
        "# The rules of `upm-dev validate`",
        "",
        "Made from `devserver/descriptor/rules/pages/` by `upm-dev explain --write docs/rules`;",
        "`upm-dev explain X314` prints one. Ids are stable and never given to another rule.",
        "",
    ]
    for family, title in CHAPTERS.items():
        lines += [f"## {title}", "", "| id | severity | what |", "|---|---|---|"]
        for code, page in pages().items():
            if code.startswith(family):
                link = f"[{code}]({_file(family)}#{code.lower()})"
                lines.append(f"| {link} | {severity(code)} | {page.title.replace('|', '/')} |")
        lines.append("")
    return "\n".join(lines)


def _section(page: Page) -> str:
    out = [
        f'## <a id="{page.code.lower()}"></a>{page.code}: {page.title}',
        "",
        f"*{severity(page.code)}* · {page.why}",
        "",
        f"- **What the host says:** {page.host}",
        f"- **What to do:** {page.fix}",
    ]
    if page.context:
        known = ", ".join(f"{name} `{value}`" for name, value in page.context.items())
        out.append(f"- **Found where this is known:** {known}")
    if page.wrong:
        language = "json" if page.wrong.lstrip(MARK + "\ufeff ").startswith("{") else "xml"
        out += ["", f"Wrong, reported at `{MARK}`:", "", f"```{language}"]
        out += [page.wrong.rstrip("\n"), "```", "", "Right:", "", f"```{language}"]
        out += [page.right.rstrip("\n"), "```"]
    return "\n".join([*out, ""])


def _indented(example: str) -> str:
    return "\n".join(f"    {line}" for line in example.rstrip("\n").split("\n"))
