"""What handlers' hints mark as sensitive is followed at validate time, and goes with the plan to where runs are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.plan import MarkedHints, plan_from_json
from flowlang.project import load_project
from flowlang.project.load import Project
from tests.unit.project.projects import PROJECT_FILE, write_project

PLAIN = """
from flowlang import Sensitive, handler


@handler("bank.pay", effect="keyed")
def pay(card: Sensitive[str], cents: int) -> Sensitive[str]:
    return card
"""
MODEL = """
from pydantic import BaseModel

from flowlang import Sensitive, handler


class Receipt(BaseModel):
    id: str
    token: Sensitive[str]


@handler("bank.pay", effect="keyed")
def pay(card: Sensitive[str], cents: int) -> Receipt:
    return Receipt(id="r", token=card)
"""


def load(folder: Path, handlers: str, more: str) -> Project:
    pipeline = f"""
flowlang: 1
pipeline: p
steps:
  - {{id: pay, uses: bank.pay, with: {{card: "4242", cents: 1}}}}
{more}
"""
    files = {"flowlang.yaml": PROJECT_FILE, "handlers/bank.py": handlers, "pipelines/p.yaml": pipeline}
    return load_project(write_project(folder, files), entry_points=False)


@pytest.mark.parametrize(
    ("handlers", "more", "codes"),
    [
        (PLAIN, 'output: "${{ steps.pay.output }}"', ["FL604"]),
        (PLAIN, 'labels: {a: "b"}', []),
        (MODEL, 'output: "${{ steps.pay.output.token }}"', ["FL604"]),
        (MODEL, 'output: "${{ steps.pay.output.id }}"', []),
        (MODEL, '  - {id: b, set: {t: "${{ steps.pay.output.token }}"}}', []),
    ],
)
def test_a_marked_result_is_not_to_be_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handlers: str, more: str, codes: list[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = load(tmp_path / "p", handlers, more).diagnostics
    assert [item.code for item in found if item.severity == "error"] == codes


def test_the_plan_has_the_hints_that_mark_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plan = load(tmp_path / "p", PLAIN, "").plans["p"]
    marked = {"type": "string", "x-sensitive": True}
    assert plan.marked == {"bank.pay": MarkedHints({"card": marked}, marked)}
    assert plan_from_json(plan.to_json()).marked == plan.marked
    unmarked = PLAIN.replace("Sensitive[str]", "str")
    assert load(tmp_path / "q", unmarked, "").plans["p"].marked == {}
