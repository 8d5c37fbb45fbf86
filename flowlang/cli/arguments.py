"""Reading what is given on the command line as JSON or as a duration; click calls these as types of parameters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import click

from flowlang import jsondata

#: For commands that show data.
reveal_option = click.option("--reveal", is_flag=True, help="Show what is marked as sensitive, too, in place of ***.")


class Given(NamedTuple):
    """JSON data that was given: `null` is a value, and another thing than nothing."""

    value: Any


def json_value(text: str) -> Given:
    """Read JSON data: a text such as `{"a": 1}`, `@file.json`, or `-` for stdin.

    Raises:
        BadParameter: saying where it cannot be read.
    """
    origin, content = _content(text)
    try:
        return Given(jsondata.loads_strict(content))
    except jsondata.JsonError as error:
        hint = "" if origin else '; quote it for the shell as \'{"name": "Ada"}\', or give a file as @data.json'
        raise click.BadParameter(f"{origin}{error}{hint}") from None


def _content(text: str) -> tuple[str, bytes]:
    if text == "-":
        return "stdin: ", sys.stdin.buffer.read()
    if not text.startswith("@"):
        return "", text.encode("utf-8", errors="surrogateescape")
    path = text.removeprefix("@")
    try:
        return f"{path}: ", Path(path).read_bytes()
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror or error}") from None


def seconds(text: str) -> float:
    """Read a duration such as `30s` or `1h30m`, and give it on as seconds.

    Raises:
        BadParameter: saying what would be right.
    """
    from flowlang.durations import DurationError, parse_duration  # noqa: PLC0415 - only when such a flag is given

    try:
        return parse_duration(text).total_seconds()
    except DurationError as error:
        raise click.BadParameter(f"{error.message}; {error.hint}" if error.hint else error.message) from None
