"""What a process serves: handlers that are missing, changed or fit, and plans of other releases."""

from __future__ import annotations

import pytest

from flowlang import handler
from flowlang.engine.program import Program
from flowlang.handler.registry import Registry
from flowlang.plan import Plan, PlanFormatError, Step, Undo, Uses
from flowlang.service import NotDeployedError
from flowlang.worker.serving import Serving, judge


@handler("pay.charge", effect="keyed")
def charge(order: str, currency: str = "EUR") -> None:
    """Take one argument, and another that has a default."""


@handler("any.thing", effect="pure")
def anything(**values: object) -> None:
    """Take whatever is given."""


REGISTRY = Registry.of(charge, anything)
DIGEST = REGISTRY["pay.charge"].signature().digest


def plan(*calls: Uses, handlers: dict[str, str] | None = None, undo: Undo | None = None) -> Plan:
    steps = tuple(Step(n, f"s{n}", call, undo=undo) for n, call in enumerate(calls))
    return Plan("p", steps, tuple(range(len(steps))), handlers=handlers or {})


ONE = {"order": "${{ event.data.id }}"}


@pytest.mark.parametrize(
    ("made", "kind", "why"),
    [
        (plan(), "serves", ""),
        (plan(Uses("pay.charge", ONE)), "serves", ""),
        (plan(Uses("pay.charge", ONE), handlers={"pay.charge": DIGEST}), "serves", ""),
        (plan(Uses("pay.charge", {**ONE, "currency": "CHF"})), "serves", ""),
        (plan(Uses("any.thing", {"x": 1})), "serves", ""),
        (plan(Uses("pay.charge", ONE), Uses("pay.refund")), "refuses", "no handler 'pay.refund'"),
        (plan(Uses("pay.charge", ONE), undo=Undo(Uses("pay.refund"))), "refuses", "no handler 'pay.refund'"),
        (plan(Uses("pay.charge", {**ONE, "tip": 1})), "refuses", "takes no argument 'tip'"),
        (plan(Uses("pay.charge", {"currency": "CHF"})), "refuses", "needs the argument 'order'"),
        (plan(Uses("pay.charge", ONE), handlers={"pay.charge": "other"}), "defers", "'pay.charge' has another signature"),
    ],
)  # fmt: skip
def test_a_version_is_served_when_its_calls_fit(made: Plan, kind: str, why: str) -> None:
    verdict = judge(made, REGISTRY)
    assert verdict.kind == kind
    assert why in verdict.why


class Plans:
    """Versions as a store has them."""

    def __init__(self, **plans: Plan | Exception) -> None:
        self.plans = plans
        self.read: list[str] = []

    def program(self, version: str) -> Program:
        self.read.append(version)
        found = self.plans[version]
        if isinstance(found, Exception):
            raise found
        return Program(found, version)


def test_each_version_is_judged_once_and_the_declined_ones_are_named() -> None:
    changed = plan(Uses("pay.charge", ONE), handlers={"pay.charge": "other"})
    plans = Plans(
        fits=plan(),
        lacks=plan(Uses("x.y")),
        changed=changed,
        foreign=PlanFormatError("plan format 9"),
        gone=NotDeployedError("no such plan"),
    )
    serving = Serving(plans.program, REGISTRY)
    first, again = ({version: serving.verdict(version).kind for version in plans.plans} for _ in range(2))
    assert first == again == {
        "fits": "serves", "lacks": "refuses", "changed": "defers", "foreign": "refuses", "gone": "refuses",
    }  # fmt: skip
    assert serving.declined() == (("foreign", "gone", "lacks"), ("changed",))
    assert sorted(plans.read) == sorted(plans.plans)


def test_a_new_manifest_is_judged_before_its_runs_come_and_what_was_declined_is_judged_again() -> None:
    plans = Plans(lacks=plan(Uses("x.y")), gone=NotDeployedError("no such plan"))
    serving = Serving(plans.program, REGISTRY)
    serving.review(["lacks", "gone"])
    assert serving.declined() == (("gone", "lacks"), ())
    plans.plans["gone"] = plan()
    serving.review([])
    assert serving.declined() == (("lacks",), ())
