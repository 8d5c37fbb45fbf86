"""What expressions cost: evaluation against Python written by hand and against other CELs, compiling, and bombs.

All evaluators of a condition take turns, round after round, in one run; of each the fastest round counts. Figures are
ratios to hand-written Python on the same dict. A peer that is not installed, or cannot say a condition, is left out.

    python benchmarks/bench_expressions.py [--rounds 15] [--only evaluation,compile,bounds]
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any

from benchmarks.expression_conditions import CONDITIONS, EVENT, Condition, Data, rows, type_of
from flowlang.expr import CelError, Timestamp, compile_expression
from flowlang.expr.check import check_expression
from flowlang.expr.environment import Environment
from flowlang.expr.parser import parse
from flowlang.expr.program import Expression
from flowlang.expr.resolve import resolve
from tests.unit.expr.bombs import BOMBS, data

#: Seconds that one evaluator may take in one round; at least one evaluation is made.
ROUND_S = 0.004
ROWS = 1_000
ENVIRONMENT = Environment({"event": type_of(EVENT), "rows": type_of(rows(2))})
Run = Callable[[], Any]


def module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        return None


CELPY, JMESPATH, RUST = module("celpy"), module("jmespath"), module("cel")
CPP = module("cel_expr_python.cel")


# Evaluation ----------------------------------------------------------------------------------------------------------


def bindings_of(condition: Condition, count: int = ROWS) -> Data:
    return {"rows": rows(count)} if condition.on_rows else {"event": EVENT}


def evaluators(condition: Condition, bindings: Data) -> dict[str, Run]:
    """Everything that can evaluate a condition, by its column; the answers are compared before anything is measured."""
    expression = compile_expression(condition.text)
    checked = check_expression(expression, ENVIRONMENT)
    if checked.problems:
        raise SystemExit(f"{condition.name}: {checked.problems}")
    typed, plain, exact = expression.specialise(checked.types), expression.specialise(None), expression.exactly
    native = condition.native
    found: dict[str, Run] = {
        "native": lambda: native(bindings),
        "typed": lambda: typed(bindings),
        "untyped": lambda: plain(bindings),
        "closures": lambda: exact(bindings),
        **_cpp(condition, bindings),
        **_peers(condition, bindings),
    }
    wanted = native(bindings)
    for name in ("typed", "untyped", "closures"):
        if found[name]() != wanted:
            raise SystemExit(f"{condition.name}: {name} gives {found[name]()!r}, by hand it is {wanted!r}")
    return {name: run for name, run in found.items() if _works(run)}


def _works(run: Run) -> bool:
    try:
        run()
    except Exception:  # noqa: BLE001 - peers have errors of all kinds
        return False
    return True


def _cpp(condition: Condition, bindings: Data) -> dict[str, Run]:
    if CPP is None:
        return {}
    environment = CPP.NewEnv(variables=dict.fromkeys(bindings, CPP.Type.DYN))
    compiled = environment.compile(condition.text, disable_check=True)
    activation = environment.Activation(bindings)
    return {
        "C++ dict in": lambda: compiled.eval(data=bindings),
        "C++ prebuilt": lambda: compiled.eval(activation),
    }


def _peers(condition: Condition, bindings: Data) -> dict[str, Run]:
    found: dict[str, Run] = {}
    if RUST is not None:
        program = RUST.compile(condition.text)
        found["Rust dict in"] = lambda: program.execute(bindings)
    if CELPY is not None:
        environment = CELPY.Environment()
        runner = environment.program(environment.compile(condition.text))
        convert = CELPY.json_to_cel
        found["celpy"] = lambda: runner.evaluate({name: convert(value) for name, value in bindings.items()})
    if JMESPATH is not None and condition.jmespath is not None:
        query = JMESPATH.compile(condition.jmespath)
        found["jmespath"] = lambda: query.search(bindings)
    return found


COLUMNS = ("typed", "untyped", "closures", "C++ dict in", "C++ prebuilt", "Rust dict in", "celpy", "jmespath")


def fastest(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Seconds of one evaluation each; the evaluators take turns."""
    counts = {name: max(1, int(ROUND_S / _once(run))) for name, run in runs.items()}
    best = dict.fromkeys(runs, math.inf)
    for _ in range(rounds):
        for name, run in runs.items():
            count = counts[name]
            began = time.perf_counter()
            for _ in range(count):
                run()
            best[name] = min(best[name], (time.perf_counter() - began) / count)
    return best


