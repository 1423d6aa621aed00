"""`upm-dev validate` from outside: paths, formats, selections, exit codes."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result
from lxml import etree

Run = Callable[..., Result]
Save = Callable[[str, str | bytes], Path]
NAME = "atlassian-plugin.xml"


def found(result: Result) -> list[tuple[str, str, int, int]]:
    """Code, file, line and column of each diagnostic of a JSON answer."""
    document: dict[str, Any] = json.loads(result.stdout)
    return [(d["code"], d["file"], d["line"], d["column"]) for d in document["diagnostics"]]


def test_a_good_descriptor_is_fine(run: Run, save: Save, good: str) -> None:
    """No problem, exit code 0."""
    save(NAME, good)

    result = run("validate")

    assert (result.exit_code, result.stdout) == (0, "no problems\n")


def test_an_error_shows_its_line_and_fails(run: Run, save: Save, good: str) -> None:
    """A frame with the line, a caret below the place, and exit code 1."""
    save(NAME, good.replace('weight="10"', 'weight="high"'))

    result = run("validate", NAME)

    assert result.exit_code == 1
    assert "error[X206]" in result.stdout
    assert f"--> {NAME}:6:45" in result.stdout
    assert "^" in result.stdout
    assert "1 error" in result.stdout


def test_a_template_is_judged_where_it_was_written(run: Run, save: Save, good: str) -> None:
    """Through an include and a loop: the include's own line, with the line as it was rendered."""
    save("upm-dev.toml", "[app]\nvariables = { weights = ['10', 'ten'] }\n")
    save(
        "atlassian-plugin.xml.j2",
        good.replace(
            '  <web-section key="s" location="l" weight="10"/>\n', '{% include "items.xml.j2" %}'
        ),
    )
    save(
        "items.xml.j2",
        "{% for weight in weights %}\n"
        '  <web-section key="s{{ loop.index }}" location="l" weight="{{ weight }}"/>\n'
        "{% endfor %}\n",
    )

    result = run("validate", "--format", "json")

    document = json.loads(result.stdout)
    (one,) = document["diagnostics"]
    assert (one["code"], one["file"], one["line"]) == ("X206", "items.xml.j2", 2)
    assert 'weight="ten"' in one["notes"][0]


def test_standard_input(run: Run, good: str) -> None:
    """`-` reads a descriptor from standard input, XML and JSON alike."""
    assert run("validate", "-", input=good.encode()).exit_code == 0
    broken = run("validate", "-", "--format", "json", input=b'{"key": "a",}')
    assert broken.exit_code == 1
    assert found(broken) == [("G003", "<stdin>", 1, 12)]
    assert run("validate", "-", input=b"\x00\x01\xff").exit_code == 1
    huge = run("validate", "-", "--format", "json", input=b"<a>" + b" " * (8 << 20))
    assert found(huge)[0][0] == "S005"


def test_standard_input_is_no_template(run: Run, save: Save, good: str) -> None:
    """What stands between braces is opaque, whatever project is here; directives are told of."""
    save("upm-dev.toml", '[app]\nvariables = { name = "x:y" }\n')

    tokens = run("validate", "-", input=good.replace('"com.acme.app"', '"{{ name }}"').encode())
    assert (tokens.exit_code, tokens.stdout) == (0, "no problems\n")
    branch = good.replace("<web-section", "{% if 1 < 2 %}{% endif %}<web-section")
    result = run("validate", "-", "--format", "json", input=branch.encode())
    assert result.exit_code == 0
    (remark,) = json.loads(result.stdout)["diagnostics"]
    assert "only what is left is checked" in remark["message"]


def test_folders_are_searched_and_gitignore_is_honoured(run: Run, save: Save, good: str) -> None:
    """Every descriptor below, but none that git or a build ignores."""
    bad = good.replace('key="com.acme.app" ', "")
    save("one/src/main/resources/atlassian-plugin.xml", bad)
    save("two/atlassian-connect.json", "{}")
    save("two/target/atlassian-plugin.xml", bad)
    save("three/old/atlassian-plugin.xml", bad)
    save("three/kept/atlassian-plugin.xml", bad)
    save("four/META-INF/plugin-descriptors/made.xml", '<bundles><web-resource key="w"/></bundles>')
    save(".gitignore", "# old ones\nold/\n*.bak\n/two/a[!b]c\n**/x/*.xml\n!kept\n")
    save(".git/HEAD", "ref: refs/heads/main\n")

    result = run("validate", "--format", "json", ".")

    assert sorted(json.loads(result.stdout)["files"]) == [
        "four/META-INF/plugin-descriptors/made.xml",
        "one/src/main/resources/atlassian-plugin.xml",
        "three/kept/atlassian-plugin.xml",
        "two/atlassian-connect.json",
    ]


