"""The pipelines of these tests: chains of five calls, some of them with a fan-out in the middle."""

from __future__ import annotations

from flowlang.plan import EventTrigger, Foreach, Plan, RetryRule, Step, Uses
from tests.unit.engine.building import plan, sets, uses

KEYS = ("a", "b", "c", "d", "e")
ITEMS = 4


def chain(*, ms: int = 20, handler: str = "work.do", queue: str = "default", keys: tuple[str, ...] = KEYS) -> Plan:
    """Steps of which each counts on from the one before; started by `e2e/chain`, output n + 5."""
    outputs = [f"${{{{ steps.{key}.output }}}}" for key in keys]
    inputs = ["${{ event.data.n }}", *outputs[:-1]]
    steps = [uses(key, handler, {"n": given, "ms": ms}) for key, given in zip(keys, inputs, strict=True)]
    return plan(*steps, pipeline="chain", on="e2e/chain", output=outputs[-1], queue=queue)


def fan(*, ms: int = 20) -> Plan:
    """The same, but the third step is made for four items side by side; started by `e2e/fan`, output n + 5."""
    return plan(
        uses("a", "work.do", {"n": "${{ event.data.n }}", "ms": ms}),
        uses("b", "work.do", {"n": "${{ steps.a.output }}", "ms": ms}),
        sets("four", list=list(range(ITEMS))),
        uses(
            "c",
            "work.do",
            {"n": "${{ steps.b.output + item }}", "ms": ms},
            foreach=Foreach("steps.four.output.list"),
        ),
        uses("d", "work.do", {"n": "${{ steps.c.output[0] }}", "ms": ms}),
        uses("e", "work.do", {"n": "${{ steps.d.output }}", "ms": ms}),
        pipeline="fan",
        on="e2e/fan",
        output="${{ steps.e.output }}",
    )


def one(handler: str, *, timeout_ms: int = 60_000, retry: tuple[tuple[RetryRule, ...], ...] = ()) -> Plan:
    """A single call, of the step `a`; started by `e2e/one`."""
    step = Step(0, "a", Uses(handler, timeout_ms=timeout_ms), retry=retry)
    return Plan("one", (step,), (0,), triggers=(EventTrigger(("e2e/one",)),))


#: Instances of handlers in a run, and those that are written down when they end.
CALLS = {"chain": set(KEYS), "fan": {"a", "b", "d", "e", *(f"c[{n}]" for n in range(ITEMS))}}
CHECKPOINTS = {"chain": CALLS["chain"], "fan": CALLS["fan"] | {"c", "four"}}
