"""Pipelines that wait, repeat and race, in tests: events come when the test says, and time goes by as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowlang.pipeline_tests import Suite, coverage_of
from flowlang.project import load_project
from tests.unit.project.projects import write_project

FILES = {
    "handlers/jobs.py": """
from flowlang import handler


@handler("jobs.poll", effect="pure")
def poll(id: str) -> dict[str, str]:
    return {"state": id}


@handler("jobs.quick", effect="pure")
def quick(id: str) -> str:
    return id


@handler("jobs.slow", effect="pure")
def slow(id: str) -> str:
    return id
""",
    "pipelines/approve.yaml": """
flowlang: 1
pipeline: approve
triggers: [{event: doc/wanted}]
steps:
  - id: approval
    wait_for: {event: doc/approved, match: incoming.data.id == event.data.id}
    timeout: 7d
    tolerate: timeout
  - id: poll
    if: steps.approval.status == 'succeeded'
    repeat: {until: steps.poll.output.state == 'done', limit: 5, every: 1m}
    uses: jobs.poll
    with: {id: "${{ event.data.id }}"}
  - id: first
    race:
      - {id: quick, uses: jobs.quick, with: {id: "${{ event.data.id }}"}}
      - {id: slow, uses: jobs.slow, with: {id: "${{ event.data.id }}"}}
output: {approved: "${{ steps.approval.status }}", first: "${{ steps.first.output }}"}
""",
    "pipelines/approve.test.yaml": """
shared:
  pipeline: approve
  given: {event: doc/wanted, data: {id: d1}}
  handlers: {jobs.quick: {return: quick}, jobs.slow: {return: slow}}
---
test: an approval a day later
handlers:
  jobs.poll: [{return: {state: busy}}, {return: {state: busy}}, {return: {state: done}}]
when:
  - {after: 1d}
  - {event: doc/approved, data: {id: another}}
  - then: {status: running, calls: {jobs.poll: 0}, steps: {approval: absent}}
  - {event: doc/approved, data: {id: d1}}
  - {after: 1m}
  - then: {status: running, calls: {jobs.poll: 2}}
then:
  status: succeeded
  output: {approved: succeeded, first: quick}
  steps: {"poll[2]": {output: {state: done}}, approval: {output: {name: doc/approved, data: {id: d1}}}}
---
test: one look is enough, and the other branch may win
handlers: {jobs.poll: {return: {state: done}}, jobs.quick: {fail: permanent}}
when: [{event: doc/approved, data: {id: d1}}]
then: {status: succeeded, output: {first: slow}, calls: {jobs.poll: 1}}
---
test: nobody approves
then: {status: succeeded, output: {approved: timed_out}, calls: {jobs.poll: 0}}
""",
}


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(load_project(write_project(tmp_path, FILES), entry_points=False))


def test_each_passes_in_its_own_time(suite: Suite) -> None:
    found = [(result.failures, result.virtual_ms) for result in suite.run_all(suite.tests)]
    assert found == [((), 86_400_000 + 120_000), ((), 0), ((), 7 * 86_400_000)]


def test_waits_and_rounds_are_points_of_the_coverage(suite: Suite) -> None:
    plans = suite.project.plans.values()
    missed = []
    for test in suite.tests:
        (coverage,) = coverage_of(plans, suite.run(test).journals)
        missed.append({(coverage.plan.steps[p.step].key, p.what) for p in coverage.points if p not in coverage.hit})
    assert missed == [
        {("approval", "no event in time"), ("poll", "if is false"), ("poll", "1 round"), ("slow", "ran")},
        {("approval", "no event in time"), ("poll", "if is false"), ("poll", "many rounds")},
        {
            ("approval", "an event"),
            ("poll", "ran"),
            ("poll", "if is true"),
            ("poll", "1 round"),
            ("poll", "many rounds"),
            ("slow", "ran"),
        },
    ]
