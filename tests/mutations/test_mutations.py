"""Random mistakes in the shipped pipelines are reported on the right line; `python -m tests.mutations` makes more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutations import fuzz
from tests.mutations.bench import EXAMPLES, Bench, examples, shipped
from tests.mutations.variants import variants


def test_most_mistakes_are_reported_on_the_right_line(tmp_path: Path) -> None:
    bench = Bench(shipped(tmp_path))
    assert bench.found == ()
    outcome = bench.judge(bench.mistakes(130, seed=11))
    assert len(outcome.made) == 130
    assert outcome.share >= 93, [f"{mistake.kind}: {mistake.what}" for mistake, _ in outcome.missed]


def test_no_bytes_make_the_checker_crash() -> None:
    outcome, crashes = fuzz.run(600, seed=4)
    assert [(content, repr(error)) for content, error in crashes] == []
    assert outcome.total() == 600
    assert outcome["errors"] > 300
    assert outcome["clean"] > 0


def test_valid_variants_have_no_findings(tmp_path: Path) -> None:
    bench = Bench(shipped(tmp_path))
    made = variants(bench)
    assert len(made) >= 30
    assert [(each.what, found) for each in made if (found := bench.check(each.path, each.text))] == []


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the language's examples are not here")
def test_valid_variants_of_the_examples_have_no_findings(tmp_path: Path) -> None:
    bench = Bench(examples(tmp_path))
    made = variants(bench, most=2)
    assert len(made) >= 30
    assert [(each.what, found) for each in made if (found := bench.check(each.path, each.text))] == []