def _once(run: Run) -> float:
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        run()
        spent.append(time.perf_counter() - began)
    return max(min(spent), 1e-7)


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def evaluation(rounds: int) -> None:
    print(f"\nEvaluation, ratio to Python by hand (min of {rounds} rounds; e07 and e08 on {ROWS} rows)\n")
    print(" | ".join(["    ", "native µs", *COLUMNS]))
    table: dict[str, dict[str, float]] = {}
    for condition in CONDITIONS:
        best = fastest(evaluators(condition, bindings_of(condition)), rounds)
        table[condition.name] = {name: best[name] / best["native"] for name in COLUMNS if name in best}
        cells = [f"{ratio(table[condition.name].get(name)):>{len(name)}}" for name in COLUMNS]
        print(" | ".join([f"{condition.name} ", f"{best['native'] * 1e6:9.2f}", *cells]), flush=True)
    means = {
        name: geometric_mean([row[name] for row in table.values() if name in row])
        for name in COLUMNS
        if any(name in row for row in table.values())
    }
    print(" | ".join(["mean", " " * 9, *[f"{ratio(means.get(name)):>{len(name)}}" for name in COLUMNS]]))
    for name, installed in (
        ("cel-expr-python (C++)", CPP),
        ("common-expression-language (Rust)", RUST),
        ("cel-python (celpy)", CELPY),
        ("jmespath", JMESPATH),
    ):
        if installed is None:
            print(f"not installed: {name}")
    print()
    goal("geometric mean, untyped", f"{means['untyped']:.2f}", "≤ 1.7")
    goal("geometric mean, typed", f"{means['typed']:.2f}", "≤ 1.4")
    others = [max(row["untyped"], row["typed"]) for name, row in table.items() if name != "e10"]
    goal("slowest condition but e10", f"{max(others):.2f}", "≤ 2.5")
    goal("e10, regular expression", f"{max(table['e10']['untyped'], table['e10']['typed']):.2f}", "≤ 5")
    for column, wanted in (("C++ dict in", "≥ 40"), ("celpy", "≥ 800")):
        shared = [row[column] / row["untyped"] for row in table.values() if column in row]
        goal(f"times faster than {column}", f"{geometric_mean(shared):.0f}" if shared else "not installed", wanted)
    linearity(rounds)
    absorbed(rounds)
    unseen_times(rounds)


def linearity(rounds: int) -> None:
    for name in ("e07", "e08"):
        condition = next(each for each in CONDITIONS if each.name == name)
        function = compile_expression(condition.text).specialise(None)
        few, many = bindings_of(condition, ROWS), bindings_of(condition, 4 * ROWS)
        best = fastest({"few": lambda f=function, b=few: f(b), "many": lambda f=function, b=many: f(b)}, rounds)  # type: ignore[misc]
        goal(f"{name}, 4000 rows to 1000 rows", f"{best['many'] / best['few']:.2f}", "≤ 4.5")


def absorbed(rounds: int) -> None:
    """A key is missing on the left of `||`: the generated code asks the closures."""
    function = compile_expression('event.data.nope == 1 || event.data.currency == "USD"').specialise(None)
    bindings = {"event": EVENT}
    best = fastest({"absorbed": lambda: function(bindings)}, rounds)
    goal("an absorbed error", f"{best['absorbed'] * 1e6:.1f} µs", "≤ 6 µs")


def unseen_times(rounds: int) -> None:
    """In e09 the timestamps come again, and are remembered; here they never do."""
    condition = next(each for each in CONDITIONS if each.name == "e09")
    function = compile_expression(condition.text).specialise(None)
    events = [
        {
            "event": {
                "data": {"started_at": str(Timestamp.from_ms(n * 1000)), "ended_at": str(Timestamp.from_ms(n * 1001))}
            }
        }
        for n in range(20_000)
    ]
    best = {}
    for name, run in (("native", condition.native), ("generated", function)):
        times = []
        for start in range(0, len(events), 5_000):
            began = time.perf_counter()
            for bindings in events[start : start + 5_000]:
                run(bindings)
            times.append(time.perf_counter() - began)
        best[name] = min(times) / 5_000
    print(
        f"  e09 with timestamps never seen before: {best['generated'] * 1e6:.2f} µs, "
        f"by hand {best['native'] * 1e6:.2f} µs"
    )
    del rounds


def goal(what: str, figure: str, wanted: str) -> None:
    print(f"  {what:<48} {figure:>14}   goal {wanted}", flush=True)


# Compiling -----------------------------------------------------------------------------------------------------------

COLD = """\
import time
began = time.perf_counter()
from flowlang.expr import compile_expression
from flowlang.expr.parser import parse
parse("1")
print(time.perf_counter() - began)
"""


