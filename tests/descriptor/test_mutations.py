"""A thousand mistakes made in clean real descriptors: at least 95 % are named on the right line."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator

import corpus

MADE = 1000
SEED = 20261123
Mutated = tuple[str, int]
"""The text with a mistake in it, and the line where that is."""
Operator = Callable[[str, random.Random], Mutated | None]


def replaced(pattern: str, by: str | Callable[[re.Match[str]], str], mark: str = "") -> Operator:
    """Replace one match of *pattern*; the line is that of group *mark*, or of the match."""

    def mutate(text: str, rng: random.Random) -> Mutated | None:
        spared = [found.span() for found in re.finditer(r"<!--.*?-->", text, re.DOTALL)]
        found = [
            each
            for each in re.finditer(pattern, text, re.DOTALL)
            if not any(start <= each.start() < end for start, end in spared)
        ]
        if not found:
            return None
        one = rng.choice(found)
        new = by(one) if callable(by) else one.expand(by)
        if new == one[0]:
            return None
        at = one.start(mark) if mark else one.start()
        return text[: one.start()] + new + text[one.end() :], text.count("\n", 0, at) + 1

    return mutate


def dropped(pattern: str, tag: str = "tag", part: str = "drop") -> Operator:
    """Take group *part* out; the line is that of group *tag*."""

    def cut(found: re.Match[str]) -> str:
        start, end = found.span(part)
        base = found.start()
        return found[0][: start - base] + found[0][end - base :]

    return replaced(pattern, cut, mark=tag)


def attribute(tag: str, name: str) -> str:
    """A start tag with an attribute that is to be dropped."""
    return rf'(?P<tag><(?:{tag})\b)[^<>]*?(?P<drop>\s{name}="[^"]*")'


def same_key(text: str, rng: random.Random) -> Mutated | None:
    """Give one module the key of another, which says no product."""
    types = "component|servlet|web-item|web-section|rest|webhook|general-page"
    tag = rf'<(?:{types})\b(?![^<>]*application=)[^<>]*?\skey="([\w.-]+)"'
    found = [
        *re.finditer(tag, re.sub(r"<!--.*?-->", lambda m: " " * len(m[0]), text, flags=re.DOTALL))
    ]
    if len(found) < 2:
        return None
    first, second = sorted(rng.sample(found, 2), key=lambda each: each.start())
    if first[1] == second[1]:
        return None
    start, end = second.span(1)
    return text[:start] + first[1] + text[end:], text.count("\n", 0, start) + 1


def same_json_key(text: str, rng: random.Random) -> Mutated | None:
    """Give one module of a Connect descriptor the key of another."""
    modules = text.find('"modules"')
    pattern = r'\{\s*(?:"(?:url|location|weight)":\s*[^{},]*,\s*)*"key":\s*"([A-Za-z0-9-]+)"'
    found = [each for each in re.finditer(pattern, text) if each.start() > modules >= 0]
    found = [each for each in found if '"identifier"' not in text[each.start() : each.end() + 80]]
    if len(found) < 2:
        return None
    first, second = sorted(rng.sample(found, 2), key=lambda each: each.start())
    if first[1] == second[1]:
        return None
    start, end = second.span(1)
    return text[:start] + first[1] + text[end:], text.count("\n", 0, start) + 1


def swapped(word: str) -> str:
    """The word with two letters in its middle swapped: a slip of the fingers."""
    middle = len(word) // 2
    return word[: middle - 1] + word[middle] + word[middle - 1] + word[middle + 1 :]


XML: tuple[tuple[str, str, Operator], ...] = (
    ("root key dropped", "X101", dropped(attribute("atlassian-plugin", "key"))),
    (
        "colon in the root key",
        "X102",
        replaced(r'(<atlassian-plugin\b[^<>]*?\s)(?P<at>key="\w)([\w.-]+")', r"\1\2:\3", "at"),
    ),
    (
        "plugins-version in words",
        "X106",
        replaced(r'(?P<at>plugins-?[vV]ersion=")\d"', r'\1two"', "at"),
    ),
    ("state misspelt", "X109", replaced(r"(<atlassian-plugin\b)", r'\1 state="of"')),
    (
        "plugin version dropped",
        "X111",
        dropped(
            r"(?P<tag><plugin-info>)(?:(?!</plugin-info>).)*?(?P<drop><version>[^<]*</version>)"
        ),
    ),
    ("vendor url dropped", "X113", dropped(attribute("vendor", "url"))),
    (
        "param misspelt",
        "X119",
        replaced(
            r'(<param name=")(plugin-(?:icon|logo|banner)|vendor-(?:icon|logo))"',
            lambda f: f[1] + swapped(f[2]) + '"',
        ),
    ),
    (
        "module key dropped",
        "X201",
        dropped(
            attribute(
                "servlet|component|web-item|web-section|rest|component-import|servlet-filter", "key"
            )
        ),
    ),
    ("module key used twice", "X202", same_key),
    (
        "white space in a module key",
        "X203",
        replaced(
            r'(<(?:servlet|component|web-item|rest)\b[^<>]*?)(?P<at>\skey="\w)([\w.-]+")',
            r"\1\2 \3",
            "at",
        ),
    ),
    (
        "module type misspelt",
        "X204",
        replaced(
            r"<(component-import|component|web-item|servlet|rest|web-section)(\s[^<>]*)/>",
            lambda f: f"<{swapped(f[1])}{f[2]}/>",
        ),
    ),
    (
        "product misspelt",
        "X205",
        replaced(
            r'(?P<at>\sapplication=")(jira|confluence|bamboo|bitbucket)"',
            lambda f: f[1] + swapped(f[2]) + '"',
            "at",
        ),
    ),
    ("weight in words", "X206", replaced(r'(?P<at>\sweight=")-?\d+"', r'\1high"', "at")),
    ("resource type dropped", "X207", dropped(attribute("resource", "type"))),
    ("resource name dropped", "X207", dropped(attribute("resource", "name"))),
    (
        "resource location dropped",
        "X207",
        dropped(r'(?P<tag><resource\b)[^<>]*?(?P<drop>\slocation="[^"]*")[^<>]*/>'),
    ),
    (
        "resource given twice",
        "X208",
        replaced(r'(<resource\b[^<>]*?\sname="[^"]*"[^<>]*?/>)', lambda f: f[1] + f[1]),
    ),
    (
        "conditions of a third kind",
        "X209",
        replaced(r"<conditions(?: type=\"\w+\")?>", '<conditions type="XOR">'),
    ),
    (
        "class with slashes",
        "X213",
        replaced(
            r'(<(?:servlet|component)\b[^<>]*?)(?P<at>\sclass=")([\w]+\.[\w.]+)"',
            lambda f: f[1] + f["at"] + f[3].replace(".", "/") + '"',
            "at",
        ),
    ),
    ("web-item without section", "X301", dropped(attribute("web-item", "section"))),
    (
        "label dropped",
        "X301",
        dropped(r"(?P<tag><web-item\b)(?:(?!</web-item>).)*?(?P<drop><label\b[^<>]*/>)"),
    ),
    (
        "section for location",
        "X303",
        replaced(r"(<web-section\b[^<>]*?)(?P<at>\slocation=)", r"\1 section=", "at"),
    ),
    ("web-panel without location", "X304", dropped(attribute("web-panel", "location"))),
    ("servlet without class", "X305", dropped(attribute("servlet", "class"))),
    (
        "url-pattern dropped",
        "X305",
        dropped(
            r"(?P<tag><servlet\b(?:(?!url-pattern|</servlet>).)*)(?P<drop><url-pattern>[^<]*</url-pattern>)(?=\s*</servlet>)"
        ),
    ),
    (
        "param-value dropped",
        "X306",
        dropped(
            r"(?P<tag><init-param>)(?:(?!</init-param>).)*?(?P<drop><param-value>[^<]*</param-value>)"
        ),
    ),
    (
        "filter location unknown",
        "X307",
        replaced(r'(<servlet-filter\b[^<>]*?)(?P<at>\slocation=")[\w-]+"', r'\1\2somewhere"', "at"),
    ),
    (
        "dispatcher in lower case",
        "X308",
        replaced(
            r"<dispatcher>(REQUEST|FORWARD|INCLUDE|ERROR)",
            lambda f: f[0].replace(f[1], f[1].lower()),
        ),
    ),
    ("url-pattern without slash", "X309", replaced(r"(<url-pattern>)/(\w)", r"\1\2")),
    (
        "rest path without slash",
        "X311",
        replaced(r'(<rest\b[^<>]*?)(?P<at>\spath=")/', r"\1\2", "at"),
    ),
    ("rest version dropped", "X311", dropped(attribute("rest", "version"))),
    (
        "import without interface",
        "X312",
        dropped(r'(?P<tag><component-import\b)[^<>]*?(?P<drop>\sinterface="[^"]*")[^<>]*/>'),
    ),
    (
        "dependency without plugin",
        "X314",
        replaced(r"<dependency>[\w.]+:([\w-]+)</dependency>", r"<dependency>\1</dependency>"),
    ),
    ("unquoted attribute", "G001", replaced(r'(?P<at>\skey=)"([\w.-]+)"', r"\1\2", "at")),
    (
        "attribute given twice",
        "G001",
        replaced(r'(<(?:servlet|component|rest)\b)(?P<at>\skey="[\w.-]+")', r"\1\2\2", "at"),
    ),
    (
        "bare ampersand",
        "G001",
        replaced(r"(<description>[^<]+)(?P<at></description>)", r"\1 & more\2", "at"),
    ),
    ("dashes in a comment", "G002", replaced(r"(?=</atlassian-plugin>)", "<!-- a -- b -->")),
    (
        "unknown entity",
        "G009",
        replaced(r"(<description>[^<]+)(?P<at></description>)", r"\1&nbsp;\2", "at"),
    ),
    (
        "remote url dropped",
        "R402",
        dropped(attribute("general-page|admin-page|profile-page|webhook|configure-page", "url")),
    ),
    (
        "remote url absolute",
        "R403",
        replaced(
            r'(<(?:general-page|admin-page|profile-page|webhook)\b[^<>]*?)(?P<at>\surl=")/',
            r"\1\2https://app.example/",
            "at",
        ),
    ),
    (
        "display-url without scheme",
        "R404",
        replaced(r'(?P<at>\sdisplay-url=")https?://', r"\1", "at"),
    ),
    (
        "permission misspelt",
        "R406",
        replaced(
            r"(<permission>)(read_\w+|browse_projects|create_oauth_link)",
            lambda f: f[1] + swapped(f[2]),
        ),
    ),
    (
        "event misspelt",
        "R409",
        replaced(
            r'(<webhook\b[^<>]*?)(?P<at>\sevent=")(page_\w+|blog_\w+|remote_plugin_\w+)"',
            lambda f: f[1] + f["at"] + swapped(f[3]) + '"',
            "at",
        ),
    ),
)

JSON: tuple[tuple[str, str, Operator], ...] = (
    ("trailing comma", "G003", replaced(r'(?P<at>")(\s*\n\s*\})', r"\1,\2", "at")),
    ("comma missing", "G003", replaced(r'",(\s*\n\s*)(?P<at>"\w+":)', r'"\1\2', "at")),
    ("property given twice", "G004", replaced(r'("name":\s*"[^"]*",)', r'\1 "name": "again",')),
    ("baseUrl without scheme", "J504", replaced(r'(?P<at>"baseUrl":\s*")https?://', r"\1", "at")),
    (
        "baseUrl with a slash",
        "J505",
        replaced(r'(?P<at>"baseUrl":\s*"https?://[^"/]+)"', r'\1/"', "at"),
    ),
    (
        "blank in the app key",
        "J502",
        replaced(r'(\A\s*\{(?:(?!"key").)*?)(?P<at>"key":\s*")([\w.-]+")', r"\1\2my \3", "at"),
    ),
    ("authentication misspelt", "J508", replaced(r'("type":\s*)"(?:jwt|none)"', r'\1"jtw"')),
    (
        "scope misspelt",
        "J509",
        replaced(r'"(READ|WRITE|DELETE|ADMIN)"', lambda f: f'"{swapped(f[1])}"'),
    ),
    ("apiVersion quoted", "J513", replaced(r'("apiVersion":\s*)(\d+)', r'\1"\2"')),
    (
        "property misspelt",
        "J516",
        replaced(
            r'"(scopes|vendor|lifecycle|description|enableLicensing)"(?=\s*:)',
            lambda f: f'"{swapped(f[1])}"',
        ),
    ),
    ("lifecycle without slash", "J517", replaced(r'("(?:installed|uninstalled)":\s*")/', r"\1")),
    (
        "module type misspelt",
        "J603",
        replaced(
            r'"(generalPages|webPanels|webItems|webhooks|dynamicContentMacros|adminPages|jira\w+s)"(?=\s*:\s*\[)',
            lambda f: f'"{swapped(f[1])}"',
        ),
    ),
    (
        "list unwrapped",
        "J601",
        replaced(
            r'("(?:generalPages|adminPages)":\s*)\[\s*(\{(?:[^{}]|\{[^{}]*\})*\})\s*\]', r"\1\2"
        ),
    ),
    (
        "underscore in a module key",
        "J604",
        replaced(
            r'([\[,]\s*\{\s*)(?P<at>"key":\s*"[a-z]+)-([\w-]+"(?=\s*,\s*"(?:url|name|location)"))',
            r"\1\2_\3",
            "at",
        ),
    ),
    ("module key used twice", "J605", same_json_key),
    ("name as a string", "J606", replaced(r'("name":\s*)\{\s*"value":\s*("[^"]*")\s*\}', r"\1\2")),
    ("weight quoted", "J608", replaced(r'("weight":\s*)(\d+)', r'\1"\2"')),
    (
        "url without slash",
        "J609",
        replaced(
            r'("generalPages":\s*\[\s*\{(?:[^{}]|\{[^{}]*\})*?)(?P<at>"url":\s*")/', r"\1\2", "at"
        ),
    ),
    (
        "parameter misspelt",
        "J611",
        replaced(
            r'(?P<at>"url":\s*"/[^"]*\{)(issue|project|page|space)\.(key|id)\}',
            lambda f: f"{f['at']}{f[2]}{f[3].title()}}}",
            "at",
        ),
    ),
    (
        "condition misspelt",
        "J612",
        replaced(
            r'("condition":\s*")(user_is_\w+|entity_property_\w+)"',
            lambda f: f[1] + swapped(f[2]) + '"',
        ),
    ),
    (
        "event misspelt",
        "J616",
        replaced(
            r'("event":\s*")(jira:\w+|page_\w+|blog_\w+)"', lambda f: f[1] + swapped(f[2]) + '"'
        ),
    ),
)


def clean(is_json: bool) -> list[str]:
    """The texts of corpus files without an error, HipChat's and the drafts of 2013 aside."""
    return [
        sample.data.decode()
        for sample in corpus.samples()
        if sample.well_formed
        and sample.is_json is is_json
        and b'"capabilities"' not in sample.data
        and not corpus.examined(sample.data, is_json=is_json).errors
    ]


def mutations() -> Iterator[tuple[str, str, str, int, bool]]:
    """Operator, the rule that must answer, text, line, whether it is JSON: always the same."""
    rng = random.Random(SEED)
    texts = {is_json: clean(is_json) for is_json in (False, True)}
    table = [(*each, False) for each in XML] + [(*each, True) for each in JSON]
    made = 0
    while made < MADE:
        for name, code, operator, is_json in table:
            for _ in range(200):
                mutated = operator(rng.choice(texts[is_json]), rng)
                if mutated is not None:
                    yield name, code, *mutated, is_json
                    made += 1
                    break
            if made == MADE:
                return


@corpus.needed
def test_mistakes_are_named_on_their_line() -> None:
    """Of a thousand seeded mutations 95 % are reported with the rule's id on the right line."""
    missed: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for name, code, text, line, is_json in mutations():
        made[name] += 1
        result = corpus.examined(text.encode(), is_json=is_json)
        if not any(each.code == code and each.position.line == line for each in result.diagnostics):
            missed[f"{name} ({code})"] += 1
    assert len(made) >= 20
    assert sum(missed.values()) <= MADE * 0.05, missed.most_common()
