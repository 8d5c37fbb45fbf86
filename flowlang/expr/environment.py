"""What the checker is told of the place of an expression: its names with their types, and more functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flowlang.expr.facts import NOTHING, Facts
from flowlang.expr.signatures import Signature
from flowlang.expr.types import Type


@dataclass(frozen=True, slots=True)
class Environment:
    """The names that an expression may read, with their types.

    Args:
        variables: Types by name.
        functions: Signatures beside the language's own, by name and whether they are called on a target; they replace
            those that the language has by the same name.
        container: Namespace in which names are sought first.
        facts: What is known of the data in that place, for example by a condition that was true before.
        closed: Whether other names are mistakes; else nothing is known of them.
    """

    variables: Mapping[str, Type] = field(default_factory=dict)
    functions: Mapping[tuple[str, bool], tuple[Signature, ...]] = field(default_factory=dict)
    container: str = ""
    facts: Facts = NOTHING
    closed: bool = True