def test_nothing_to_check_is_said(run: Run) -> None:
    """An empty folder is no success."""
    result = run("validate", "--format", "json")

    assert result.exit_code == 1
    assert [code for code, *_ in found(result)] == ["S001"]


def test_a_misspelt_weight_is_recognised(run: Run, save: Save, good: str) -> None:
    """At the attribute that was meant to be it, not at the tag that seems to lack it."""
    save(NAME, good.replace(' weight="10"', ' wieght="10"'))

    ((code, _, line, column),) = found(run("validate", "--format", "json"))
    assert code == "X302"
    assert 'no weight, but "wieght"' in run("validate").stdout
    assert (
        good.replace("weight", "wieght").splitlines()[line - 1][column - 1 :].startswith("wieght")
    )


def test_selections(run: Run, save: Save, good: str) -> None:
    """--select, --ignore and --strict; families by the beginning of an id."""
    save(NAME, good.replace("plugins-version", "pluginsVersion").replace(' weight="10"', ""))

    def codes(*flags: str) -> list[str]:
        return [code for code, *_ in found(run("validate", "--format", "json", *flags))]

    assert codes() == ["X105", "X302"]
    assert codes("--select", "X1") == ["X105"]
    assert codes("--ignore", "X1,X302") == []
    assert run("validate", "--strict").exit_code == 1
    assert run("validate").exit_code == 0


def test_the_settings_select_too(run: Run, save: Save, good: str) -> None:
    """[validate] in upm-dev.toml: ignore, per-file-ignores, strict; a wrong id is a mistake."""
    save(NAME, good.replace("plugins-version", "pluginsVersion").replace(' weight="10"', ""))
    save("upm-dev.toml", '[validate]\nignore = ["X302"]\nper-file-ignores = { "*.xml" = ["X1"] }\n')
    assert found(run("validate", "--format", "json")) == []

    save("upm-dev.toml", "[validate]\nstrict = true\n")
    assert run("validate").exit_code == 1

    save("upm-dev.toml", '[validate]\nignore = ["nonsense"]\n')
    assert run("validate").exit_code == 2


def test_a_comment_hushes_what_follows_it(run: Run, save: Save, good: str) -> None:
    """For the next element alone; before the root for the whole file."""
    bad = '<web-section key="{}" location="l" weight="x"/>\n'
    ignore = "<!-- upm-dev: ignore X206 it is meant so -->\n"
    section = '  <web-section key="s" location="l" weight="10"/>\n'
    save(NAME, good.replace(section, ignore + bad.format("a") + bad.format("b")))
    assert [line for _, _, line, _ in found(run("validate", "--format", "json"))] == [8]

    save(NAME, ignore + good.replace(section, bad.format("a") + bad.format("b")))
    assert run("validate").exit_code == 0


@pytest.mark.parametrize(
    ("flags", "codes"),
    [
        ((), set()),
        (("--profile", "cloud"), {"E703"}),
        (("--profile", "dc"), set()),
        (("--product", "bitbucket"), {"E703"}),
        (("--target", "https://acme.atlassian.net"), {"E703"}),
        (("--target", "http://localhost:7990/bitbucket"), {"E703"}),
        (("--target", "http://localhost:2990"), set()),
    ],
)
def test_the_host_makes_it_stricter(
    run: Run, save: Save, good: str, flags: tuple[str, ...], codes: set[str]
) -> None:
    """What no host of that kind takes is said, where the host is named."""
    save(NAME, good)

    result = run("validate", "--format", "json", *flags)

    assert {code for code, *_ in found(result)} == codes


def test_a_product_has_a_version(run: Run, save: Save, good: str) -> None:
    """`jira:10` turns the rules of Platform 7 on; another word than a number is a usage error."""
    save(
        NAME,
        good.replace(
            "</atlassian-plugin>", '<rest key="r" path="/r" version="1"/>\n</atlassian-plugin>'
        ),
    )

    assert ("X321", NAME, 7, 1) in found(
        run("validate", "--format", "json", "--product", "jira:10")
    )
    assert run("validate", "--product", "jira:new").exit_code == 2


def test_built_means_no_placeholder(run: Run, save: Save, good: str) -> None:
    """Placeholders are opaque in a source file, and errors in what is deployed."""
    save(NAME, good.replace("1.0.0", "${project.version}"))

    assert run("validate").exit_code == 0
    assert found(run("validate", "--built", "--format", "json")) == [("G005", NAME, 3, 14)]


