from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowlang.diagnostics import render
from flowlang.model import Pipeline, ProjectFile, Step, load_pipelines, load_project_file
from flowlang.model.expression import ExpressionText
from flowlang.model.policy import RetryPolicy
from flowlang.model.step import Emit, FailedBound, Invoke
from flowlang.model.trigger import CronTrigger, EventTrigger
from flowlang.source import SourceText

EXAMPLES = Path(__file__).parents[3] / "../shared/examples"
NAMES = [path.name for path in sorted(EXAMPLES.glob("*.yaml")) if ".test." not in path.name]


def load(text: str) -> Pipeline:
    source = SourceText("p.yaml", text)
    documents, found = load_pipelines(source)
    assert found == [], render(found, {"p.yaml": source})
    assert documents[0].model is not None
    return documents[0].model


def step(text: str) -> Step:
    return load(f"flowlang: 1\npipeline: p\nsteps:\n  - {text}\n").steps[0]


def codes(text: str) -> list[str]:
    return [item.code for item in load_pipelines(SourceText("p.yaml", text))[1]]


needs_examples = pytest.mark.skipif(not NAMES, reason="the shared examples are not beside this checkout")


@needs_examples
def test_there_are_fourteen_examples() -> None:
    assert len(NAMES) == 14


@needs_examples
@pytest.mark.parametrize("name", NAMES or ["none"])
def test_an_example_has_no_findings(name: str) -> None:
    source = SourceText(name, (EXAMPLES / name).read_text(encoding="utf-8"))
    documents, found = load_pipelines(source)
    assert found == [], render(found, {name: source})
    assert [document.name for document in documents] == [
        document.model and document.model.pipeline for document in documents
    ]


def test_what_is_not_written_has_the_defaults_of_the_language() -> None:
    pipeline = load(
        "flowlang: 1\npipeline: p\nsteps:\n  - {id: a, uses: x.y, foreach: {in: vars.xs}, retry: {attempts: 2}}\n"
    )
    assert (pipeline.triggers, pipeline.vars, pipeline.on_failure, pipeline.compensate) == ((), {}, (), True)
    assert (pipeline.queue, pipeline.timeout, pipeline.has("output")) == ("default", None, False)
    foreach = pipeline.steps[0].foreach
    assert foreach is not None
    assert (foreach.as_, foreach.max_parallel, foreach.chunk) == ("item", 10, None)
    assert pipeline.steps[0].retry is not None
    policy = pipeline.steps[0].retry[0]
    assert isinstance(policy, RetryPolicy)
    assert (policy.attempts, policy.factor, policy.max, policy.jitter) == (2, 2.0, timedelta(minutes=10), "equal")


def test_short_forms_are_made_long() -> None:
    assert step("{id: a, invoke: other}").invoke == Invoke(pipeline="other")
    assert step("{emit: a/b}").emit == Emit(event="a/b")
    assert step("{id: a, uses: x.y, retry: gentle}").retry == ("gentle",)
    assert len(step("{id: a, uses: x.y, retry: [gentle, {attempts: 1}]}").retry or ()) == 2
    arm = step("{id: a, uses: x.y, catch: {steps: [{stop: 1}]}}").catch[0]
    assert (arm.errors, arm.steps[0].verb) == (("all",), "stop")
    assert (
        len(
            step(
                "{id: a, uses: x.y, catch: [{errors: a.*, steps: [{stop: 1}]}, {errors: [timeout, bug], steps: [{stop: 1}]}]}"
            ).catch
        )
        == 2
    )


@pytest.mark.parametrize(
    ("text", "errors", "failed"),
    [
        ("true", None, None),
        ("timeout", ("timeout",), None),
        ("[timeout, stripe.*]", ("timeout", "stripe.*"), None),
        ("{failed: 10%}", None, FailedBound(percent=10.0)),
        ("{failed: 3, errors: bug}", ("bug",), FailedBound(count=3)),
    ],
)
def test_tolerate_has_many_forms(text: str, errors: tuple[str, ...] | None, failed: FailedBound | None) -> None:
    tolerate = step(f"{{id: a, uses: x.y, foreach: {{in: vars.xs}}, tolerate: {text}}}").tolerate
    assert tolerate is not None
    assert (tolerate.errors, tolerate.failed) == (errors, failed)


