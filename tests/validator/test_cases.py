"""Further cases of single rules: the sides that the pages' examples do not show."""

import json

import pytest
from corpus import examined

HEAD = """\
<atlassian-plugin key="com.acme.app" name="Acme" plugins-version="2">
<plugin-info><version>1.0</version><vendor name="Acme" url="https://acme.example"/>{}</plugin-info>
"""
RESOURCE = '<web-resource key="w"><resource {}/></web-resource>'
SERVLET = '<servlet key="s" class="com.acme.S"><url-pattern>/admin/*</url-pattern></servlet>'

XML: tuple[tuple[str, str, set[str]], ...] = (
    ("", '<web-item key="a" weight="1"><label key="l"/><link>/a</link></web-item>', {"X301"}),
    (
        "",
        '<web-item key="a" location="l" weight="1"><label key="l"/><link>/</link></web-item>',
        {"X303"},
    ),
    ("", '<web-section key="a" weight="1"/>', {"X303"}),
    ("", '<servlet key="s"><url-pattern>/x</url-pattern></servlet>', {"X305"}),
    ("", '<servlet key="s" class="a.S"><url-pattern>x</url-pattern></servlet>', {"X309"}),
    ("", '<servlet key="s" class="a.S"><url-pattern> </url-pattern></servlet>', {"X305"}),
    ("", '<rest key="r"/>', {"X311"}),
    ("", '<rest key="r" path="/r" version="one"/>', {"X311"}),
    ("", '<component key="c" class="a.C" public="false"/>', {"X312"}),
    ("", '<component key="c"/>', {"X312"}),
    ("", '<component-import key="c"/>', {"X312"}),
    ("", '<component key="c" class="C"/>', {"X213"}),
    (
        "",
        '<component key="c" alias="x" class="a.C"/><component key="d" alias="x" class="a.D"/>',
        {"X313"},
    ),
    ("", '<ao key="a" namespace="n"><entity>a.B</entity><entity>a.B</entity></ao>', {"X317"}),
    ("", '<xhtml-macro key="m"/>', {"X322"}),
    ("", '<template-context-item key="t" class="a.C"/>', {"X323"}),
    ("", RESOURCE.format('type="download" name="a" namePattern="b"'), {"X207"}),
    ("", RESOURCE.format('type="download" namePattern="b" location="x"'), {"X207"}),
    ("", RESOURCE.format('type="download" name="b"'), {"X207"}),
    ("", RESOURCE.format('name="b" location="c"'), {"X207"}),
    ("", '<web-section key="s" location="l" weight="1" application="jria"/>', {"X205"}),
    ("", '<web-section key="s:t" location="l" weight="1"/>', {"X203"}),
    ("", '<web-section key="s&amp;t" location="l" weight="1"/>', {"X203"}),
    ("", '<foo key="f"/>', {"X204"}),
    (  # a Confluence blueprint: the dialog shows its name
        "",
        '<web-item key="b" i18n-name-key="b.name" section="system.create.dialog/content">'
        '<param name="blueprintKey" value="b"/></web-item>',
        set(),
    ),
    ("", '<customBuildProcessorServer key="c" name="c" class="a.C"/>', set()),
    ("", '<web-resource key="w"><dependency/></web-resource>', {"X314"}),
    ("", '<module-type key="foo" class="a.F"/><foo key="f"/>', set()),
    ("<param>x</param>", SERVLET, {"X119"}),
    ('<param name="configure.url">http://x</param>', SERVLET, {"X120"}),
    ('<param name="configure.url">/plugins/servlet/admin/x</param>', SERVLET, set()),
    (
        '<param name="configure.url">/admin/plugins/b/x</param>',
        '<xwork key="x" name="x"><package name="p" namespace="/admin/plugins/a"/></xwork>',
        {"X120"},
    ),
    ('<param name="atlassian-data-center-status">yes</param>', SERVLET, {"X118"}),
    ('<application-version min="3.1.2"/>', SERVLET, {"X115"}),
    ("", '<remote-web-item key="r" section="s"/>', {"R402"}),
    ("", '<webhook key="w" event="page_created" url="w"/>', {"R403"}),
    ("", '<webhook key="w" event="page_created" urll="/w"/>', {"R402"}),
    ("", '<remote-plugin-container key="c" display-url="https://a.example/"/>', {"R404", "R411"}),
    ("", '<remote-plugin-container key="c" display-url="http://a.example"/>', {"R404", "R411"}),
    (
        "",
        '<general-page key="g" url="/g"><conditions><condition name="a" url="/b"/>'
        "</conditions></general-page>",
        {"R408"},
    ),
)


@pytest.mark.parametrize(("info", "modules", "codes"), XML)
def test_xml_cases(info: str, modules: str, codes: set[str]) -> None:
    """Exactly these rules answer."""
    text = f"{HEAD.format(info)}{modules}</atlassian-plugin>"

    result = examined(text.encode(), is_json=False)

    assert {each.code for each in result.diagnostics} == codes


