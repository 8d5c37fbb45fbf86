"""What stands at an offset of a file: a key, a value, or a part of an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from flowlang.expr.regions import CLOSING, OPENING, template_regions
from flowlang.model import Path, YamlDocument
from flowlang.model.expression import ExpressionText, read_expression
from flowlang.model.yaml_nodes import Mapping, Node, Scalar, Sequence
from flowlang.model.yaml_offsets import map_offsets
from flowlang.model.yaml_traps import DATA_KEYS, EXPRESSION_KEYS


@dataclass(frozen=True, slots=True)
class Spot:
    """What stands at an offset.

    Attributes:
        document: Where.
        path: Of the value; at a key, of the key's value.
        scalar: The key, or the value.
        on_key: Whether it is a key.
    """

    document: YamlDocument
    path: Path
    scalar: Scalar
    on_key: bool


@dataclass(frozen=True, slots=True)
class PlacedText:
    """An expression in a scalar.

    Attributes:
        document: Where.
        path: Of the scalar.
        text: The expression, without braces.
        offset: Where it begins in the scalar's value.
    """

    document: YamlDocument
    path: Path
    text: str
    offset: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the file of a part of the expression."""
        span = self.document.span_in(self.path, self.offset + start, self.offset + end)
        return span.start, span.end


def spot_at(document: YamlDocument, offset: int) -> Spot | None:
    """What stands at an offset; None between things.

    Args:
        document: Where to look.
        offset: In the file; behind the last character of something still counts.
    """
    node: Node = document.root
    path: Path = ()
    while not isinstance(node, Scalar):
        if isinstance(node, Sequence):
            found = [(place, item) for place, item in enumerate(node.items) if _holds(item, offset)]
            if not found:
                return None
            path, node = (*path, found[-1][0]), found[-1][1]
            continue
        inside = None
        for key, entry in node.entries.items():
            if entry.merged:
                continue
            if entry.key.start <= offset <= entry.key.end:
                return Spot(document, (*path, key), entry.key, on_key=True)
            if _holds(entry.value, offset):
                inside = (*path, key), entry.value
        if inside is None:
            return None
        path, node = inside
    return Spot(document, path, node, on_key=False) if node.start <= offset <= node.end else None


def _holds(node: Node, offset: int) -> bool:
    return node.start <= offset <= node.end


def takes_expression(path: Path) -> bool:
    """Whether the value at a path is an expression without braces."""
    *above, key = [step for step in path if isinstance(step, str)] or [""]
    return (key in EXPRESSION_KEYS and not DATA_KEYS.intersection(above)) or (key == "check" and not above[1:])


def expressions_of(document: YamlDocument, path: Path, scalar: Scalar) -> list[PlacedText]:
    """The expressions in a scalar, those included that cannot be parsed.

    Args:
        document: Where it is.
        path: Where in it.
        scalar: The scalar.
    """
    if not isinstance(scalar.value, str):
        return []
    if takes_expression(path):
        try:
            written: ExpressionText = read_expression(scalar.value)
        except PydanticCustomError:
            return []
        return [PlacedText(document, path, written.text, written.offset)]
    regions, _ = template_regions(scalar.value)
    found = []
    for region in regions:
        start, end = region.start + len(OPENING), region.end - len(CLOSING)
        found.append(PlacedText(document, path, scalar.value[start:end], start))
    return found


def expression_at(spot: Spot, offset: int) -> tuple[PlacedText, int] | None:
    """The expression at an offset, and the offset in its text; None when there is none.

    Args:
        spot: What stands there.
        offset: In the file.
    """
    scalar = spot.scalar
    if spot.on_key or not isinstance(scalar.value, str):
        return None
    places = map_offsets(spot.document.source.text, scalar.start, scalar.end, scalar.style, scalar.text)
    if places is None:
        return None
    inside = next((number for number, (_, end) in enumerate(places) if offset < end), len(places))
    for placed in expressions_of(spot.document, spot.path, scalar):
        if placed.offset <= inside <= placed.offset + len(placed.text):
            return placed, inside - placed.offset
    return None


def scalars_of(node: Node, path: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """Every scalar value of a tree with its path; what came in by `<<` is left out, since it is written elsewhere."""
    if isinstance(node, Scalar):
        yield path, node
    elif isinstance(node, Sequence):
        for place, item in enumerate(node.items):
            yield from scalars_of(item, (*path, place))
    elif isinstance(node, Mapping):
        for key, entry in node.entries.items():
            if not entry.merged:
                yield from scalars_of(entry.value, (*path, key))