def test_github_annotations_are_escaped(run: Run, save: Save, good: str) -> None:
    """One workflow command a line; nothing in the descriptor can end or start one."""
    save(NAME, good.replace('location="l"', 'location="l" state="50%&#10;::error::x"'))

    result = run("validate", "--format", "github")

    (line,) = result.stdout.splitlines()
    assert line.startswith(f"::warning file={NAME},line=6,col=")
    assert "50%25" in line
    assert "\n::error" not in result.stdout


SARIF = json.loads((Path(__file__).parent / "sarif/sarif-schema-2.1.0.json").read_bytes())


def test_sarif_is_what_its_schema_asks_for(run: Run, save: Save, good: str) -> None:
    """Real output, of every severity, of a file with an odd name and of one that has no line."""
    validator = jsonschema.validators.validator_for(SARIF)(
        SARIF, format_checker=jsonschema.FormatChecker()
    )
    save(NAME, good.replace('weight="10"', 'weight="x" system="true"').replace("1.0.0", "v1"))
    save("b % ü #1/atlassian-connect.json", '{"key": "a b", "baseUrl": "x", "modules": []}')
    save("c/" + NAME, good)
    Path("c/up.jar").write_bytes(b"no JAR")

    for arguments in ([], ["."], ["c"], ["c/up.jar"]):
        log = json.loads(run("validate", *arguments, "--format", "sarif").stdout)
        assert [each.message for each in validator.iter_errors(log)] == []

    levels = {
        each["level"]
        for each in json.loads(run("validate", ".", "--format", "sarif").stdout)["runs"][0][
            "results"
        ]
    }
    assert levels == {"error", "warning", "note"}