def test_triggers_are_of_two_kinds() -> None:
    pipeline = load(
        "flowlang: 1\npipeline: p\ntriggers: [{event: [a/b, c/*], if: x}, {cron: '0 3 * * *', missed: all}]\nsteps: [{stop: 1}]\n"
    )
    event, cron = pipeline.triggers
    assert isinstance(event, EventTrigger)
    assert isinstance(cron, CronTrigger)
    assert (event.event, event.if_) == (("a/b", "c/*"), ExpressionText("x"))
    assert (cron.cron, cron.timezone, cron.missed) == (("0 3 * * *",), "UTC", "all")


def test_a_null_that_is_written_is_told_from_nothing() -> None:
    assert step("{stop: null}").verb == "stop"
    assert step("{id: a, steps: [{stop: 1}], output: null}").has("output")
    assert not step("{id: a, steps: [{stop: 1}]}").has("output")


def test_every_part_knows_where_it_stands() -> None:
    pipeline = load(
        "flowlang: 1\npipeline: p\nsteps:\n  - id: a\n    parallel:\n      - {id: b, uses: x.y, catch: {steps: [{stop: 1}]}}\n"
    )
    assert pipeline.steps[0].path == ("steps", 0)
    inner = (pipeline.steps[0].parallel or ())[0]
    assert inner.path == ("steps", 0, "parallel", 0)
    assert inner.catch[0].path == (*inner.path, "catch")
    assert inner.catch[0].steps[0].path == (*inner.path, "catch", "steps", 0)


def test_an_anchored_step_has_the_path_of_each_use() -> None:
    text = "flowlang: 1\npipeline: p\nsteps:\n  - &s {stop: 1}\non_failure: [*s]\n"
    pipeline = load(text)
    assert (pipeline.steps[0].path, pipeline.on_failure[0].path) == (("steps", 0), ("on_failure", 0))


@pytest.mark.parametrize(
    ("written", "text", "part", "column"),
    [
        ("a.b == 1", "a.b == 1", "b", 11),
        ("${{ a.b == 1 }}", "a.b == 1", "b", 15),
        ('"${{   a.b == 1 }}  "', "a.b == 1", "b", 18),
        ("'  a == ''b'''", "a == 'b'", "b", 19),
        ("true", "true", "true", 9),
        ("-5", "-5", "5", 10),
    ],
)
def test_a_place_in_an_expression_is_found_behind_braces_and_blanks(
    written: str, text: str, part: str, column: int
) -> None:
    source = SourceText("p.yaml", f"flowlang: 1\npipeline: p\nsteps:\n  - stop: 1\n    if: {written}\n")
    [document], found = load_pipelines(source)
    assert found == []
    assert document.model is not None
    expression = document.model.steps[0].if_
    assert expression is not None
    assert expression.text == text
    start = expression.offset + text.rindex(part)
    span = document.document.span_in(("steps", 0, "if"), start, start + len(part))
    assert (span.line, span.column, span.end_column) == (5, column, column + len(part))


def test_all_findings_come_in_one_pass_and_in_order() -> None:
    text = "flowlang: 1\npipeline: P\nsteps:\n  - {id: a, use: x.y, timeout: 5}\n  - {id: a, uses: x.y, needs: [a], foreach: {}}\n---\nflowlang: 1\n"
    assert codes(text) == ["FL105", "FL101", "FL113", "FL110", "FL108", "FL102", "FL102", "FL102"]


def test_a_pipeline_with_errors_has_a_name_and_no_model() -> None:
    documents, _ = load_pipelines(
        SourceText("p.yaml", "flowlang: 1\npipeline: p\n---\nflowlang: 1\npipeline: q\nsteps: [{stop: 1}]\n")
    )
    assert [(item.name, item.model is None) for item in documents] == [("p", True), ("q", False)]


def test_an_error_of_the_loader_leaves_no_model_and_is_reported_once() -> None:
    text = "flowlang: 1\npipeline: p\nsteps:\n  - stop: 1\n    if: !x\n"
    [document], found = load_pipelines(SourceText("p.yaml", text))
    assert document.model is None
    assert [item.code for item in found] == ["FL016"]
    assert codes("flowlang: 1\npipeline: p\ntimeout: 007\nsteps: [{stop: 1}]\n") == ["FL012"]


