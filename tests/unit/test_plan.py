"""Stored plans: each release reads its own format and the one before, and nothing that it would understand wrongly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowlang import jsondata, plan
from flowlang.plan import PLAN_FORMAT, Plan, PlanFormatError, Sleep, Step, Undo, Uses, calls, plan_from_json

#: One stored plan of each format, with every word that it has. A word that is added after a release makes a format of
#: its own, which adds a file here; only the file of a format that no release has written may still grow.
HISTORIES = Path(__file__).parents[1] / "histories"


def stored(**words: Any) -> bytes:
    return jsondata.dumps({"pipeline": "p", "steps": [], "block": [], "plan_format": PLAN_FORMAT, **words})


@pytest.mark.parametrize("number", [n for n in (PLAN_FORMAT - 1, PLAN_FORMAT) if n > 0])
def test_a_plan_of_this_format_and_of_the_one_before_keeps_every_word(number: int) -> None:
    text = (HISTORIES / f"plan-format-{number}.json").read_bytes()
    read = plan_from_json(text)
    assert jsondata.loads(read.to_json()) == jsondata.loads(text)


def test_the_history_of_this_format_has_every_word_of_a_plan() -> None:
    tree = jsondata.loads((HISTORIES / f"plan-format-{PLAN_FORMAT}.json").read_bytes())
    assert tree.keys() == set(Plan.__struct_fields__)
    steps: set[str] = set().union(*tree["steps"])
    assert steps == set(plan.Step.__struct_fields__)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(PLAN_FORMAT + 1, "update the worker"), (PLAN_FORMAT - 2, "deploy the pipeline again")],
)
def test_other_formats_are_refused_with_what_to_do(number: int, advice: str) -> None:
    with pytest.raises(PlanFormatError, match=advice):
        plan_from_json(stored(plan_format=number))
    assert plan_from_json(stored(plan_format=PLAN_FORMAT - 1)).pipeline == "p"


@pytest.mark.parametrize(
    "words",
    [
        {"mood": "good"},
        {"steps": [{"index": 0, "key": "a", "verb": {"type": "stop", "softly": True}}]},
        {"steps": [{"index": 0, "key": "a", "verb": {"type": "dream"}}]},
        {"concurrency": {"limit": 1, "on_limit": "explode"}},
    ],
)
def test_a_word_that_this_release_does_not_know_is_not_passed_over(words: dict[str, Any]) -> None:
    with pytest.raises(PlanFormatError, match="update the worker"):
        plan_from_json(stored(**words))


def test_the_format_is_always_written_since_each_release_has_another_default() -> None:
    assert jsondata.loads(Plan("p", (), ()).to_json())["plan_format"] == PLAN_FORMAT


def test_the_calls_of_a_plan_are_those_of_its_steps_and_of_their_undos() -> None:
    charge = Step(0, "charge", Uses("pay.charge"), undo=Undo(Uses("pay.refund")))
    steps = (charge, Step(1, "wait", Sleep("1h")), Step(2, "tell", Uses("mail.send")))
    assert [call.handler for call in calls(Plan("p", steps, (0, 1, 2)))] == ["pay.charge", "pay.refund", "mail.send"]
