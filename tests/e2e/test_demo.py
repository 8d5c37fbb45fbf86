"""The demo is what `make demo` shows, and it says when something is not as it should be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.demo", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "TMPDIR": str(folder)})
    assert list(folder.iterdir()) == [], "it leaves nothing behind"
    return done


def test_a_signed_webhook_and_an_event_become_finished_runs_though_services_fail_on_the_way(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    for pipeline in ("stripe-checkout-completed", "lifetime-purchase", "video-uploaded"):
        assert [row[1] for row in rows if row[:1] == [pipeline]] == ["succeeded"]
    assert [row[2] for row in rows if row[:2] == ["asset", "succeeded"]] == ["2"]  # a 429 with Retry-After
    assert [row[2] for row in rows if row[:2] == ["access", "succeeded"]] == ["3"]  # two 503s
    assert [row[0] for row in rows if row[1:] == ["Unauthorized"]] == ["401"]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("stripe.customer", "the run of lifetime-purchase is failed: step customer, http.400"),
        ("stripe.checkout_session", "lifetime-purchase has 0 runs, not 1"),
    ],
)
def test_it_fails_and_says_why_when_a_run_does_not_end_as_expected(tmp_path: Path, route: str, said: str) -> None:
    done = demo(tmp_path, "--refuse", route)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"NOT AS EXPECTED: {said}" in done.stdout
