"""The script is put together from its parts, and what Python knows is not written twice."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import flowlang.store
from flowlang.engine import ops
from flowlang.store import script

FOLDER = Path(flowlang.store.__file__).parent / "lua"


def test_it_begins_with_the_line_that_makes_a_full_server_refuse_it_whole() -> None:
    assert script.source().startswith(f"#!lua name={script.name()}\n")


def test_every_file_is_a_part() -> None:
    assert {path.stem for path in FOLDER.glob("*.lua")} == set(script.PARTS)


def test_no_part_blocks_the_server_or_looks_for_keys() -> None:
    calls = {name for path in FOLDER.glob("*.lua") for name in re.findall(r"redis\.call\('(\w+)'", path.read_text())}

    assert calls & {"KEYS", "SCAN", "BLPOP", "BRPOP", "WAIT", "SORT", "EVAL"} == set()
    assert calls >= {"ZADD", "HSET"}


@pytest.mark.parametrize(
    "kind", [*ops.Op.__args__, ops.ClaimRequest, ops.EventRow, ops.RunSeed, ops.Group, ops.Timer, ops.Join]
)
def test_every_default_of_an_operation_is_in_the_script(kind: type[msgspec.Struct]) -> None:
    (line,) = re.findall(rf"^  {kind.__name__} = (.*),$", script.source(), re.MULTILINE)

    for field in msgspec.structs.fields(kind):
        plain = isinstance(field.default, int | str | bytes)
        assert (f"{field.encode_name} = " in line) == (
            plain or field.default_factory is not msgspec.NODEFAULT or field.default == ()
        )


def test_its_parts_are_small_enough_to_read() -> None:
    assert max(len(path.read_text().splitlines()) for path in FOLDER.glob("*.lua")) < 300
