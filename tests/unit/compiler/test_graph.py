"""The project as a graph, and what rules compute from numbers: names, prefixes, pauses, products."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlang.compiler.graph import ProjectGraph
from flowlang.compiler.outline import matches
from flowlang.compiler.rules.times import least_wait_ms
from flowlang.compiler.standing import standings
from flowlang.engine.retry import backoff_ms
from flowlang.model import load_pipelines
from flowlang.plan import RetryRule
from flowlang.source import SourceText
from tests.unit.compiler.compiling import compile_text, findings


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/b/*", "a/b/c", True),
        ("a/*", "b/c", False),
        ("a/*", "a", False),
    ],
)
def test_a_star_stands_for_one_segment(pattern: str, event: str, expected: bool) -> None:
    assert matches(pattern, event) is expected


@pytest.mark.parametrize(
    ("template", "pattern", "expected"),
    [
        ("stripe/${{ body.type }}", "stripe/paid", True),
        ("stripe/${{ body.type }}", "stripe/*", True),
        ("stripe/${{ body.type }}", "shop/paid", False),
        ("stripe/v1.${{ body.type }}", "stripe/v2.paid", False),
        ("stripe/v1.${{ body.type }}", "stripe/*", True),
        ("cms/changed", "cms/changed", True),
        ("cms/changed", "cms/*", True),
        ("cms/changed", "cms/removed", False),
    ],
)
def test_a_webhook_sends_what_its_template_can_give(template: str, pattern: str, expected: bool) -> None:
    graph = ProjectGraph({}, webhooks={"hook": template})
    assert graph.webhook_of(pattern) == ("hook" if expected else None)


rules = st.builds(
    RetryRule,
    attempts=st.integers(1, 12),
    initial_ms=st.integers(1, 100_000),
    factor=st.sampled_from([1.0, 1.5, 2.0, 10.0]),
    max_ms=st.integers(1, 600_000),
    jitter=st.sampled_from(["equal", "full", "none"]),
)


@settings(max_examples=300, deadline=None)
@given(rules, st.integers())
def test_no_run_of_a_policy_waits_less_than_the_least(rule: RetryRule, seed: int) -> None:
    chance = random.Random(seed)
    assert rule.attempts is not None
    waited = sum(backoff_ms(rule, attempts, chance) for attempts in range(1, rule.attempts))
    assert least_wait_ms(rule) <= waited + rule.attempts  # each pause is rounded


def test_without_chance_the_least_is_what_is_waited() -> None:
    rule = RetryRule(attempts=8, initial_ms=1000, factor=2.0, max_ms=10_000, jitter="none")
    assert least_wait_ms(rule) == 1000 + 2000 + 4000 + 8000 + 3 * 10_000
    assert least_wait_ms(RetryRule(attempts=None, for_ms=1000)) == 0


def test_steps_are_walked_with_what_is_around_them_and_whether_every_run_comes_there() -> None:
    text = """\
flowlang: 1
pipeline: p
steps:
  - {id: a, set: {x: 1}}
  - id: b
    steps:
      - {id: c, set: {x: 1}}
      - {id: d, if: run.id != '', set: {x: 1}}
    catch: {errors: x, steps: [{id: e, set: {x: 1}}]}
    finally: [{id: f, set: {x: 1}}]
  - {id: g, foreach: {in: "[1]"}, steps: [{id: h, set: {x: 1}}]}
  - {sleep: 1s}
  - {id: i, parallel: [{id: j, set: {x: 1}}, {id: k, needs: [j], set: {x: 1}}]}
  - {if: run.id != '', stop: 1}
  - {id: l, set: {x: 1}}
on_failure:
  - {id: m, set: {x: 1}}
"""
    (document,), found = load_pipelines(SourceText("p.yaml", text))
    assert not found
    assert document.model is not None
    walked = {
        (one.step.id or one.step.verb): ("/".join(each.id or each.verb for each in one.around), one.sure, one.slow)
        for one in standings(document.model)
    }
    assert walked == {
        "a": ("", True, False),
        "b": ("", True, False),
        "c": ("b", True, False),
        "d": ("b", False, False),
        "e": ("b", False, False),
        "f": ("b", True, False),
        "g": ("", False, False),
        "h": ("g", False, False),
        "sleep": ("", True, False),
        "i": ("", True, True),
        "j": ("i", True, True),
        "k": ("i", False, True),
        "stop": ("", False, True),
        "l": ("", False, True),
        "m": ("", False, False),
    }


def test_of_many_pipelines_that_invoke_one_another_the_one_that_goes_too_far_is_named() -> None:
    depth = 40  # two ways in each: 2**40 ways in all
    documents = [
        f"flowlang: 1\npipeline: p{number}\nsteps:\n"
        f"  - {{id: a, invoke: p{number + 1}}}\n  - {{id: b, invoke: p{number + 1}, repeat: {{until: index > 1, limit: 2}}}}\n"
        for number in range(depth)
    ]
    documents.append(f"flowlang: 1\npipeline: p{depth}\nsteps: [{{id: a, uses: any.thing}}]\n")
    found = findings(compile_text("---\n".join(documents)))
    assert [code for code, _, _ in found] == ["FL509"]


def test_a_long_chain_of_pipelines_is_no_trouble() -> None:
    documents = [
        f"flowlang: 1\npipeline: p{number}\ntriggers: [{{event: pipeline/p{number - 1}.succeeded}}]\n"
        f"steps: [{{id: a, invoke: p{number + 1}}}]\n"
        for number in range(1, 1500)
    ]
    ends = ["flowlang: 1\npipeline: p0\nsteps: [{emit: x/y}]\n", "flowlang: 1\npipeline: p1500\nsteps: [{emit: x/y}]\n"]
    assert findings(compile_text("---\n".join([*documents, *ends]))) == []
