"""Which steps an expression sees: blocks group, loops hide (language.md §4, Visibility)."""

from __future__ import annotations

import pytest

from tests.unit.compiler.compiling import compile_text, findings

HEAD = "flowlang: 1\npipeline: p\nsteps:\n"

SEEN = {
    "an earlier step": """
  - {id: a, uses: any.thing}
  - {id: b, set: {x: "${{ steps.a.output }}"}}
""",
    "what lies inside an earlier block": """
  - id: block
    steps:
      - {id: a, uses: any.thing}
  - {id: b, set: {x: "${{ steps.a.output }}"}}
""",
    "a branch of an earlier parallel": """
  - id: both
    parallel:
      - {id: a, uses: any.thing}
      - {id: b, uses: any.thing}
  - {id: c, set: {x: "${{ steps.a.output }}"}}
""",
    "an arm of an earlier switch": """
  - id: choice
    switch:
      - {id: a, if: "event.data.x", uses: any.thing}
  - {id: b, set: {x: "${{ steps.a.status }}"}}
""",
    "what was before the loop around it": """
  - {id: a, uses: any.thing}
  - id: loop
    foreach: {in: "[1]"}
    uses: any.thing
    with: {x: "${{ steps.a.output }}"}
""",
    "an earlier step of the same item": """
  - id: loop
    foreach: {in: "[1]"}
    steps:
      - {id: a, uses: any.thing}
      - {id: b, set: {x: "${{ steps.a.output }}"}}
""",
    "the loop itself from outside": """
  - id: loop
    foreach: {in: "[1]"}
    uses: any.thing
  - {id: b, set: {x: "${{ steps.loop.output }}"}}
""",
    "the inside of a container in its output": """
  - id: block
    steps:
      - {id: a, uses: any.thing}
    output: ${{ steps.a.output }}
""",
    "the body from its catch": """
  - id: block
    steps:
      - {id: a, uses: any.thing}
    catch:
      steps:
        - {id: b, set: {x: "${{ steps.a.status }}"}}
""",
}

HIDDEN = {
    "a later step": """
  - {id: b, set: {x: "${{ steps.a.output }}"}}
  - {id: a, uses: any.thing}
""",
    "itself": """
  - {id: b, set: {x: "${{ steps.b.output }}"}}
""",
    "the inside of a loop from outside": """
  - id: loop
    foreach: {in: "[1]"}
    steps:
      - {id: a, uses: any.thing}
  - {id: b, set: {x: "${{ steps.a.output }}"}}
""",
    "another branch of the same parallel": """
  - id: both
    parallel:
      - {id: a, uses: any.thing}
      - {id: b, set: {x: "${{ steps.a.output }}"}}
""",
    "another arm of the same switch": """
  - id: choice
    switch:
      - {id: a, if: "event.data.x", uses: any.thing}
      - {id: b, set: {x: "${{ steps.a.output }}"}}
""",
    "the inside of a container in its own condition": """
  - id: block
    if: has(steps.a.output)
    steps:
      - {id: a, uses: any.thing}
""",
}


@pytest.mark.parametrize("steps", SEEN.values(), ids=SEEN.keys())
def test_a_step_sees(steps: str) -> None:
    assert findings(compile_text(HEAD + steps)) == []


@pytest.mark.parametrize("steps", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_step_does_not_see(steps: str) -> None:
    assert [code for code, _, _ in findings(compile_text(HEAD + steps))] == ["FL204"]
