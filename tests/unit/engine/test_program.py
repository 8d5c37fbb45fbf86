"""Names of instances, and what a scope asks the store for: enough for its expressions, and no more."""

from __future__ import annotations

import pytest

from flowlang.engine.program import ROOT, Program, reads_time
from flowlang.expr import compile_expression, compile_template, compile_value
from flowlang.plan import Foreach
from tests.unit.engine.building import arm, parallel, plan, sets, steps, switch, uses

LOOP = plan(
    sets("a", v=1),
    sets("big", v=1),
    steps(
        "pages",
        sets("inner", v="${{ steps.a.output.v }}"),
        uses(
            "notify",
            given={"x": "${{ steps.inner.output.v }}"},
            foreach=Foreach("page.users", name="user"),
            collect="${{ steps.big.output }}",
        ),
        foreach=Foreach("steps.big.output.v", name="page"),
        collect="${{ results.map(r, r.output == steps.a.output) }}",
    ),
    parallel(
        "both",
        sets("left", v="${{ steps.a.status }}"),
        sets("right", v="${{ steps.big.status }}"),
        output="${{ steps.left.output }}",
    ),
    sets("end", v="${{ steps.pages.output }}"),
    output="${{ steps.end.output }}",
)
PAGES, NOTIFY, BOTH, LEFT, RIGHT = 2, 4, 5, 6, 7


def test_instances_are_named_by_their_items() -> None:
    program = Program(LOOP)
    notify = LOOP.steps[NOTIFY]
    assert program.instance(notify, (3,)) == "pages[3].notify"
    assert program.prefix((PAGES, NOTIFY), (3, 17)) == "pages[3].notify[17]."
    assert program.instance(LOOP.steps[0], (3, 17)) == "a"


# fmt: off
READS = [
    ("the main line leaves items and branches to their scopes", ROOT, (), (), "line", {"a", "big", "left", "end", "pages"}),
    ("an item", PAGES, (PAGES,), (3,), "item", {"a", "big", "=pages[3]"}),
    ("an item of a loop inside", NOTIFY, (PAGES, NOTIFY), (3, 17), "item", {"pages[3].inner", "=pages[3]", "=pages[3].notify[17]"}),
    ("what all branches read", BOTH, (), (), "branches", {"a", "big"}),
    ("a branch", LEFT, (), (), "line", {"a"}),
    ("another branch", RIGHT, (), (), "line", {"big"}),
]
# fmt: on


@pytest.mark.parametrize(
    ("root", "loops", "indexes", "part", "wanted"), [case[1:] for case in READS], ids=[case[0] for case in READS]
)
def test_a_scope_reads_what_its_own_expressions_select(
    root: int, loops: tuple[int, ...], indexes: tuple[int, ...], part: str, wanted: set[str]
) -> None:
    reads = Program(LOOP).reads(root, loops, indexes, part)  # type: ignore[arg-type] # of a table
    assert {read for read in reads if not read.startswith("*")} == wanted
    assert len(reads) == len(set(reads))


def test_the_rows_of_a_loop_are_read_only_where_its_output_is() -> None:
    loop = uses("l", foreach=Foreach("[1]"))
    for text, wanted in [
        ("steps.l.output", True),
        ("steps.l.output[0]", True),
        ("steps.l.output.size()", True),
        ("steps.l.?output", True),
        ("has(steps.l.output)", True),
        ("steps.l", True),
        ("steps['l'].output", True),
        ("steps.map(k, k)", True),
        ("steps.l.status", False),
        ("steps.l.error.code", False),
    ]:
        program = Program(plan(loop, sets("x", v=f"${{{{ {text} }}}}")))
        assert ("*l" in program.reads(ROOT, (), ())) is wanted, text


def test_the_rows_behind_a_switch_are_those_of_the_loops_that_it_may_choose() -> None:
    made = plan(
        switch(
            "c",
            uses("one", foreach=Foreach("[1]"), condition="false"),
            switch("deep", uses("two", foreach=Foreach("[1]"))),
            uses("kept", foreach=Foreach("[1]"), collect=1),
            switch("own", uses("three", foreach=Foreach("[1]")), output=1),
        ),
        sets("x", v="${{ steps.c.output }}"),
    )
    assert {read for read in Program(made).reads(ROOT, (), ()) if read.startswith("*")} == {"*one", "*two"}


def test_expressions_of_catch_finally_and_on_failure_are_read_for() -> None:
    made = plan(
        sets("a", v=1),
        sets("b", v=1),
        sets("c", v=1),
        sets("d", v=1),
        uses(
            "x",
            condition="steps.d.output.v == 1",
            catch=(arm(sets("y", v="${{ steps.a.output }}"), output="${{ steps.y.output }}"),),
            final=(sets("z", v="${{ steps.b.output }}"),),
        ),
        on_failure=[sets("w", v="${{ steps.c.output }}")],
    )
    assert set(Program(made).reads(ROOT, (), ())) == {"a", "b", "c", "d", "y"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now()", True),
        ("1 + 1", False),
        ("run.started_at", True),
        ("run", True),
        ("run.id", False),
        ("[now()][0]", True),
    ],
)
def test_it_is_known_which_values_depend_on_the_time(text: str, wanted: bool) -> None:
    assert reads_time(compile_expression(text)) is wanted
    assert reads_time(compile_template(f"at ${{{{ {text} }}}}")) is wanted
    assert reads_time(compile_value({"a": ["x", f"${{{{ {text} }}}}"]})) is wanted


def test_blocks_are_found_by_their_owner_and_slot() -> None:
    made = plan(
        steps("a", sets("b", v=1), catch=(arm(sets("c", v=1)), arm(sets("d", v=1))), final=(sets("e", v=1),)),
        on_failure=[sets("f", v=1)],
    )
    program = Program(made)
    names = {step.key: step.index for step in made.steps}
    for owner, slot, key in [
        (ROOT, "steps", "a"),
        (ROOT, "on_failure", "f"),
        (0, "steps", "b"),
        (0, "catch0", "c"),
        (0, "catch1", "d"),
        (0, "finally", "e"),
    ]:
        assert program.block(owner, slot) == (names[key],)
    with pytest.raises(LookupError, match="step b has no block steps"):
        program.block(names["b"], "steps")
