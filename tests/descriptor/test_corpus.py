"""Real descriptors: no false alarm on what was shipped, and every broken file found where it is."""

import re
from collections import Counter

import corpus
import pytest

from devserver.model import Severity

pytestmark = corpus.needed

GENUINE = {
    ("p2-xml/atlassian-labs__dc-migration-assistant__12.xml", "X301"): "web-item without a label",
    ("p2-xml/mrdon__PLUG__19.xml", "X307"): "filter locations of before framework 2.1",
    ("connect-json/gracz21__jira-test-env-bot__2.json", "J504"): 'baseUrl is "TBD"',
    (
        "connect-json/thecatontheflat__atlassian-connect-bundle__1.json",
        "J504",
    ): 'baseUrl is "___", to be filled in',
    (
        "connect-json/kovacsv__Online3DViewerConfluence__1.json",
        "J609",
    ): "module url without a slash, against a baseUrl with one",
    ("connect-json/kovacsv__Online3DViewerConfluence__2.json", "J609"): "as before",
    ("connect-json/mahmoudimus__ac__65.json", "J508"): "oauth, legal until August 2015",
    ("connect-json/mahmoudimus__ac__67.json", "J508"): "oauth, legal until August 2015",
    ("connect-json/mahmoudimus__ac__68.json", "J604"): "no module keys: optional until 2014",
    ("connect-json/mahmoudimus__ac__70.json", "J604"): "no module keys: optional until 2014",
}
"""Errors that released files really have."""

PLAY_TEMPLATE = "@scala"
"""Such a file calls a function that makes the XML: nothing can be parsed before it is run."""


def test_no_error_on_what_was_shipped_but_the_genuine_ones() -> None:
    """Well-formed released files have exactly the errors that were looked at by hand."""
    found = {
        (sample.file, each.code)
        for sample in corpus.samples()
        if sample.well_formed and sample.released
        for each in corpus.examined(sample.data, is_json=sample.is_json).errors
    }
    assert found == set(GENUINE)


@pytest.mark.parametrize(
    "sample",
    [each for each in corpus.samples() if not each.well_formed],
    ids=lambda each: each.file,
)
def test_ill_formed_files_are_found_at_their_line(sample: corpus.Sample) -> None:
    """An error at the line, or, where only a template's parts were in the way, a remark."""
    result = corpus.examined(sample.data, is_json=sample.is_json)

    codes = {each.code for each in result.errors}
    if not codes & {"G001", "G002", "G003", "G009"}:
        assert [each for each in result.warnings() if each.code == "G005"]
        assert sample.template
        return
    line = re.search(r"line (\d+)", sample.error)
    assert line
    mismatch = re.search(r"and \S+, line (\d+)", sample.error)
    expected = int((mismatch or line)[1])
    assert result.errors[0].position.line == expected


def test_template_preambles_and_placeholders_are_no_errors() -> None:
    """Velocity preambles, FreeMarker and tokens in xmlns parse once they are masked."""
    masked = [
        each
        for each in corpus.samples()
        if not each.well_formed
        and ("velocity" in each.template or "is not a valid URI" in each.error)
    ]
    assert masked
    for sample in masked:
        result = corpus.examined(sample.data, is_json=sample.is_json)
        assert result.document is not None, sample.file


def test_warnings_are_few() -> None:
    """At most three a file on average, for files that were released."""
    released = [each for each in corpus.samples() if each.released and each.well_formed]
    per_file = Counter(
        sample.file
        for sample in released
        for each in corpus.examined(sample.data, is_json=sample.is_json).warnings()
        if each.severity is Severity.WARNING
    )
    assert sum(per_file.values()) / len(released) <= 3
