"""Where the parts of an expression are in its text, parentheses included."""

from __future__ import annotations

from flowlang.expr.lexer import tokenize
from flowlang.expr.syntax import Node, children, walk


class TextPlaces:
    """Finds the parentheses that belong to a part: the offsets of nodes leave them out.

    `(a || b) && c` is a node that begins at `a`, and a text that begins at the parenthesis.

    Args:
        text: The expression.
    """

    def __init__(self, text: str) -> None:
        self._tokens = list(tokenize(text))
        self._at_start = {token.start_pos: place for place, token in enumerate(self._tokens)}
        self._at_end = {token.end_pos: place for place, token in enumerate(self._tokens)}
        self._partners: dict[int, int] = {}
        self._places: dict[int, tuple[int, int]] = {}
        open_: list[int] = []
        for place, token in enumerate(self._tokens):
            if token.type == "LPAR":
                open_.append(place)
            elif token.type == "RPAR":
                opening = open_.pop()
                if opening == 0 or self._tokens[opening - 1].type != "IDENT":
                    self._partners[opening] = place

    def place(self, node: Node) -> tuple[int, int]:
        """Tell where a node's text is, with the parentheses of its outermost parts and without its own."""
        found = self._places.get(id(node))
        if found is None:
            # Deepest first, since a sum of thousands is as deep.
            for part in reversed(list(walk(node))):
                self._places[id(part)] = self._place(part)
            found = self._places[id(node)]
        return found

    def _place(self, node: Node) -> tuple[int, int]:
        around = [self._around(*self._places[id(part)]) for part in children(node)]
        return (
            min([node.start, *(start for start, _ in around)]),
            max([node.end, *(end for _, end in around)]),
        )

    def _around(self, start: int, end: int) -> tuple[int, int]:
        before, after = self._at_start[start] - 1, self._at_end[end] + 1
        while before >= 0 and self._partners.get(before) == after:
            start, end = self._tokens[before].start_pos, self._tokens[after].end_pos
            before, after = before - 1, after + 1
        return start, end
