"""Pipelines from Python: fakes beside real handlers, on virtual time; and the pytest plugin in projects of its own."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from flowlang import Permanent, RetryAfter, Snooze
from flowlang.errors import ConfigError
from flowlang.testing import simulate
from tests.unit.pipeline_tests.playing import SHARED, Player, player

__all__ = ["player"]

ORDER = {"id": "o1", "lines": ["ab"]}


def test_what_is_given_takes_the_place_of_a_handler_and_the_others_are_real(player: Player) -> None:
    with simulate(player.folder, {"orders.charge": {"id": "c1"}}, env={"SHOP": "vienna"}) as simulation:
        (run,) = simulation.send("shop/order-placed", ORDER)
        simulation.run_until_idle()
        finished = simulation.finished(run)
        listened = [row.status for row in simulation.store.runs(pipeline="listen")]
    assert finished.output == {"charge": "c1", "packed": [2]}
    assert listened == ["succeeded"]


def test_a_fake_fails_as_a_handler_does(player: Player) -> None:
    def charge(call: Any) -> Any:
        if call.attempt == 1:
            raise RetryAfter(3600, "busy")
        if simulation.called("orders.charge") == 2:
            raise Snooze(60)
        raise Permanent("declined", code="card.declined")

    moment = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    given = simulate(player.folder, {"orders.charge": charge}, pipelines=["order"], env={"SHOP": "x"}, now=moment)
    with given as simulation:
        (run,) = simulation.send("shop/order-placed", ORDER)
        simulation.run_until_idle()
        finished = simulation.finished(run)
        took = simulation.clock.now_ms() - round(moment.timestamp() * 1000)
    assert finished.statuses()["declined"] == "succeeded"
    assert 3_660_000 <= took < 3_700_000


def test_a_project_with_errors_and_an_unknown_pipeline_are_refused(player: Player) -> None:
    with (
        pytest.raises(ConfigError, match="there is no pipeline `nobody`; there are"),
        simulate(player.folder, pipelines=["nobody"]),
    ):
        pass
    (player.folder / "pipelines/broken.yaml").write_text("flowlang: 1\npipeline: broken\n")
    with pytest.raises(ConfigError, match="a pipeline needs `steps`"), simulate(player.folder):
        pass


# The plugin ----------------------------------------------------------------------------------------------------------

#: How pytest is told to load the plugin where this checkout was installed without its entry point.
LOADED = (
    []
    if any(point.value == "flowlang.testing.plugin" for point in entry_points(group="pytest11"))
    else ["-p", "flowlang.testing.plugin"]
)


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:valkey", *LOADED]
    command = [sys.executable, "-m", "pytest", "-q", *plain, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_pytest_runs_pipeline_tests_beside_python_tests(player: Player) -> None:
    player.suite(
        SHARED
        + "then: {status: succeeded}\n---\ntest: not now\nskip: later\nthen: {}\n---\ntest: wrong\nthen: {runs: 2}\n"
    )
    (player.folder / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    (player.folder / "tests/test_order.py").write_text(
        "def test_it(flowlang_simulate):\n"
        "    with flowlang_simulate({'orders.charge': {'id': 'c1'}}, env={'SHOP': 'x'}, pipelines=['order']) as simulation:\n"
        "        (run,) = simulation.send('shop/order-placed', {'id': 'o1', 'lines': []})\n"
        "        simulation.run_until_idle()\n"
        "        assert simulation.finished(run).status == 'succeeded'\n"
    )
    ran = pytest_in(player.folder, "-rsf", "tests")
    assert "1 failed, 2 passed, 1 skipped" in ran.stdout, ran.stdout + ran.stderr
    assert "SKIPPED [1] tests/it.test.yaml:14: later" in ran.stdout
    assert "failure: runs: expected 2, found 1: succeeded" in ran.stdout
    assert "FAILED tests/it.test.yaml::wrong" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_pytest_chooses_a_pipeline_test_by_its_id(player: Player) -> None:
    player.suite(SHARED + "then: {status: succeeded}\n---\ntest: wrong\nthen: {runs: 2}\n")
    assert "1 passed" in pytest_in(player.folder, "tests/it.test.yaml::it").stdout


def test_a_test_file_with_mistakes_is_an_error_that_shows_them(player: Player) -> None:
    (player.folder / "tests").mkdir()
    (player.folder / "tests/it.test.yaml").write_text("test: it\npipeline: order\ngiven: {call: {}}\nthem: {}\n")
    ran = pytest_in(player.folder, "tests")
    assert "1 error" in ran.stdout
    assert "help: did you mean `then`?" in ran.stdout


def test_files_outside_of_a_project_are_nobodys(player: Player, tmp_path: Path) -> None:
    (player.folder / "elsewhere").mkdir()
    (player.folder / "elsewhere/it.test.yaml").write_text("test: it\n")
    assert "no tests ran" in pytest_in(player.folder, "elsewhere").stdout
