"""What would take much time or memory ends with a value or a typed error that says where, in both tiers.

How long each takes is printed by `benchmarks/bench_expressions.py`; here it is counted that nothing else comes out.
"""

from __future__ import annotations

import pytest

from flowlang.expr import EvaluationError, ExpressionSyntaxError, compile_expression, errors
from tests.unit.expr.bombs import BOMBS, data

#: Those that have a value all the same: large, but within the bounds.
SMALL_ENOUGH = {
    "ReDoS", "ReDoS of a long text", "double of many digits", "distinct", "sort",
    "1,000 parentheses", "90 nested lists", "1,300 terms", "900 conditions",
}  # fmt: skip
REFUSED_WHEN_READ = {"3,000 times !", "1,000 nested lists", "maps one after another", "filters one after another"}


def _end(name: str, tier: str) -> tuple[str, int, int]:
    """How a bomb ends: `value` or the code of the error, and where."""
    text = BOMBS[name]
    try:
        expression = compile_expression(text)
    except ExpressionSyntaxError as error:
        return "syntax", error.problems[0].start, error.problems[0].end
    evaluate = expression.exactly if tier == "closures" else expression.specialise(None)
    try:
        evaluate(data())
    except EvaluationError as error:
        return error.code, error.start, error.end
    return "value", 0, len(text)


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_ends_in_both_tiers_alike_and_says_where(name: str) -> None:
    ended, start, end = _end(name, "closures")
    wanted = "value" if name in SMALL_ENOUGH else "syntax" if name in REFUSED_WHEN_READ else errors.TOO_MUCH_WORK
    assert ended == wanted
    assert 0 <= start <= end <= len(BOMBS[name])
    assert _end(name, "generated") == (ended, start, end)


LEGITIMATE = [
    ("rows.filter(r, r.ok && r.n % 7 == 3).map(r, r.n)", 2_857),
    ("rows.map(r, r.name + '!')", 20_000),
    ("rows.filter(r, r.name.startsWith('User 1') || r.n < 10)", 11_120),
    ("rows.exists(r, r.n == 19999) ? rows.map(r, r.n) : []", 20_000),
]


@pytest.mark.parametrize(("text", "size"), LEGITIMATE)
def test_a_loop_over_a_large_output_of_a_step_is_within_the_bounds(text: str, size: int) -> None:
    rows = [{"n": n, "name": f"User {n}", "ok": True} for n in range(20_000)]
    expression = compile_expression(text)
    assert len(expression.exactly({"rows": rows})) == size
    assert len(expression.specialise(None)({"rows": rows})) == size
