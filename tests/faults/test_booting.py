"""A worker that cannot start says why in a line, and its supervisor starts another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from flowlang import crashpoints
from tests.e2e.world import World


def test_a_store_that_goes_away_while_a_worker_boots_is_named_in_a_line(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        environ = {**world.environ(), crashpoints.VARIABLE: "worker.booting:1:drop"}
        argv = [sys.executable, "-m", "flowlang.app"]
        ended = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "flowlang worker: the runtime did not start: the answer is lost (worker.booting:1:drop)"
    ]
