"""Circles among pipelines: found where there are some, named once, and nowhere else."""

from __future__ import annotations

import random

import pytest

from flowlang.compiler.rules.cycles import _components, _Edge
from flowlang.source import SourceText
from tests.unit.compiler.compiling import compile_text, findings

SPAN = SourceText("p.yaml", "x").span(0, 1)


def edge(source: str, target: str) -> _Edge:
    return _Edge(source, target, SPAN, "", sure=True, slow=False)


def reached(name: str, links: set[tuple[str, str]]) -> set[str]:
    found: set[str] = set()
    pending = [name]
    while pending:
        here = pending.pop()
        for source, target in links:
            if source == here and target not in found:
                found.add(target)
                pending.append(target)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_sets_of_pipelines_that_lead_to_one_another_are_those_that_reach_each_other(seed: int) -> None:
    chance = random.Random(seed)
    names = [f"p{number}" for number in range(chance.randint(1, 8))]
    links = {(chance.choice(names), chance.choice(names)) for _ in range(chance.randint(0, 14))}
    reaches = {name: reached(name, links) for name in names}
    expected = {
        frozenset(other for other in reaches[name] if name in reaches[other]) for name in names if name in reaches[name]
    }
    assert set(_components([edge(*link) for link in sorted(links)])) == expected


def pipelines(*links: tuple[str, str]) -> str:
    """Pipelines, each started by an event of its name, that send the others' events."""
    names = sorted({name for link in links for name in link})
    documents = []
    for name in names:
        sends = "".join(f"  - {{emit: ring/{target}}}\n" for source, target in links if source == name)
        documents.append(
            f"flowlang: 1\npipeline: {name}\ntriggers: [{{event: ring/{name}}}]\nsteps:\n  - {{id: a, set: {{x: 1}}}}\n{sends}"
        )
    return "---\n".join(documents)


def codes(text: str) -> list[str]:
    return [code for code, _, _ in findings(compile_text(text))]


def test_a_chain_is_no_circle() -> None:
    assert codes(pipelines(("a", "b"), ("b", "c"), ("a", "c"))) == ["FL305"]  # nothing sends ring/a


def test_two_circles_are_found_each_once() -> None:
    assert codes(pipelines(("a", "b"), ("b", "a"), ("c", "c"), ("a", "c"))) == ["FL314", "FL314"]


def test_circles_that_share_a_pipeline_are_one() -> None:
    assert codes(pipelines(("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"))) == ["FL314"]


@pytest.mark.parametrize(
    "bound",
    ["rate_limit: {limit: 1, period: 1m}", "debounce: {period: 1m}", "batch: {size: 2, period: 1m}",
     "throttle: {limit: 1, period: 1m}", "idempotency: {key: '1'}", "concurrency: {limit: 1, on_limit: skip}"],
)  # fmt: skip
def test_what_holds_events_back_is_a_bound(bound: str) -> None:
    text = pipelines(("a", "a"))
    assert codes(text) == ["FL314"]
    assert "FL314" not in codes(text.replace("steps:", f"{bound}\nsteps:"))


@pytest.mark.parametrize(
    "step",
    [
        "{if: run.id != '', emit: ring/a}",
        "{emit: {event: ring/a, delay: 1s}}",
        "{emit: {event: ring/a, id: x}}",
        "{id: e, foreach: {in: '[1]'}, emit: ring/a}",
        "{id: e, race: [{emit: ring/a}]}",
        "{id: e, switch: [{emit: ring/a}]}",
        "{id: e, set: {x: 1}, catch: {errors: x, steps: [{emit: ring/a}]}}",
        "{id: e, steps: [{sleep: 1s}, {emit: ring/a}]}",
        "{id: e, steps: [{if: run.id != '', stop: 1}, {emit: ring/a}]}",
    ],
)
def test_a_condition_a_pause_or_an_id_is_a_bound(step: str) -> None:
    assert "FL314" not in codes(pipelines(("a", "a")).replace("{emit: ring/a}", step))


@pytest.mark.parametrize(
    "step",
    [
        "{id: e, steps: [{emit: ring/a}]}",
        "{id: e, parallel: [{emit: ring/a}]}",
        "{id: e, repeat: {until: 'true', limit: 1}, emit: ring/a}",
        "{id: e, set: {x: 1}, finally: [{emit: ring/a}]}",
    ],
)
def test_what_always_happens_is_none(step: str) -> None:
    assert "FL314" in codes(pipelines(("a", "a")).replace("{emit: ring/a}", step))
