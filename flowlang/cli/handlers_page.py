"""Writes `docs/reference/built-in-handlers.md` from the handlers in `flowlang.integrations`; `make docs` checks it.

Run from the root of the repository: `python -m flowlang.cli.handlers_page`.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from flowlang.handler.definition import HandlerDefinition
from flowlang.handler.files import built_in_files
from flowlang.handler.registry import module_definitions

PAGE: Final = Path("docs/reference/built-in-handlers.md")

_HEAD: Final = """\
# Built-in handlers

Written from the code by `python -m flowlang.cli.handlers_page`; change it there. The guide of
[built-in handlers](../guide/built-in-handlers.md) has examples, and says where they may connect to.

"""


def handlers_page() -> str:
    """The whole page."""
    return _HEAD + "\n".join(_section(definition) for definition in _definitions())


def _definitions() -> Iterator[HandlerDefinition]:
    for file in built_in_files():
        yield from module_definitions(importlib.import_module(file.module))


def _section(definition: HandlerDefinition) -> str:
    text = inspect.getdoc(definition.function) or ""
    about, _, arguments = text.partition("\n\nArgs:\n")
    said = dict(_described(arguments))
    notes = definition.signature()
    lines = [f"## {definition.name}", "", about, "", f"`effect: {definition.effect}`, `timeout: {definition.timeout}`"]
    if module := inspect.getdoc(importlib.import_module(definition.module)):
        lines += [paragraph for part in module.split("\n\n")[1:] for paragraph in ("", part)]
    lines += ["", "| argument | type | default | what it is |", "|---|---|---|---|"]
    for argument in definition.arguments:
        param = notes.param(argument.name)
        assert param is not None
        kind = _cell(_plain(param.annotation_text or "Any"))
        default = "" if argument.default is argument.empty else f"`{_shown(argument.default)}`"
        lines.append(f"| `{argument.name}` | `{kind}` | {default or 'needed'} | {said[argument.name]} |")
    lines += ["", _output(definition), ""]
    return "\n".join(lines)


def _output(definition: HandlerDefinition) -> str:
    kind: Any = definition.hints["return"]
    if not is_dataclass(kind):
        return "It gives nothing."
    names = ", ".join(f"`{each.name}`" for each in fields(kind) if each.default is MISSING)
    about = (inspect.getdoc(kind) or "").partition("\n\nAttributes:\n")
    said = "".join(f"\n- `{name}`: {text}" for name, text in _described(about[2]))
    return f"It gives {names}. {about[0]}\n{said}".rstrip()


def _described(text: str) -> Iterator[tuple[str, str]]:
    """What a docstring says of each name, over as many lines as it takes."""
    for found in re.finditer(r"^ {4}(\w+): (.*(?:\n {8,}.*)*)", text, re.MULTILINE):
        yield found[1], " ".join(found[2].split())


def _plain(note: str) -> str:
    """A hint as people read it: without what only a check needs."""
    return re.sub(r"Annotated\[(\w+), .*\]$", r"\1", note).removesuffix(" | None")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case "":
            return '""'
        case _:
            return str(value)


if __name__ == "__main__":
    PAGE.write_text(handlers_page(), encoding="utf-8")