def test_sarif_has_what_the_standard_asks_for(run: Run, save: Save, good: str) -> None:
    """What no schema tells: rules by their index, levels, regions: SARIF 2.1.0 §3.13 to §3.30."""
    save(NAME, good.replace('weight="10"', 'weight="x"').replace(' name="Acme" plug', " plug"))

    log = json.loads(run("validate", "--format", "sarif").stdout)

    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (the_run,) = log["runs"]
    assert set(the_run) == {"tool", "columnKind", "results"}
    assert the_run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = the_run["tool"]["driver"]
    assert driver["name"] == "upm-dev"
    for each in the_run["results"]:
        assert driver["rules"][each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["level"] in ("none", "note", "warning", "error")
        assert each["message"]["text"]
        (place,) = each["locations"]
        region = place["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1
    assert {each["ruleId"] for each in the_run["results"]} == {"X107", "X206"}


def test_junit_is_xml_that_counts(run: Run, save: Save, good: str) -> None:
    """Failures are the errors; a file without any is a test that passed."""
    save("a/" + NAME, good)
    save("b/" + NAME, good.replace('weight="10"', 'weight="x"'))

    result = run("validate", "--format", "junit", ".")

    root = etree.fromstring(result.stdout.encode())
    assert root.get("failures") == "1"
    assert len(root.findall("testsuite")) == 2
    failure = root.find(".//failure")
    assert failure is not None
    assert failure.get("type") == "X206"


def test_nothing_raw_reaches_the_terminal(run: Run, save: Save, good: str) -> None:
    """Escape, bidi and zero-width characters are written out."""
    save(NAME, good.replace('"com.acme.app"', '"com.acme\u202eapp\u200b"') + "<!-- \x85 -->")

    for form in ("text", "github", "json"):
        shown = run("validate", "--format", form).stdout
        assert "\u202e" not in shown
        assert "\u200b" not in shown


def test_a_jar_is_looked_into(run: Run, save: Save, good: str, tmp_path: Path) -> None:
    """Its descriptor is checked as built, classes and resources against its entries."""
    descriptor = good.replace(
        "</atlassian-plugin>",
        '<component key="c" class="com.acme.Servise"/>\n'
        '<component key="d" class="com.acme.Service"/>\n'
        '<web-resource key="w"><resource type="download" name="a.js" location="js/b.js"/>'
        "</web-resource>\n</atlassian-plugin>",
    )
    with zipfile.ZipFile(tmp_path / "app.jar", "w") as jar:
        jar.writestr(NAME, descriptor)
        jar.writestr("com/acme/Service.class", b"")
        jar.writestr("js/a.js", b"")

    result = run("validate", "app.jar", "--format", "json")

    inside = f"app.jar!/{NAME}"
    assert [each[:3] for each in found(result)] == [("P802", inside, 7), ("P803", inside, 9)]


def test_a_jar_without_a_descriptor_or_none_at_all(run: Run, save: Save, tmp_path: Path) -> None:
    """No descriptor at the root, no zip, nothing there: a clear word each."""
    with zipfile.ZipFile(tmp_path / "empty.jar", "w") as jar:
        jar.writestr("lib/atlassian-plugin.xml", b"<atlassian-plugin/>")
    save("broken.jar", b"PK\x03\x04 not really")

    assert [each[0] for each in found(run("validate", "empty.jar", "--format", "json"))] == ["G007"]
    assert [each[0] for each in found(run("validate", "broken.jar", "--format", "json"))] == [
        "G010"
    ]
    assert [each[0] for each in found(run("validate", "none.jar", "--format", "json"))] == ["S003"]


def test_an_obr_holds_the_plugin(run: Run, save: Save, good: str, tmp_path: Path) -> None:
    """The JAR at its root is the plugin; those below dependencies/ are not looked at."""
    with zipfile.ZipFile(tmp_path / "inner.jar", "w") as jar:
        jar.writestr(NAME, good.replace('weight="10"', 'weight="x"'))
    with zipfile.ZipFile(tmp_path / "app.obr", "w") as obr:
        obr.writestr("obr.xml", b"<repository/>")
        obr.write(tmp_path / "inner.jar", "app-1.0.jar")
        obr.write(tmp_path / "inner.jar", "dependencies/other.jar")

    result = run("validate", "app.obr", "--format", "json")

    assert [each[:2] for each in found(result)] == [("X206", f"app.obr!/app-1.0.jar!/{NAME}")]


def test_the_project_beside_it_is_known(run: Run, save: Save, good: str) -> None:
    """pom.xml fills placeholders; labels, classes and resources are looked up."""
    save(
        "pom.xml",
        "<project><groupId>com.acme</groupId><artifactId>app</artifactId><version>2.0</version>"
        "<properties><weight>ten</weight></properties></project>",
    )
    save("src/main/java/com/acme/Service.java", "package com.acme; class Service {}")
    save("src/main/kotlin/K.kt", "package com.acme.k\nclass First\nobject Second\n")
    save("src/main/resources/acme.properties", "com.acme.menu = Menu\n")
    save("src/main/resources/js/app.js", "")
    save(
        f"src/main/resources/{NAME}",
        '<atlassian-plugin key="${project.groupId}.${project.artifactId}" name="Acme" '
        'plugins-version="2">\n'
        "<plugin-info><version>${project.version}</version>"
        '<vendor name="Acme" url="https://acme.example"/></plugin-info>\n'
        '<resource type="i18n" name="i18n" location="acme"/>\n'
        '<web-section key="a" location="l" weight="${weight}"/>\n'
        '<web-section key="b" location="l" weight="1"><label key="com.acme.menue"/></web-section>\n'
        '<component key="c" class="com.acme.Servic"/>\n'
        '<component key="d" class="com.acme.k.Second"/>\n'
        '<component key="e" class="com.atlassian.Host"/>\n'
        '<web-resource key="w"><resource type="download" name="a" location="js/ap.js"/>'
        "<dependency>com.acme.app:gone</dependency></web-resource>\n"
        "</atlassian-plugin>\n",
    )

    result = run("validate", "--format", "json")

    assert [(code, line) for code, _, line, _ in found(result)] == [
        ("X206", 4),
        ("P801", 5),
        ("P802", 6),
        ("P803", 9),
        ("X314", 9),
    ]


def test_several_projects_keep_their_names(run: Run, save: Save, good: str) -> None:
    """Positions lead there from the current folder, settings are each project's own."""
    save("a/upm-dev.toml", "[validate]\nignore = ['X206']\n")
    save("b/upm-dev.toml", "")
    bad = good.replace('weight="10"', 'weight="x"')
    save(f"a/{NAME}", bad)
    save(f"b/{NAME}", bad)

    result = run("validate", "--format", "json", "a", "b")

    assert [each[:2] for each in found(result)] == [("X206", f"b/{NAME}")]


def test_quiet_shows_errors_alone(run: Run, save: Save, good: str) -> None:
    """-q: no warnings, no summary."""
    save(NAME, good.replace("plugins-version", "pluginsVersion"))

    assert run("validate", "-q").stdout == ""


def test_our_own_address_is_no_mistake(run: Run, save: Save) -> None:
    """`{{localBaseUrl}}` becomes http://localhost:8000 for now: nobody wrote that."""
    descriptor = {
        "key": "com.acme.app",
        "name": "Acme",
        "baseUrl": "{{localBaseUrl}}",
        "authentication": {"type": "none"},
        "scopes": ["READ"],
    }
    save("atlassian-connect.json", json.dumps(descriptor))
    result = run("validate", "--format", "json", "--profile", "cloud")
    assert [code for code, *_ in found(result)] == ["E701"]

    save("atlassian-connect.json", json.dumps({**descriptor, "baseUrl": "http://localhost:8000"}))
    result = run("validate", "--format", "json", "--profile", "cloud")
    assert [code for code, *_ in found(result)] == ["E701", "E704", "J506"]
