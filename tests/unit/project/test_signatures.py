"""Handlers read from their source, without importing it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from flowlang.handler.discover import discover
from flowlang.project.signatures import read_signatures


@pytest.fixture(autouse=True)
def _clean_modules() -> Iterator[None]:
    path = list(sys.path)
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"handlers", "acme_signatures"}]:
        del sys.modules[name]


def write(folder: Path, text: str, name: str = "handlers/a.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text), encoding="utf-8")
    return folder


FUNCTIONS = {
    "plain": "@handler('t.f')\ndef f(a: int, b: str = 'x') -> dict[str, int]: return {}",
    "no_hints": "@handler('t.f')\ndef f(a, b=1): ...",
    "nothing": "@handler('t.f', effect='pure')\ndef f() -> None: ...",
    "async": "@handler('t.f', effect='once', timeout='1h30m')\nasync def f(a: list[dict[str, Any]]) -> None: ...",
    "keyword_only": "@handler('t.f')\ndef f(*, a: int, b: int = 1, c: int | None) -> None: ...",
    "context_first": "@handler('t.f')\ndef f(ctx: Context, a: int) -> None: ...",
    "context_other_name": "@handler('t.f')\ndef f(a: int, *, me: Context) -> None: ...",
    "context_in_quotes": "@handler('t.f')\ndef f(a: 'int', ctx: 'Context') -> 'str': return ''",
    "context_annotated": "@handler('t.f')\ndef f(a: Annotated[int, 'note'], ctx: Annotated[Context, 'mine']) -> None: ...",
    "context_of_package": "@handler('t.f')\ndef f(a: int, ctx: flowlang.Context) -> None: ...",
    "a_class_named_context": "class Context: ...\n@handler('t.f')\ndef f(a: int, ctx: flowlang.Context) -> None: ...",
    "extra": "@handler('t.f')\ndef f(a: int, **rest: str) -> None: ...",
    "module_attribute": "@flowlang.handler('t.f', effect='keyed')\ndef f(a: Optional[int]) -> None: ...",
    "name_by_keyword": "@handler(name='t.f')\ndef f(a: typing.Any) -> None: ...",
    "module_alias": "import flowlang as fl\n@fl.handler('t.f')\ndef f(a: int, c: fl.Context) -> None: ...",
    "name_alias": "from flowlang import handler as job, Context as Ctx\n@job('t.f')\ndef f(a: int, c: Ctx) -> None: ...",
    "many_lines": "@handler(\n    't.f',\n    effect='pure',\n    retry={'attempts': 3, 'errors': ['transient']},\n)\ndef f(\n    a: int,\n) -> None: ...",
    "above_others": "@handler('t.f')\n@keep\ndef f(a: int) -> None: ...",
    "conditional": "if sys.version_info >= (3,):\n    @handler('t.f')\n    def f(a: int) -> None: ...\nelse:\n    pass",
    "tried": "try:\n    pass\nfinally:\n    @handler('t.f')\n    def f(a: int) -> None: ...",
    "future": '@handler(\'t.f\')\ndef f(a: "int | None" = None, b: dict[str, "int"] = {}) -> None: ...',
}

HEADER = """\
import functools, sys, typing
import flowlang
from typing import Annotated, Any, Optional
from flowlang import Context, handler

def keep(function):
    return function