BASE = {
    "key": "com.acme.app",
    "name": "Acme",
    "baseUrl": "https://a.example",
    "authentication": {"type": "none"},
    "scopes": ["READ"],
}
PAGE = {"key": "p", "name": {"value": "P"}, "url": "/p"}

JSON: tuple[tuple[dict[str, object], set[str]], ...] = (
    ({}, set()),
    ({"key": "x" * 70}, {"J502"}),
    ({"key": 7}, {"J502"}),
    ({"baseUrl": 7}, {"J504"}),
    ({"baseUrl": "http://a.example"}, {"J504"}),
    ({"baseUrl": "https://a.example:3000"}, {"E702"}),
    ({"authentication": "jwt"}, {"J508"}),
    ({"authentication": {"type": "jwt"}, "lifecycle": {"installed": "/i"}}, {"J515"}),
    ({"authentication": {}, "lifecycle": {}}, {"J507"}),
    ({"scopes": "READ"}, {"J509"}),
    ({"scopes": [1, "read"]}, {"J509"}),
    ({"scopes": ["repository"]}, set()),
    ({"scopes": ["ACCESS_EMAIL_ADDRESSES"]}, {"J512"}),
    ({"apiVersion": True}, {"J513"}),
    ({"lifecycle": []}, {"J517"}),
    ({"lifecycle": {"installed": "installed"}}, {"J517"}),
    ({"links": {"x": "-----BEGIN PRIVATE KEY-----"}}, {"J518"}),
    ({"weird": 1}, {"J516"}),
    ({"modules": []}, {"J601"}),
    ({"modules": {"webItems": [1]}}, {"J601"}),
    ({"modules": {"webItems": "x"}}, {"J601"}),
    ({"modules": {"configurePage": [PAGE]}}, {"J602"}),
    ({"modules": {"zzzzzz": []}}, {"J603"}),
    ({"modules": {"generalPages": [{**PAGE, "key": 1}]}}, {"J604"}),
    ({"modules": {"generalPages": [{**PAGE, "key": "a" * 101}]}}, {"J604"}),
    ({"modules": {"generalPages": [{**PAGE, "name": {}}]}}, {"J606"}),
    ({"modules": {"generalPages": [{**PAGE, "wieght": 1}]}}, {"J516"}),
    ({"modules": {"generalPages": [{**PAGE, "url": "/a b"}]}}, {"J609"}),
    ({"modules": {"generalPages": [{**PAGE, "icon": {"url": "http://x.example/i"}}]}}, {"J610"}),
    ({"modules": {"generalPages": [{**PAGE, "location": " "}]}}, {"J615"}),
    ({"modules": {"generalPages": [{**PAGE, "location": 1}]}}, {"J615"}),
    ({"modules": {"generalPages": [{**PAGE, "conditions": [1]}]}}, {"J614"}),
    (
        {
            "modules": {
                "generalPages": [{**PAGE, "conditions": [{"or": [{"condition": "user_is_admin"}]}]}]
            }
        },
        set(),
    ),
    (
        {"modules": {"generalPages": [{**PAGE, "conditions": [{"condition": "x", "params": 1}]}]}},
        {"J612", "J614"},
    ),
    ({"modules": {"webhooks": [{"event": "issue_created", "url": "/w"}]}}, {"J616"}),
    ({"modules": {"webhooks": [{"event": "wholly:unheard", "url": "/w"}]}}, {"J616"}),
    (
        {"modules": {"webItems": [{**PAGE, "location": "l", "target": {"type": "dialogmodule"}}]}},
        {"J618"},
    ),
    (
        {
            "modules": {
                "dynamicContentMacros": [
                    {**PAGE, "parameters": [{"identifier": "a", "type": "enum"}]}
                ]
            }
        },
        {"J620"},
    ),
    ({"modules": {"jiraBuildInfoProvider": {**PAGE}}}, {"J607"}),
)


@pytest.mark.parametrize(("change", "codes"), JSON)
def test_connect_cases(change: dict[str, object], codes: set[str]) -> None:
    """Exactly these rules answer, the notice of the end of Connect aside."""
    result = examined(json.dumps({**BASE, **change}).encode(), is_json=True)

    assert {each.code for each in result.diagnostics} - {"E701"} == codes


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("<project><a/></project>", "pom.xml"),
        ('<application key="a"/>', "part of a descriptor"),
        ('{"app": {}, "permissions": {}}', "Forge"),
        ('{"dependencies": {}}', "package.json"),
        ('{"key": "a", "capabilities": {"glance": []}}', "HipChat"),
        ('{"key": "a", "baseUrl": "https://a", "capabilities": {}}', "2013"),
    ],
)
def test_look_alikes_are_named(text: str, word: str) -> None:
    """What is no descriptor is recognised."""
    result = examined(text.encode(), is_json=text.startswith("{"))

    assert any(word in each.message for each in result.diagnostics)
