"""Mistakes of meaning, each with its code and its exact place."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.compiler import ProjectInput, compile_project
from flowlang.model import PipelineDocument, load_pipelines
from flowlang.source import SourceText
from tests.unit.compiler.compiling import compile_text, findings

EXAMPLES = Path(__file__).parents[4] / "shared" / "examples"

HEAD = "flowlang: 1\npipeline: p\n"

MISTAKES = {
    "a handler that does not exist": ("steps:\n  - {id: a, uses: mail.sent}\n", [("FL401", 4, 19)]),
    "a missing argument": ("steps:\n  - {id: a, uses: mail.send, with: {to: x}}\n", [("FL402", 4, 19)]),
    "an argument too many": (
        "steps:\n  - {id: a, uses: mail.send, with: {to: x, text: y, cc: z}}\n",
        [("FL403", 4, 53)],
    ),
    "a handler without an effect": ("steps:\n  - {id: a, uses: old.style}\n", [("FL405", 4, 19)]),
    "a retry of what must not happen twice": (
        "steps:\n  - id: a\n    uses: pay.once\n    retry: {attempts: 2}\n",
        [("FL406", 6, 5)],
    ),
    "a step that does not exist": (
        'steps:\n  - {id: one, set: {x: "${{ steps.onne.output }}"}}\n',
        [("FL203", 4, 35)],
    ),
    "a field that steps do not have": (
        'steps:\n  - {id: a, uses: any.thing}\n  - {id: b, set: {x: "${{ steps.a.outputs.y }}"}}\n',
        [("FL206", 5, 35)],
    ),
    "a name that is not there": ("steps:\n  - {id: a, if: evnt.data.x, uses: any.thing}\n", [("FL202", 4, 17)]),
    "an unreadable expression": (
        "steps:\n  - id: a\n    if: event.data.x >\n    uses: any.thing\n",
        [("FL201", 5, 23)],
    ),
    "an unknown function in a block text": (
        "steps:\n  - id: a\n    set:\n      x: >-\n        ${{ event.data.x }}\n        ${{ upperr(event.data.x) }}\n",
        [("FL201", 8, 13)],
    ),
    "a secret outside of with": (
        'steps:\n  - {id: a, set: {x: "${{ secrets.KEY }}"}}\n',
        [("FL202", 4, 27)],
    ),
    "env outside of vars": ('steps:\n  - {id: a, set: {x: "${{ env.KEY }}"}}\n', [("FL202", 4, 27)]),
    "an unknown var": ('steps:\n  - {id: a, set: {x: "${{ vars.nope }}"}}\n', [("FL205", 4, 32)]),
    "a var that is computed later": (
        'vars: {a: "${{ vars.b }}", b: 1}\nsteps:\n  - {id: s, uses: any.thing}\n',
        [("FL205", 3, 21)],
    ),
    "an unknown retry policy": ("steps:\n  - {id: a, uses: any.thing, retry: gently}\n", [("FL124", 4, 37)]),
    "an error thrown on where there is none": ('steps:\n  - {fail: "${{ error }}"}\n', [("FL210", 4, 12)]),
    "the time in a key": (
        "idempotency: {key: string(now())}\nsteps:\n  - {id: a, uses: any.thing}\n",
        [("FL207", 3, 27)],
    ),
    "an outcome of no pipeline": (
        "triggers: [{event: pipeline/q.succeeded}]\nsteps:\n  - {id: a, uses: any.thing}\n",
        [("FL301", 3, 20)],
    ),
    "a file that is not there": ("input: schemas/x.json\nsteps:\n  - {id: a, uses: any.thing}\n", [("FL125", 3, 8)]),
    "an item named like a type": (
        'steps:\n  - {id: a, foreach: {in: "[1]", as: list}, uses: any.thing}\n',
        [("FL105", 4, 38)],
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_found_at_its_place(text: str, expected: list[tuple[str, int, int]]) -> None:
    compiled = compile_text(HEAD + text)
    assert findings(compiled) == expected
    if any(code != "FL405" for code, _, _ in expected):
        assert compiled.manifest is None


def test_all_mistakes_of_all_pipelines_are_found_in_one_go() -> None:
    one = "steps:\n  - {id: a, uses: mail.sent, with: {x: '${{ stepz.a }}'}}\n"
    text = f"flowlang: 1\npipeline: p\n{one}---\nflowlang: 1\npipeline: p\n{one}"
    assert [code for code, _, _ in findings(compile_text(text))] == ["FL401", "FL202", "FL123", "FL401", "FL202"]


def test_a_variable_must_be_set_when_deploying_and_not_before() -> None:
    text = HEAD + 'vars: {x: "${{ env.NAME }}"}\nsteps:\n  - {id: a, set: {y: "${{ vars.x }}"}}\n'
    assert findings(compile_text(text)) == []
    assert findings(compile_text(text, deploying=True)) == [("FL208", 3, 20)]
    guarded = text.replace("env.NAME", "env.?NAME.orValue('none')")
    assert findings(compile_text(guarded, deploying=True)) == []


def test_the_projects_vars_are_checked_where_they_are_written() -> None:
    project = """
flowlang: 1
project: test
vars: {a: "${{ env.NAME }}", b: "${{ vars.c }}", c: "${{ nope }}"}
"""
    compiled = compile_text(HEAD + "steps:\n  - {id: a, uses: any.thing}\n", project=project, deploying=True)
    assert findings(compiled) == [("FL208", 4, 20), ("FL205", 4, 43), ("FL202", 4, 58)]


def test_a_webhook_owns_its_prefix_and_names_its_secret() -> None:
    project = """
flowlang: 1
project: test
webhooks:
  stripe: {provider: stripe, secret: whsec_abc, event: "stripe/${{ body.type }}"}
  other: {provider: strpe, event: "x/${{ boddy.type }}"}
"""
    text = HEAD + "steps:\n  - {emit: stripe/made.up}\n"
    codes = [code for code, _, _ in findings(compile_text(text, project=project))]
    assert sorted(codes) == ["FL202", "FL302", "FL302", "FL303", "FL601", "FL602"]


def test_an_event_without_a_schema_is_said_to_be_dynamic() -> None:
    text = HEAD + "triggers: [{event: some/thing}]\nsteps:\n  - {id: a, uses: any.thing}\n"
    compiled = compile_text(text)
    assert [(item.code, item.severity) for item in compiled.diagnostics] == [("FL304", "info")]
    assert compiled.manifest is not None
    assert compile_text(text, schemas={"some/thing": True}).diagnostics == ()


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the folder of shared examples is not beside this clone")
def test_the_shared_examples_have_no_findings_but_what_cannot_run_yet_and_what_their_folder_lacks() -> None:
    documents: list[PipelineDocument] = []
    for file in sorted(EXAMPLES.glob("*.yaml")):
        if not file.name.endswith(".test.yaml"):
            loaded, found = load_pipelines(SourceText(file.name, file.read_text(encoding="utf-8")))
            assert not found
            documents += loaded
    assert len(documents) == 14
    compiled = compile_project(ProjectInput(tuple(documents), None))
    unexpected = [item for item in compiled.diagnostics if item.code not in {"FL301", "FL304", "FL401"}]
    # the folder has no flowlang.yaml, in which the policy `gentle` would be
    assert [(item.code, item.span.path) for item in unexpected] == [("FL124", "11-etl.yaml")]
