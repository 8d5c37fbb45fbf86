"""The parse tables of `grammar.lark`, saved as `tables.json` because loading them is ten times faster than building.

`python -m flowlang.expr.tables` writes the file. Tables of another grammar or another Lark are not used: then they
are built from the grammar, which is slower and gives the same parser.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import lark
from lark.grammar import Rule
from lark.lexer import Lexer, TerminalDef

from flowlang.expr.lexer import Token, tokenize

_GRAMMAR: Final = "grammar.lark"
_TABLES: Final = "tables.json"


class _Tokens(Lexer):
    """Our tokens, in the form that Lark asks for."""

    def __init__(self, lexer_conf: object) -> None:
        """Take no configuration: the tokens are fixed."""

    def lex(self, lexer_state: Any, parser_state: Any = None) -> Iterator[Token]:  # type: ignore[override]
        """Yield the tokens of a text."""
        del parser_state
        return tokenize(lexer_state)


def load(builder: object) -> lark.Lark:
    """Make the parser, from the saved tables where they belong to this grammar and this Lark.

    Args:
        builder: Has a method for each named rule of the grammar.

    Returns:
        A parser; it may be used by several threads.
    """
    grammar = _read(_GRAMMAR)
    saved = json.loads(_read(_TABLES))
    if saved["made_for"] == _made_for(grammar):
        data, memo = _from_json(saved)
        parser = lark.Lark._load_from_dict(data, memo, transformer=builder)  # type: ignore[no-untyped-call] # noqa: SLF001 - what Lark's own stand-alone parsers call
        _quicken(parser)
        return parser  # type: ignore[no-any-return]
    return _build(grammar, builder)


class _Rule:
    """What the parser asks of a rule; found by identity, where Lark's own rules are compared symbol by symbol."""

    __slots__ = ("expansion", "origin")

    def __init__(self, rule: Rule) -> None:
        self.expansion = rule.expansion
        self.origin = rule.origin


def _quicken(parser: Any) -> None:
    """Make the parser find what a rule builds without comparing rules: it does that nine times a name."""
    core = parser.parser.parser.parser
    quick = {rule: _Rule(rule) for rule in parser.rules}
    for actions in core.parse_table.states.values():
        for kind, (action, target) in actions.items():
            if target in quick:
                actions[kind] = action, quick[target]
    core.callbacks = {
        rule: itemgetter(0)
        if written.options.expand1 and written.alias is None and len(written.expansion) == 1
        else build
        for written, rule in quick.items()
        for build in [core.callbacks[written]]
    }


def dump() -> str:
    """Write the tables of the grammar as they belong into `tables.json`.

    Returns:
        The content of the file.
    """
    grammar = _read(_GRAMMAR)
    data, memo = _build(grammar, None).memo_serialize([TerminalDef, Rule])
    data["options"] = {name: value for name, value in data["options"].items() if name not in {"transformer", "lexer"}}
    data["parser"]["lexer_conf"]["lexer_type"] = None
    content = {"made_for": _made_for(grammar), "data": data, "memo": memo}
    return json.dumps(content, separators=(",", ":"), sort_keys=True, default=sorted) + "\n"


def _build(grammar: str, builder: object) -> lark.Lark:
    return lark.Lark(grammar, parser="lalr", lexer=_Tokens, transformer=builder, maybe_placeholders=False)


def _made_for(grammar: str) -> str:
    return f"lark {lark.__version__}, grammar {hashlib.sha256(grammar.encode()).hexdigest()}"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _from_json(saved: dict[str, Any]) -> tuple[dict[str, Any], dict[int, Any]]:
    """Undo what JSON does to tables: keys that are numbers became text, and the lexer's class was left out."""
    data = saved["data"]
    data["options"]["lexer"] = _Tokens
    data["parser"]["lexer_conf"]["lexer_type"] = _Tokens
    table = data["parser"]["parser"]
    table["tokens"] = {int(number): name for number, name in table["tokens"].items()}
    table["states"] = {
        int(state): {int(token): action for token, action in actions.items()}
        for state, actions in table["states"].items()
    }
    return data, {int(number): value for number, value in saved["memo"].items()}


if __name__ == "__main__":
    Path(__file__).with_name(_TABLES).write_text(dump(), encoding="utf-8")
