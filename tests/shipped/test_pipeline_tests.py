"""The pipeline tests that are shipped beside the pipelines pass, and reach all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.model import TestDocument
from flowlang.pipeline_tests import Suite, coverage_of

ROOT = Path(__file__).parents[2]
SUITE = Suite.load(ROOT)


@pytest.mark.parametrize("test", SUITE.tests, ids=lambda test: f"{test.source.path}: {test.name}")
def test_it_passes(test: TestDocument) -> None:
    result = SUITE.run(test)
    assert [f"{each.where}: {each.message}" for each in result.failures] == []
    assert result.status == "passed"


def test_every_step_condition_case_and_catch_of_the_shipped_pipelines_is_reached() -> None:
    journals = [journal for result in SUITE.run_all(SUITE.tests) for journal in result.journals]
    missed = {
        (each.plan.pipeline, each.plan.steps[point.step].key, point.what)
        for each in coverage_of(SUITE.project.plans.values(), journals)
        for point in each.points
        if point not in each.hit
    }
    assert missed == set()
