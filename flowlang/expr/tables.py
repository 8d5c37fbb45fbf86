"""The parse tables of `grammar.lark`, saved as `tables.json`: Lark makes them, and is not needed to use them.

`python -m flowlang.expr.tables` writes the file, and a test holds it to the grammar.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flowlang.expr.automaton import END, Automaton, Rule

if TYPE_CHECKING:
    from lark.grammar import Rule as LarkRule
    from lark.parsers.lalr_analysis import ParseTableBase

_GRAMMAR: Final = "grammar.lark"
_TABLES: Final = "tables.json"


def load(builder: object) -> Automaton:
    """Make the parser.

    Args:
        builder: Has a method for each named rule of the grammar.

    Returns:
        The automaton; it may be used by several threads.
    """
    saved = json.loads(_read(_TABLES))
    rules = [
        Rule(origin, size, None if name is None else getattr(builder, name), tuple(spliced))
        for origin, size, name, spliced in saved["rules"]
    ]
    return Automaton(saved["start"], rules, saved["actions"], saved["targets"])


def dump() -> str:
    """Write the tables of the grammar as they belong into `tables.json`.

    Returns:
        The content of the file.
    """
    from lark import Lark  # noqa: PLC0415 - only needed after a change of the grammar
    from lark.lexer import Lexer  # noqa: PLC0415 - the same

    class NoLexer(Lexer):
        """Takes the place of Lark's lexers, which do not know our tokens."""

        def __init__(self, lexer_conf: object) -> None:
            """Take no configuration."""

        def lex(self, lexer_state: object, parser_state: object) -> Iterator[Any]:
            """Yield nothing: nothing is parsed."""
            del lexer_state, parser_state
            return iter(())

    lark = Lark(_read(_GRAMMAR), parser="lalr", lexer=NoLexer, maybe_placeholders=False)
    table: ParseTableBase[int] = lark.parser.parser._parse_table  # noqa: SLF001 - not public
    content = _content(table)
    parts = (f"{json.dumps(name)}:{json.dumps(content[name], separators=(',', ':'))}" for name in content)
    return "{" + ",\n".join(parts) + "}\n"


def _content(table: ParseTableBase[int]) -> dict[str, Any]:
    """Number the states in the order in which they are reached, and the rules in the order of the grammar."""
    from lark.parsers.lalr_analysis import Shift  # noqa: PLC0415 - only needed after a change of the grammar

    start = table.start_states["start"]
    numbers = {start: 0}
    order = [start]
    for state in order:
        for _, (action, target) in sorted(table.states[state].items()):
            if action is Shift and target not in numbers:
                numbers[target] = len(order)
                order.append(target)
    found = {rule for actions in table.states.values() for action, rule in actions.values() if action is not Shift}
    rules = sorted(found, key=lambda rule: (rule.origin.name, rule.order))
    places = {rule: place for place, rule in enumerate(rules)}
    terminals = {symbol.name for rule in rules for symbol in rule.expansion if symbol.is_term} | {END}
    actions: list[dict[str, int]] = []
    targets: list[dict[str, int]] = []
    for state in order:
        entries = sorted(table.states[state].items())
        known = {name: numbers[to] if action is Shift else ~places[to] for name, (action, to) in entries}
        actions.append({name: to for name, to in known.items() if name in terminals})
        targets.append({name: to for name, to in known.items() if name not in terminals})
    # Lark stops in front of the end; here it is taken like any other token.
    actions[numbers[table.end_states["start"]]][END] = 0
    return {"start": 0, "rules": [_rule(rule) for rule in rules], "actions": actions, "targets": targets}


def _rule(rule: LarkRule) -> tuple[str, int, str | None, list[int]]:
    """Write a rule: what it makes, its size, the method that builds it, and the repetitions among its parts."""
    origin = rule.origin.name
    only_renames = rule.options.expand1 and len(rule.expansion) == 1 and rule.alias is None
    name = None if origin.startswith("_") or only_renames else rule.alias or origin
    spliced = [place for place, symbol in enumerate(rule.expansion) if symbol.name.startswith("__")]
    return origin, len(rule.expansion), name, spliced


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


if __name__ == "__main__":
    Path(__file__).with_name(_TABLES).write_text(dump(), encoding="utf-8")
