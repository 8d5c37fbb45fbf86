"""Crash points: every label is in the catalog and the other way round; what strikes, when and how often."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import redis

import flowlang
from flowlang import crashpoints
from flowlang.crashpoints.armed import ACTIONS, Armed, CrashError, Notes, Strike
from flowlang.crashpoints.catalog import CATALOG
from flowlang.engine import ops
from flowlang.errors import ConfigError, StoreUnavailableError
from flowlang.store.crashing import KINDS, kinds_of, labels

PLACES = Path(flowlang.__file__).parent
LABEL = "accept.written"


def written_labels() -> Iterator[tuple[str, str]]:
    """The labels of all calls of `crashpoint` with a plain text, each with its file."""
    for path in PLACES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "crashpoint"
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                yield node.args[0].value, path.name


def passing(*strikes: str, code: str, notes: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run code in a process that may be struck."""
    variables = {crashpoints.VARIABLE: ",".join(strikes)}
    if notes is not None:
        variables[crashpoints.NOTES_VARIABLE] = str(notes)
    program = f"from flowlang.crashpoints import crashpoint\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def test_the_code_and_the_catalog_have_the_same_labels() -> None:
    assert {label for label, _ in written_labels()} | labels() == set(CATALOG)


def test_each_label_stands_in_one_place() -> None:
    found = [label for label, _ in written_labels()]
    assert sorted(found) == sorted(set(found))


def test_there_are_enough_labels_and_each_says_what_is_at_stake() -> None:
    assert len(CATALOG) >= 60
    assert {label for label, sentence in CATALOG.items() if len(sentence) < 20 or not sentence.endswith(".")} == set()
    assert all(label.count(".") == 1 for label in CATALOG)


def test_a_normal_process_pays_a_call_that_does_nothing() -> None:
    assert not crashpoints.ARMED
    crashpoints.crashpoint("no such label")


def test_a_normal_process_loads_nothing_of_it() -> None:
    code = "import sys, flowlang.bootstrap; print(sorted(name for name in sys.modules if 'crash' in name))"
    environ = {name: value for name, value in os.environ.items() if name != crashpoints.VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "['flowlang.crashpoints']\n"


def test_it_strikes_at_the_named_passing_only() -> None:
    armed = Armed((Strike.parse(f"{LABEL}:3:raise"),))
    armed.passed(LABEL)
    armed.passed("accept.routed")
    armed.passed(LABEL)
    with pytest.raises(CrashError):
        armed.passed(LABEL)
    armed.passed(LABEL)


def test_of_processes_with_the_same_notes_one_is_struck(tmp_path: Path) -> None:
    first, second = (Armed((Strike.parse(f"{LABEL}:1:raise"),), Notes(tmp_path)) for _ in range(2))
    with pytest.raises(CrashError):
        first.passed(LABEL)
    second.passed(LABEL)
    second.passed(LABEL)
    assert Notes(tmp_path).passed() == {LABEL: 3}
    assert Notes(tmp_path).struck() == {f"{LABEL}:1:raise": os.getpid()}


def test_a_dropped_answer_is_the_unavailability_of_whoever_was_asked() -> None:
    armed = Armed((Strike.parse(f"{LABEL}:1:drop"), Strike.parse("consumer.fetched:1:drop")))
    with pytest.raises(StoreUnavailableError):
        armed.passed(LABEL)
    with pytest.raises(redis.exceptions.ConnectionError):
        armed.passed("consumer.fetched")


def test_a_killed_process_is_gone_at_the_point_and_its_replacement_goes_on(tmp_path: Path) -> None:
    code = f"print('before', flush=True)\ncrashpoint('{LABEL}')\nprint('after')"
    killed = passing(f"{LABEL}:1:kill", code=code, notes=tmp_path)
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, "before\n")
    replaced = passing(f"{LABEL}:1:kill", code=code, notes=tmp_path)
    assert (replaced.returncode, replaced.stdout) == (0, "before\nafter\n")


def test_a_stopped_process_stands_still_until_somebody_lets_it_go_on(tmp_path: Path) -> None:
    environ = {**os.environ, crashpoints.VARIABLE: f"{LABEL}:1:stop", crashpoints.NOTES_VARIABLE: str(tmp_path)}
    program = f"from flowlang.crashpoints import crashpoint\ncrashpoint('{LABEL}')\nprint('after')"
    with subprocess.Popen([sys.executable, "-c", program], env=environ, stdout=subprocess.PIPE, text=True) as process:
        found = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert found is not None
        assert found.si_code == os.CLD_STOPPED
        assert Notes(tmp_path).struck() == {f"{LABEL}:1:stop": process.pid}
        process.send_signal(signal.SIGCONT)
        assert process.communicate()[0] == "after\n"


@pytest.mark.parametrize("text", ["", "nowhere.at_all:1:kill", f"{LABEL}:0:kill", f"{LABEL}:x:kill", f"{LABEL}:1:hurt"])
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Strike.parse(text)


def test_a_label_that_nobody_has_registered_is_an_error_of_an_armed_process() -> None:
    with pytest.raises(LookupError):
        Armed(()).passed("nowhere.at_all")


def test_every_operation_of_the_store_has_a_kind() -> None:
    def least(kind: type[msgspec.Struct]) -> msgspec.Struct:
        """An operation with nothing in it but what it cannot do without."""
        hints = typing.get_type_hints(kind)
        needed = [field.name for field in msgspec.structs.fields(kind) if field.required]
        return kind(**{name: hints[name]() if hints[name] in (str, int, bytes) else () for name in needed})

    kinds = {kind: set(kinds_of([least(kind)])) for kind in typing.get_args(ops.Op)}  # type: ignore[list-item]
    assert all(kinds.values())
    assert set().union(*kinds.values()) <= set(KINDS)


def test_the_actions_are_four() -> None:
    assert ACTIONS == ("kill", "raise", "stop", "drop")
