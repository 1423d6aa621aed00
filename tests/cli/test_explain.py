"""Every code that any face can show has a page."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import devserver
from devserver.cli import main

PACKAGE = Path(devserver.__file__).parent
CODE = re.compile(r"[A-Z]{1,4}\d{3}|[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+")
NO_CODES = {"RSA-SHA1", "HMAC-SHA256", "HS256", "RS256", "UTF-8", "UTF-16", "UTF-32"}
"""Names of algorithms and encodings, which look alike."""


def codes() -> Iterator[str]:
    """Every literal of the package that looks like a code; the simulator's are its own."""
    for file in PACKAGE.rglob("*.py"):
        if "simulator" in file.relative_to(PACKAGE).parts:
            continue
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and CODE.fullmatch(text) and text not in NO_CODES:
                yield text


@pytest.mark.parametrize("code", sorted(set(codes())))
def test_every_code_has_a_page(code: str) -> None:
    """`upm-dev explain CODE` prints it."""
    result = CliRunner().invoke(main, ["explain", code])

    assert result.exit_code == 0, result.output
    assert code in result.output
    assert len(result.output.strip()) > len(code) + 20
