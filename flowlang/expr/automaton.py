"""Runs the tables of a LALR grammar over tokens, and tells which tokens would have been right where one is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from flowlang.expr.lexer import Token

#: Type of the token behind the last one.
END: Final = "$END"

#: Makes a value of the values of parts.
Build = Callable[[list[Any]], Any]


class UnexpectedTokenError(Exception):
    """A token that cannot stand where it does.

    Args:
        token: The token; its type is `END` where the text is too short.
        accepted: Types of the tokens that could stand there.
    """

    def __init__(self, token: Token, accepted: frozenset[str]) -> None:
        super().__init__(token.type)
        self.token = token
        self.accepted = accepted


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the grammar.

    Args:
        origin: What it makes.
        size: How many parts it has.
        build: Makes its value of its parts; None: the value of its only part.
        spliced: Places of parts that are lists of parts themselves, such as those of a repetition.
    """

    origin: str
    size: int
    build: Build | None
    spliced: tuple[int, ...]


class Automaton:
    """The tables of a grammar; may be used by several threads.

    Args:
        start: The first state.
        rules: What is reduced, by number.
        actions: For each state, by type of token: the next state, or `~number` of a rule to reduce.
        targets: For each state, by what a rule has made: the next state.
    """

    def __init__(
        self,
        start: int,
        rules: Sequence[Rule],
        actions: Sequence[Mapping[str, int]],
        targets: Sequence[Mapping[str, int]],
    ) -> None:
        self._start = start
        self._rules = rules
        self._actions = actions
        self._targets = targets
        #: Where the rules lead that only rename their part: nine of them lie between a name and an expression.
        self._renamed: dict[tuple[int, int, str], tuple[int, int | None]] = {}

    def run(self, tokens: Iterable[Token], end: Token) -> Any:
        """Parse tokens.

        Args:
            tokens: In the order of the text.
            end: The token behind the last one.

        Returns:
            The value of the whole.

        Raises:
            UnexpectedTokenError: The tokens are not of the language.
        """
        renamed, rules, targets = self._renamed, self._rules, self._targets
        states = [self._start, self._start]
        values: list[Any] = []
        for token in chain(tokens, (end,)):
            kind = token.type
            while True:
                at = (states[-2], states[-1], kind)
                known = renamed.get(at)
                if known is None:
                    known = renamed[at] = self._rename(*at)
                states[-1], action = known
                if action is None:
                    raise UnexpectedTokenError(token, self._accepted(states))
                if action >= 0:
                    states.append(action)
                    values.append(token)
                    break
                rule = rules[~action]
                size = rule.size
                parts = values[-size:]
                del values[-size:], states[-size:]
                if rule.spliced:
                    parts = _spliced(parts, rule.spliced)
                values.append(parts if rule.build is None else rule.build(parts))
                states.append(targets[states[-1]][rule.origin])
        return values[0]

    def _rename(self, below: int, top: int, kind: str) -> tuple[int, int | None]:
        """Find what to do at a token, after all rules that only rename the last part."""
        while True:
            action = self._actions[top].get(kind)
            rule = self._rules[~action] if action is not None and action < 0 else None
            if rule is None or rule.build is not None or rule.size != 1 or rule.spliced:
                return top, action
            top = self._targets[below][rule.origin]

    def _accepted(self, states: list[int]) -> frozenset[str]:
        return frozenset(kind for kind in self._actions[states[-1]] if self._accepts(states.copy(), kind))

    def _accepts(self, states: list[int], kind: str) -> bool:
        while True:
            action = self._actions[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                return True
            rule = self._rules[~action]
            del states[-rule.size :]
            states.append(self._targets[states[-1]][rule.origin])


def _spliced(parts: list[Any], places: tuple[int, ...]) -> list[Any]:
    return [one for place, part in enumerate(parts) for one in (part if place in places else (part,))]
