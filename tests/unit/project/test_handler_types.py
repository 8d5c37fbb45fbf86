"""What handlers take and give: from syntax where that says it, else from a process of its own, kept by content."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import pytest

from flowlang.handler.signature import HintSchemas
from flowlang.project import handler_types
from flowlang.project.handler_types import HandlerTypes, read_handler_types
from flowlang.project.plain_hints import Module, NotPlainError
from flowlang.project.signatures import read_signatures
from tests.unit.project.projects import write_project

HEAD = "import typing as t\nfrom typing import Annotated, Any, Literal, Optional\nfrom pydantic import Field\nfrom flowlang import Sensitive\nObject = dict[str, Any]\n"

PLAIN = [
    "str", "int", "float", "bool", "list[int]", "dict[str, float]", "int | None", "Optional[str]", "list[dict[str, list[bool]]]",
    "Literal['a', 'b']", "t.Literal['x']", "Annotated[int, Field(ge=1, le=500)]", "'str'", "None", "list[str] | str", "Object",
    "Sensitive[str]", "list[Sensitive[int]]", "Sensitive[dict[str, float]] | None",
]  # fmt: skip


@pytest.mark.parametrize("hint", PLAIN)
def test_a_plain_hint_says_what_pydantic_says(hint: str) -> None:
    namespace: dict[str, Any] = {}
    exec(HEAD, namespace)
    live = eval(hint, namespace)
    live = eval(live, namespace) if isinstance(live, str) else live
    wanted = pydantic.TypeAdapter(live).json_schema()
    assert simple(Module.of(ast.parse(HEAD)).schema(hint)) == simple(wanted)


def simple(schema: Any) -> Any:
    """Two ways of saying the same: a list of one choice, a constant, what goes without saying."""
    if not isinstance(schema, dict):
        return schema
    if "const" in schema:
        return {"enum": [schema["const"]]}
    found = {key: simple(value) for key, value in schema.items() if key != "title"}
    if "enum" in found:
        found.pop("type", None)
    if found.get("additionalProperties") is True:
        del found["additionalProperties"]
    if "anyOf" in found:
        found["anyOf"] = [simple(part) for part in found["anyOf"]]
    return found


@pytest.mark.parametrize(
    "hint",
    ["Model", "Decimal", "list[Model]", "Annotated[int, parse]", "dict[int, str]", "t.NamedTuple", "str[", "x.y.z"],
)
def test_what_names_anything_else_is_left_to_others(hint: str) -> None:
    with pytest.raises(NotPlainError):
        Module.of(ast.parse(f"{HEAD}class Model: pass\n")).schema(hint)


def test_a_name_that_hides_a_built_in_is_not_taken_for_it() -> None:
    with pytest.raises(NotPlainError):
        Module.of(ast.parse("class str: pass\n")).schema("str")


MODELS = "from pydantic import BaseModel\n\n\nclass Order(BaseModel):\n    id: str\n"
HANDLERS = """
import os
from flowlang import handler
from models import Order

print("noise that must not be taken for the answer")


@handler("shop.load", effect="pure")
def load(order: Order, secret: str = os.environ.get("SHOP_SECRET", "")) -> Order:
    return order
"""


def read(folder: Path) -> HandlerTypes:
    signatures, _ = read_signatures(folder, entry_points=False)
    return read_handler_types(folder, signatures, signatures)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """Counts the processes that are made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    requests: list[object] = []
    ask = handler_types._ask

    def counted(request: Mapping[str, Any]) -> dict[str, Any]:
        requests.append(request)
        return ask(request)

    monkeypatch.setattr(handler_types, "_ask", counted)
    return requests


def fields(types: HandlerTypes) -> list[str]:
    return sorted(types.schemas["shop.load"].arguments["order"]["properties"])


def test_models_are_read_once_until_a_file_that_they_come_from_changes(tmp_path: Path, asked: list[object]) -> None:
    folder = write_project(tmp_path / "p", {"models.py": MODELS, "handlers/shop.py": HANDLERS})
    assert fields(read(folder)) == ["id"]
    assert fields(read(folder)) == ["id"]
    assert len(asked) == 1
    (folder / "models.py").write_text(f"{MODELS}    total: int\n")
    assert fields(read(folder)) == ["id", "total"]
    assert len(asked) == 2


def test_nobodys_code_runs_where_the_hints_say_it_all(tmp_path: Path, asked: list[object]) -> None:
    text = "from flowlang import handler\n\nraise SystemExit\n\n\n@handler('a.b', effect='pure')\ndef f(x: int) -> str: ...\n"
    types = read(write_project(tmp_path / "p", {"handlers/a.py": text}))
    assert types == HandlerTypes({"a.b": HintSchemas({"x": {"type": "integer"}}, {"type": "string"})})
    assert asked == []


def test_the_environments_variables_are_not_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[object]
) -> None:
    monkeypatch.setenv("SHOP_SECRET", "s3cr3t")
    text = HANDLERS.replace('os.environ.get("SHOP_SECRET", "")', 'os.environ["SHOP_SECRET"]')
    folder = write_project(tmp_path / "p", {"models.py": MODELS, "handlers/shop.py": text})
    types = read(folder)
    assert "SHOP_SECRET" in types.problems["shop.load"]
    assert types.schemas == {}


def test_an_import_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[object]
) -> None:
    monkeypatch.setattr(handler_types, "TIME_LIMIT", 1.0)
    text = HANDLERS + "\nimport threading\nthreading.Event().wait()\n"
    folder = write_project(tmp_path / "p", {"models.py": MODELS, "handlers/shop.py": text})
    assert "took longer than 1 s" in read(folder).problems["shop.load"]


def test_an_import_that_ends_the_process_is_a_problem(tmp_path: Path, asked: list[object]) -> None:
    text = HANDLERS + "\nos._exit(3)\n"
    folder = write_project(tmp_path / "p", {"models.py": MODELS, "handlers/shop.py": text})
    assert "ended with status 3" in read(folder).problems["shop.load"]


LOOSE = """
from typing import Annotated
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, AliasChoices
from datetime import datetime
from flowlang import handler


class Named(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    id: str = Field(alias="ID")


class Chosen(BaseModel):
    id: str = Field(validation_alias=AliasChoices("id", "ID"))


@handler("a.b", effect="pure")
def f(parsed: Annotated[int, BeforeValidator(int)], when: datetime, named: Named, chosen: Chosen) -> datetime: ...
"""


def test_a_hint_that_takes_more_than_its_schema_says_takes_anything(tmp_path: Path, asked: list[object]) -> None:
    types = read(write_project(tmp_path / "p", {"handlers/a.py": LOOSE}))
    found = types.schemas["a.b"]
    assert {name: found.arguments[name] for name in ("parsed", "when", "named")} == {
        "parsed": {},
        "when": {},
        "named": {},
    }
    assert found.arguments["chosen"].get("properties", {}).get("id", {}).get("type") is None
    assert found.returns == {"format": "date-time", "type": "string"}
