"""Real descriptors, where they are at hand: `UPM_DEV_CORPUS`, else `../shared/corpus` beside us.

They belong to their owners and are measured, never shipped.
"""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from devserver.descriptor.decode import decode
from devserver.descriptor.document import Context
from devserver.descriptor.judge import Examined, Placer, judge

ROOT = Path(
    os.environ.get("UPM_DEV_CORPUS") or Path(__file__).parents[2] / "shared" / "corpus"
).resolve()

needed = pytest.mark.skipif(not ROOT.is_dir(), reason=f"no corpus of real descriptors in {ROOT}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of the corpus; `line` is where it is ill-formed, 0 where it is well-formed."""

    file: str
    data: bytes
    well_formed: bool
    error: str
    template: str
    released: bool

    @property
    def is_json(self) -> bool:
        return self.file.endswith(".json")


def samples() -> list[Sample]:
    """Every descriptor of the corpus; none where it is not at hand."""
    if not ROOT.is_dir():
        return []
    with (ROOT / "INDEX.tsv").open(encoding="utf-8", newline="") as index:
        return [_sample(row) for row in csv.DictReader(index, delimiter="\t")]


def _sample(row: Mapping[str, str]) -> Sample:
    return Sample(
        file=row["file"],
        data=(ROOT / row["file"]).read_bytes(),
        well_formed=row["wellformed"] == "yes",
        error=row["error"],
        template=row["template"],
        released=not row["context"],
    )


def examined(data: bytes, *, is_json: bool, name: str = "descriptor") -> Examined:
    """What `validate` makes of these bytes, with nothing known beside them."""
    text, flaws = decode(data, xml=not is_json)
    if text is None:
        return Examined(None)
    return judge(text, data, is_json, flaws, Placer(name), Context(whole=False))
