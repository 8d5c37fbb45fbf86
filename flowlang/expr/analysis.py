"""What an expression reads and calls: for diagnostics, dependencies of steps, and loading only what is needed."""

from __future__ import annotations

from dataclasses import dataclass

from flowlang.expr.syntax import Call, Has, Index, Literal, Name, Node, Select, children


@dataclass(frozen=True, slots=True)
class Reference:
    """A path that an expression reads.

    Args:
        path: Root name and fields, such as `("steps", "charge", "output")`; it ends where a selector is computed.
        spans: Offsets of each segment of the path, as (start, end).
        guarded: Whether the last segment may be absent: it is tested by `has()` or read by `.?` or `[?]`.
    """

    path: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    guarded: bool


@dataclass(frozen=True, slots=True)
class Reads:
    """What a tree reads and calls."""

    references: tuple[Reference, ...]
    calls: frozenset[str]


def analyse(root: Node) -> Reads:
    """Collect the longest constant paths and the called functions.

    Args:
        root: A resolved tree.

    Returns:
        References in the order of the text.
    """
    references: list[Reference] = []
    calls: set[str] = set()
    pending: list[Node] = [root]
    while pending:
        node = pending.pop()
        found = _reference(node)
        if found is not None:
            reference, rest = found
            references.append(reference)
            pending += rest
            continue
        if isinstance(node, Call):
            calls.add(node.name)
        pending += children(node)
    references.sort(key=lambda reference: reference.spans)
    return Reads(tuple(references), frozenset(calls))


def _reference(node: Node) -> tuple[Reference, list[Node]] | None:
    """Read the chain of selections that ends in a node, and what else it evaluates on its way."""
    segments: list[tuple[str, tuple[int, int]]] = []
    rest: list[Node] = []
    guarded = False
    while not isinstance(node, Name):
        if isinstance(node, Select | Has):
            field_end = node.field_end if isinstance(node, Has) else node.end
            segments.append((node.field, (node.field_start, field_end)))
            guarded = guarded or node.optional or isinstance(node, Has)
        elif isinstance(node, Index):
            guarded = guarded or node.optional
            if isinstance(node.index, Literal) and isinstance(node.index.value, str):
                segments.append((node.index.value, (node.index.start, node.index.end)))
            else:
                # The path ends before a computed selector, and what guards the selected value guards not the path.
                segments.clear()
                guarded = False
                rest.append(node.index)
        else:
            return None
        node = node.operand
    segments.append((node.name, (node.start, node.end)))
    segments.reverse()
    path = tuple(name for name, _ in segments)
    return Reference(path, tuple(span for _, span in segments), guarded), rest