def test_warnings_leave_the_model_usable() -> None:
    [document], found = load_pipelines(
        SourceText("p.yaml", "flowlang: 1\npipeline: p\nsteps:\n  - stop: 1\n    if: |\n      x\n")
    )
    assert [item.severity.value for item in found] == ["warning"]
    assert document.model is not None
    assert document.model.steps[0].if_ == ExpressionText("x")


PROJECT = """
flowlang: 1
project: academy
webhooks:
  stripe: {provider: stripe, secret: "${{ secrets.S }}", event: "stripe/${{ body.type }}", id: "${{ body.id }}", dedupe: 7d}
queues:
  critical: {order: 0, share: 25%}
retries:
  gentle: {errors: [transient, resource], attempts: 10, initial: 30s, max: 1h}
errors: {acme.Unavailable: resource}
vars: {support: help@example.com}
defaults: {retry: gentle, retention: 7d, allow: [ops], labels: {}}
secrets: {from: [env, files]}
observe: {slack: {channel: ops, when: [dead_letter, bug]}}
limits: {event: 512KiB, lookback: 7d, attempts: 5}
environments:
  production: {lease: 30s, retention: 30d, durable: fsync}
lint: {select: [ALL], ignore: [], per_file: {a.yaml: [FL101]}}
"""


def test_a_project_file_is_read() -> None:
    project, found = load_project_file(SourceText("flowlang.yaml", PROJECT))
    assert found == []
    assert isinstance(project, ProjectFile)
    assert (project.queues["critical"].share, project.queues["critical"].order) == (25, 0)
    assert (project.limits.event, project.limits.attempts, project.limits.steps) == (524_288, 5, 10_000)
    assert [each.value for each in project.webhooks["stripe"].secret or ()] == ["${{ secrets.S }}"]
    assert project.environments["production"].lease == timedelta(seconds=30)
    assert isinstance(project.retries["gentle"][0], RetryPolicy)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["FL100"]),
        ("- a", ["FL103"]),
        ("flowlang: 1\nproject: p\n---\nx: 1", ["FL104"]),
        ("flowlang: 1\nproject: p\nqueues: {Big: {share: 101%}}", ["FL105", "FL104"]),
        ("flowlang: 1\nproject: p\nerrors: {'1a': resource, a.B: cancelled}", ["FL105", "FL104"]),
        ("flowlang: 1\nproject: p\nwebhooks: {x: {provider: stripe}}", ["FL102"]),
        ("flowlang: 1\nproject: p\nlimits: 5", ["FL103"]),
    ],
)
def test_mistakes_in_a_project_file(text: str, expected: list[str]) -> None:
    project, found = load_project_file(SourceText("flowlang.yaml", text))
    assert project is None
    assert [item.code for item in found] == expected


#: Every key of the language, and some that it does not have.
KEYS = sorted({*Pipeline.keys(), *Step.keys(), *RetryPolicy.keys(), *CronTrigger.keys(), "in", "as", "until", "match", "errors", "failed", "limit", "period", "pipeline", "nope"})  # fmt: skip
LEAVES = st.sampled_from([None, True, 0, -1, 1.5, "", "a", "A", "a/b", "5m", "5", "10%", "${{ a }}", "x ${{ a }}", "0 3 * * *", "@daily", "yes", "*", "a/*", "1 2 3 4 5 6"])  # fmt: skip
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=300)
@example({"catch": True})
@given(st.dictionaries(st.sampled_from(KEYS), TREES, max_size=8))
def test_any_data_is_a_pipeline_or_findings_in_our_own_words(tree: dict[str, Any]) -> None:
    source = SourceText("p.yaml", json.dumps({"flowlang": 1, "pipeline": "p", "steps": [tree], **tree}))
    documents, found = load_pipelines(source)
    assert len(documents) == 1
    assert all("is not accepted" not in item.message for item in found)
    assert (documents[0].model is None) == any(item.severity == "error" for item in found)


@settings(max_examples=100)
@given(TREES)
def test_any_data_is_a_project_or_findings(tree: Any) -> None:
    source = SourceText(
        "flowlang.yaml",
        json.dumps(
            {
                "flowlang": 1,
                "project": "p",
                "queues": tree,
                "webhooks": {"w": tree},
                "retries": {"r": tree},
                "limits": tree,
                "defaults": tree,
            }
        ),
    )
    project, found = load_project_file(source)
    assert all("is not accepted" not in item.message for item in found)
    assert (project is None) == bool(found)