"""


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"], ids=["", "postponed"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_reading_the_source_and_asking_the_live_function_agree(tmp_path: Path, name: str, future: str) -> None:
    write(tmp_path, future + HEADER + FUNCTIONS[name])
    signatures, problems = read_signatures(tmp_path, entry_points=False)
    assert problems == []
    live = discover(tmp_path, entry_points=False)
    assert live.problems == ()
    (definition,) = live.registry.values()
    (signature,) = signatures.values()
    expected = definition.signature(tmp_path)
    assert signature.to_json() | {"column": 1} == expected.to_json()
    assert signature.digest == expected.digest


def test_what_is_read_of_a_function(tmp_path: Path) -> None:
    write(
        tmp_path,
        HEADER
        + FUNCTIONS["context_first"]
        .replace("a: int", "a: int, b: list[str] = []")
        .replace("'t.f'", "'t.f', effect='keyed', timeout='2m'"),
    )
    signature = read_signatures(tmp_path, entry_points=False)[0]["t.f"]
    assert [(p.name, p.required, p.annotation_text, p.has_default) for p in signature.params] == [
        ("a", True, "int", False),
        ("b", False, "list[str]", True),
    ]
    assert (signature.effect, signature.timeout, signature.is_async, signature.returns) == (
        "keyed",
        "2m",
        False,
        "None",
    )
    assert signature.place == "handlers/a.py:9:1"


def test_no_code_is_run(tmp_path: Path) -> None:
    write(tmp_path, "from flowlang import handler\nraise SystemExit('executed')\n@handler('t.f')\ndef f(): ...")
    assert list(read_signatures(tmp_path, entry_points=False)[0]) == ["t.f"]


PROBLEMS = [
    ("@handler\ndef f(): ...", "9:2", "@handler needs a name: write @handler('segment.segment')"),
    ("@handler()\ndef f(): ...", "9:2", "@handler takes a name, and by keyword effect, timeout, retry"),
    ("@handler('a.b', 'pure')\ndef f(): ...", "9:2", "@handler takes a name, and by keyword effect, timeout, retry"),
    (
        "@handler('a.b', efect='pure')\ndef f(): ...",
        "9:2",
        "@handler takes a name, and by keyword effect, timeout, retry, not efect",
    ),
    (
        "@handler('a.b', **more)\ndef f(): ...",
        "9:2",
        "@handler takes a name, and by keyword effect, timeout, retry, not **",
    ),
    (
        "@handler('charge')\ndef f(): ...",
        "9:2",
        "the handler name 'charge' must be lower-case words joined by dots, such as 'mux.create_asset'",
    ),
    (
        "@handler('a.b', effect='safe')\ndef f(): ...",
        "9:2",
        "effect='safe' must be one of 'pure', 'idempotent', 'keyed', 'once'",
    ),
    (
        "@handler(PREFIX + '.b')\ndef f(): ...",
        "9:10",
        "the name of a handler must be written as a literal, so that it can be read here",
    ),
    (
        "@handler('a.b', timeout=LONG)\ndef f(): ...",
        "9:25",
        "the timeout of a handler must be written as a literal, so that it can be read here",
    ),
    (
        "@handler('a.b')\ndef f(x, /): ...",
        "10:7",
        "the handler takes 'x' by position only; `with` gives arguments by name, so write it as an ordinary parameter",
    ),
    (
        "@handler('a.b')\ndef f(*xs): ...",
        "10:8",
        "the handler takes 'xs' by position only; `with` gives arguments by name, so write it as an ordinary parameter",
    ),
    ("@handler('a.b')\ndef f(a: Context, b: Context): ...", "10:19", "the handler takes the Context twice"),
    ("@keep\n@handler('a.b')\ndef f(): ...", "10:2", "another decorator wraps this handler; put @handler on top"),
    (
        "@handler('a.b')\n@handler('a.c')\ndef f(): ...",
        "10:2",
        "this function is a handler already; one name a function",
    ),
    (
        "class A:\n    @handler('a.b')\n    def f(self): ...",
        "10:6",
        "@handler must stand on a function of a module, not on a method",
    ),
    ("def f(:", "9:7", "the file is no Python: "),
]


@pytest.mark.parametrize(("text", "place", "message"), PROBLEMS)
def test_a_wrong_declaration_is_reported_with_its_place_and_hides_no_other(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    write(tmp_path, HEADER + text)
    write(tmp_path, HEADER + "@handler('good.one')\ndef f(): ...", "handlers/b.py")
    signatures, problems = read_signatures(tmp_path, entry_points=False)
    assert list(signatures) == ["good.one"]
    (problem,) = problems
    assert (problem.path, f"{problem.line}:{problem.column}") == ("handlers/a.py", place)
    assert problem.message == message or (message.endswith(": ") and problem.message.startswith(message))


def test_a_name_that_is_declared_twice_is_reported_with_both_places(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path, HEADER + "@handler('same.one')\ndef f(): ...", f"handlers/{name}.py")
    signatures, problems = read_signatures(tmp_path, entry_points=False)
    assert signatures["same.one"].path == "handlers/a.py"
    assert [problem.message for problem in problems] == [
        "the handler 'same.one' is declared twice: at handlers/a.py:9:1 and at handlers/b.py:9:1; give one of them another name"
    ]


def test_a_decorator_of_the_same_name_from_elsewhere_is_no_handler(tmp_path: Path) -> None:
    write(tmp_path, "from events import handler\n@handler('a.b')\ndef f(): ...\n@other.handler('a.c')\ndef g(): ...")
    assert read_signatures(tmp_path, entry_points=False) == ({}, [])


def test_a_file_in_no_encoding_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "handlers/a.py").write_bytes(b"x = '\xff'\n")
    _, (problem,) = read_signatures(tmp_path, entry_points=False)
    assert (problem.path, "the file is no Python" in problem.message) == ("handlers/a.py", True)


def test_installed_handlers_are_read_without_running_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "raise SystemExit('executed')", "site/acme_signatures/__init__.py")
    write(tmp_path, HEADER + "@handler('acme.one')\ndef f(): ...", "site/acme_signatures/jobs.py")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    points = [
        EntryPoint("acme", "acme_signatures.jobs", "flowlang.handlers"),
        EntryPoint("gone", "acme_signatures.gone", "flowlang.handlers"),
    ]
    signatures, problems = read_signatures(tmp_path / "project", entry_points=points)
    assert signatures["acme.one"].place == f"{tmp_path}/site/acme_signatures/jobs.py:9:1"
    assert [problem.path for problem in problems] == ["acme_signatures.gone"]
    assert "acme_signatures" not in sys.modules
