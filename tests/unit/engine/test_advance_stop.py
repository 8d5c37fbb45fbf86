"""Stop ends the innermost of its places."""

from __future__ import annotations

from typing import Any

import pytest

from flowlang.plan import Foreach
from tests.unit.engine.building import (
    Part,
    Project,
    arm,
    broken,
    parallel,
    plan,
    script,
    sets,
    steps,
    stop,
    switch,
    uses,
)

STOPS: list[tuple[str, Part, Any, list[str]]] = [
    ("the run", stop("v"), "v", []),
    ("the run, without a value", stop(), None, []),
    ("the run, from blocks", steps("a", switch("b", steps("c", stop("v")))), "v", []),
    ("the run, past catch and finally", steps("a", stop("v"), catch=(arm(uses("x")),), final=(uses("f"),)), "v", ["f"]),
    ("an item", steps("a", stop("v"), foreach=Foreach("[1, 2]"), output="not this"), ["v", "v"], ["after"]),
    ("an item, from blocks", steps("a", steps("b", stop("${{ item }}")), foreach=Foreach("[1, 2]")), [1, 2], ["after"]),
    ("an item, with a value of none", steps("a", stop(), foreach=Foreach("[1]"), output="not this"), [None], ["after"]),
    (
        "some items",
        switch("a", stop("v", condition="item == 1"), sets("s", v=1), foreach=Foreach("[1, 2]")),
        ["v", {"v": 1}],
        ["after"],
    ),
    ("a branch", parallel("a", stop("v"), uses("b"), output="${{ steps.b.status }}"), "succeeded", ["b", "after"]),
    ("a catch body", steps("a", uses("bad"), catch=(arm(stop("v"), uses("never")),)), "v", ["bad", "after"]),
    (
        "a catch body in an item",
        steps("a", uses("bad"), foreach=Foreach("[1]"), catch=(arm(stop("v")),)),
        ["v"],
        ["a[0].bad", "after"],
    ),
    ("a finally body", steps("a", uses("x"), final=(stop("v"), uses("never")), output="kept"), "kept", ["x", "after"]),
    (
        "the item around an inner loop",
        steps("a", uses("i", foreach=Foreach("[1]", name="j")), stop("v"), uses("never"), foreach=Foreach("[1]")),
        ["v"],
        ["a[0].i[0]", "after"],
    ),
]


@pytest.mark.parametrize(("part", "output", "order"), [case[1:] for case in STOPS], ids=[case[0] for case in STOPS])
def test_stop_ends_the_innermost_of_its_places_as_succeeded(part: Part, output: Any, order: list[str]) -> None:
    project = Project(plan(part, uses("after"), output="${{ steps.a.?output.orValue(null) }}"), bad=script(broken()))
    done = project.go()
    assert done.status == "succeeded"
    assert done.output == output
    assert project.order() == order
