"""The pages of operations are complete: each fault has a test that is there, each line of `doctor` is explained."""

from __future__ import annotations

import re

from tests.docs.blocks import ROOT
from tests.proofs.catalog import proofs

ROWS = 28  #: of the failure model's windows, from 0 on


def table(page: str) -> list[list[str]]:
    """Rows of the first table of a page, cell by cell."""
    lines = (ROOT / "docs/operations" / page).read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("|---"))
    rows = []
    for line in lines[first + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_every_window_of_the_failure_model_has_a_test_that_is_there() -> None:
    rows = table("faults.md")
    assert [int(number) for number, *_ in rows if number] == list(range(ROWS))
    for *_, tests in rows:
        files, figures = re.findall(r"`([^`]+)`", tests), re.findall(r"\bF\d+\b", tests)
        assert files or figures, tests
        assert [path for path in files if not (ROOT / path).is_file()] == []
        assert [name for name in figures if name not in proofs()] == []


def test_every_line_of_doctor_is_explained() -> None:
    sources = [ROOT / "flowlang/cli" / name for name in ("checks.py", "key_checks.py", "commands/doctor.py")]
    said = {name for path in sources for name in re.findall(r'Check\(\s*"([^"]+)"', path.read_text(encoding="utf-8"))}
    explained = [re.fullmatch(r"`([^`]+)`", name) for name, *_ in table("doctor.md")]
    assert {match[1] for match in explained if match} == said
