"""What a proof of the failure model says: its number, and whether the claim holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured.

    Attributes:
        text: The numbers, as a line for people.
        holds: Whether the claim holds for what was measured.
    """

    text: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim with the command that measures it.

    Attributes:
        name: Such as `F4`.
        claim: What is claimed, in a line.
        measure: Takes a size from `sizes`, a seed and a printer for progress; gives the figure.
        small: The size that the suite runs.
        full: The size that the claim is about.
    """

    name: str
    claim: str
    measure: Callable[[int, int, Say], Figure]
    small: int
    full: int
