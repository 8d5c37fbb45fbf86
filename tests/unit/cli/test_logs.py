"""Log records on stderr: one line for people, one object for programs."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from flowlang.cli.logs import JsonLines, TextLines


def record(*, error: bool = False) -> logging.LogRecord:
    info = None
    if error:
        try:
            int("no")
        except ValueError:
            info = sys.exc_info()
    made = logging.LogRecord("flowlang.worker", logging.WARNING, "x.py", 1, "lease of %s ended", ("pay",), info)
    made.created = 1_767_225_600.125
    made.run = "r00-a"
    return made


def test_people_get_a_line_with_the_fields_behind() -> None:
    assert TextLines().format(record()) == (
        "2026-01-01T00:00:00.125Z warning flowlang.worker: lease of pay ended  run=r00-a"
    )


def test_programs_get_an_object() -> None:
    assert json.loads(JsonLines().format(record())) == {
        "at": "2026-01-01T00:00:00.125Z",
        "level": "warning",
        "logger": "flowlang.worker",
        "message": "lease of pay ended",
        "run": "r00-a",
    }


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()])
def test_an_exception_is_kept_whole(formatter: logging.Formatter) -> None:
    assert "ValueError: invalid literal" in formatter.format(record(error=True))