def compiling(rounds: int) -> None:
    print("\nCompiling, µs, median over the 12 conditions (min-max)\n")
    texts = [condition.text for condition in CONDITIONS]
    stages: dict[str, Callable[[str], Any]] = {
        "parse": parse,
        "parse, closures": _closures,
        "parse, check, closures": lambda text: check_expression(_closures(text), ENVIRONMENT),
        "parse, check, closures, generated code": _everything,
    }
    if CELPY is not None:
        environment = CELPY.Environment()
        stages["celpy parse"] = environment.compile
    best = {
        name: [fastest({name: partial(stage, text)}, rounds)[name] for text in texts] for name, stage in stages.items()
    }
    for name, times in best.items():
        low, middle, high = min(times), statistics.median(times), max(times)
        print(f"  {name:<48} {middle * 1e6:8.0f} ({low * 1e6:.0f}-{high * 1e6:.0f})", flush=True)
    print()
    typical = [place for place, text in enumerate(texts) if 60 <= len(text) <= 100]
    if "celpy parse" in best:
        shares = [ours / theirs for ours, theirs in zip(best["parse"], best["celpy parse"], strict=True)]
        goal("parse, share of celpy's", f"{geometric_mean(shares):.2f}", "≤ 0.6")
    for name, wanted in (("parse, check, closures", "≤ 0.5 ms"), ("parse, check, closures, generated code", "≤ 1 ms")):
        slowest = max(best[name][place] for place in typical)
        goal(f"{name}, 60-100 characters", f"{slowest * 1e3:.2f} ms", wanted)
    looked_up = fastest({"cached": lambda: compile_expression(texts[0])}, rounds)["cached"]
    goal("cached look-up", f"{looked_up * 1e6:.2f} µs", "≤ 1 µs")
    cold = _cold_starts(9)
    goal("import and grammar tables, a fresh process", f"{min(cold) * 1e3:.0f} ms", "≤ 100 ms")
    print(f"  (median of {len(cold)} fresh processes {statistics.median(cold) * 1e3:.0f} ms)")


def _cold_starts(count: int) -> list[float]:
    """Seconds that fresh processes take; as where FlowLang is installed, their bytecode has been written before."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", COLD]
    runs = [subprocess.run(command, check=True, capture_output=True, env=environment).stdout for _ in range(1 + count)]
    return [float(seconds) for seconds in runs[1:]]


def _closures(text: str) -> Expression:
    resolved = resolve(parse(text))
    return Expression(text, resolved.root, resolved.slots)


def _everything(text: str) -> Any:
    expression = _closures(text)
    return expression.specialise(check_expression(expression, ENVIRONMENT).types)


# Bounds --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blast:
    """How a bomb ended.

    Args:
        outcome: `value`, or the code of the error.
        ms: In the slower tier.
        megabytes: Most that it had allocated.
    """

    outcome: str
    ms: float
    megabytes: float


def bounds() -> None:
    print("\nBombs, ≤ 4 KB on ≤ 1 MB of data: the slower tier, and the most memory that was allocated\n")
    blasts = {name: blast(text) for name, text in BOMBS.items()}
    for name, found in sorted(blasts.items(), key=lambda entry: -entry[1].ms):
        print(f"  {name:<44} {found.ms:8.1f} ms {found.megabytes:7.1f} MB  {found.outcome}", flush=True)
    print()
    goal("slowest", f"{max(each.ms for each in blasts.values()):.0f} ms", "≤ 100 ms")
    goal("most memory", f"{max(each.megabytes for each in blasts.values()):.1f} MB", "≤ 16 MB")
    redos = blasts["ReDoS"]
    goal("^(a+)+$ on 26 characters", f"{redos.ms:.2f} ms", "≤ 1 ms")


def blast(text: str) -> Blast:
    bindings = data()
    outcome = "value"

    def run(evaluate: Callable[[], Any]) -> None:
        nonlocal outcome
        try:
            evaluate()
        except CelError as error:
            outcome = getattr(error, "code", "syntax error")

    @lru_cache(maxsize=1)
    def compiled() -> tuple[Callable[..., Any], ...]:
        resolved = resolve(parse(text))
        expression = Expression(text, resolved.root, resolved.slots)
        return expression.exactly, expression.specialise(None)

    began = time.perf_counter()
    run(compiled)
    times = [time.perf_counter() - began]
    if outcome == "value":
        times += [min(_timed(lambda t=tier: run(lambda: t(bindings))) for _ in range(3)) for tier in compiled()]  # type: ignore[misc]
        tracemalloc.start()
        run(lambda: compiled()[0](bindings))
    else:
        tracemalloc.start()
        run(lambda: parse(text))
    megabytes = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return Blast(outcome, max(times) * 1e3, megabytes)


def _timed(run: Run) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="evaluation,compile,bounds", help="parts, separated by commas")
    options = parser.parse_args()
    parts = options.only.split(",")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    if "evaluation" in parts:
        evaluation(options.rounds)
    if "compile" in parts:
        compiling(options.rounds)
    if "bounds" in parts:
        bounds()


if __name__ == "__main__":
    main()
