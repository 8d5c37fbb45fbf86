"""What a pipeline becomes: numbers, policies, time-outs, vars, versions."""

from __future__ import annotations

from flowlang.plan import CronTrigger, Foreach, Parallel, Plan, RetryRule, Steps, Switch, Tolerate, Uses, plan_from_json
from tests.unit.compiler.compiling import compile_text, findings

HEAD = "flowlang: 1\npipeline: p\n"

#: Findings about what is declared and not used, which changes no plan.
UNUSED = {"FL306", "FL318"}


def plan(text: str, **more: object) -> Plan:
    compiled = compile_text(HEAD + text, **more)  # type: ignore[arg-type]
    assert [found for found in findings(compiled) if found[0] not in UNUSED] == []
    return compiled.plans["p"]


def test_steps_are_numbered_as_they_are_written_and_know_the_loops_around_them() -> None:
    lowered = plan("""
steps:
  - id: outer
    foreach: {in: "[1, 2]", as: row, max_parallel: 3}
    steps:
      - {id: a, uses: any.thing}
      - id: inner
        foreach: {in: "[row]", as: cell}
        parallel:
          - {id: b, uses: any.thing}
          - {emit: x/y}
  - {id: last, set: {x: 1}}
""")
    assert [step.key for step in lowered.steps] == ["outer", "a", "inner", "b", "emit-5", "last"]
    assert [step.loops for step in lowered.steps] == [(), (0,), (0,), (0, 2), (0, 2), ()]
    assert lowered.block == (0, 5)
    assert lowered.steps[0].verb == Steps((1, 2))
    assert lowered.steps[0].foreach == Foreach("[1, 2]", "row", 3)
    assert lowered.steps[2].verb == Parallel((3, 4))
    assert not lowered.steps[4].named


def test_a_cron_trigger_has_all_that_its_ticks_need() -> None:
    lowered = plan("""
triggers:
  - {cron: "0 3 * * *"}
  - cron: ["0 9 * * *", "0 10 * * SAT"]
    timezone: Europe/Vienna
    jitter: 5m
    missed: skip
    if: event.data.scheduled_at > '2026'
    data: {at: "${{ event.data.previous_at }}"}
steps:
  - {id: one, set: {x: 1}}
""")
    assert lowered.triggers == (
        CronTrigger(("0 3 * * *",)),
        CronTrigger(
            ("0 9 * * *", "0 10 * * SAT"),
            "Europe/Vienna",
            300_000,
            "skip",
            "event.data.scheduled_at > '2026'",
            {"at": "${{ event.data.previous_at }}"},
        ),
    )


def test_policies_go_from_near_to_far_and_names_are_looked_up() -> None:
    project = """
flowlang: 1
project: test
retries:
  slow: {errors: resource, attempts: 4}
  both: [slow, {attempts: 2}]
defaults: {retry: {attempts: 9, initial: 2s, max: 1m, jitter: none}}
"""
    lowered = plan(
        """
retry: {attempts: 7}
steps:
  - id: block
    retry: slow
    steps:
      - {id: a, uses: any.thing, retry: both}
      - {id: b, uses: any.thing}
""",
        project=project,
    )
    slow = RetryRule(("resource",), 4, 5_000)
    default = RetryRule((), 9, 2_000, max_ms=60_000, jitter="none")
    assert lowered.steps[1].retry == ((slow, RetryRule((), 2)), (slow,), (RetryRule((), 7),), (default,))
    assert lowered.steps[2].retry == ((slow,), (RetryRule((), 7),), (default,))


def test_time_outs_belong_to_the_attempt_or_to_the_container() -> None:
    lowered = plan("""
steps:
  - {id: a, uses: any.thing, timeout: 5s}
  - {id: b, uses: any.thing}
  - id: c
    timeout: 1m
    switch:
      - {id: d, uses: any.thing}
""")
    a, b, c, _ = lowered.steps
    assert isinstance(a.verb, Uses)
    assert isinstance(b.verb, Uses)
    assert (a.verb.timeout_ms, a.timeout_ms) == (5_000, None)
    assert b.verb.timeout_ms == 600_000
    assert (c.verb, c.timeout_ms) == (Switch((3,)), 60_000)


def test_tolerance_in_all_its_forms() -> None:
    lowered = plan("""
steps:
  - {id: a, uses: any.thing, tolerate: true}
  - {id: b, uses: any.thing, tolerate: [permanent, "stripe.*"]}
  - {id: c, foreach: {in: "[1]"}, uses: any.thing, tolerate: {failed: 10%}}
  - {id: d, foreach: {in: "[1]"}, uses: any.thing, tolerate: {failed: 3, errors: resource}}
""")
    assert [step.tolerate for step in lowered.steps] == [
        Tolerate(),
        Tolerate(("permanent", "stripe.*")),
        Tolerate(failed_percent=10.0),
        Tolerate(("resource",), failed=3),
    ]


def test_a_plan_holds_only_the_vars_and_variables_that_it_reads() -> None:
    project = """
flowlang: 1
project: test
vars: {support: help@example.com, unused: 1}
"""
    lowered = plan(
        """
vars: {price: "${{ env.PRICE }}", twice: "${{ vars.price + vars.price }}"}
steps:
  - {id: a, set: {x: "${{ vars.support }}"}}
""",
        project=project,
        environ={"PRICE": "9", "OTHER": "x"},
        deploying=True,
    )
    assert [name for name, _ in lowered.vars] == ["support", "price", "twice"]
    assert lowered.env == {"PRICE": "9"}


def test_the_version_changes_with_what_the_pipeline_means_and_with_nothing_else() -> None:
    text = "steps:\n  - {id: a, uses: any.thing, with: {x: 1}}\n"
    first = plan(text)
    assert plan("# a comment\n" + text).digest == first.digest
    assert plan(text.replace("x: 1", "x: 2")).digest != first.digest
    assert plan(text, schemas={"not/mine": {"type": "object"}}).digest == first.digest
    assert plan_from_json(first.to_json()) == first


def test_the_input_is_the_schema_of_the_only_event() -> None:
    schema = {"type": "object", "required": ["id"]}
    text = "triggers: [{event: order/placed}]\nsteps:\n  - {id: a, uses: any.thing}\n"
    assert plan(text, schemas={"order/placed": schema}).input_schema == schema
    mapped = text.replace("{event: order/placed}", "{event: order/placed, data: {n: 1}}")
    assert plan(mapped, schemas={"order/placed": schema}).input_schema is None
