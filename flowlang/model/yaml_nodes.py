"""The tree that the loader makes of a YAML document: values with the places of every key and value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowlang.model.yaml_offsets import map_offsets
from flowlang.source import SourceText, Span

#: Keys and list indices from the root of a document to a value.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, number, boolean or nothing.

    Args:
        value: By the core schema of YAML 1.2.
        text: As the parser gives it, before it is read as a number or boolean.
        style: `""` for plain, or one of `' " | >`.
        start: Offset in the file, quotes included.
        end: Offset behind it.
        broken: Whether something was found about it already, so that no rule need complain again.
    """

    value: str | int | float | bool | None
    text: str
    style: str
    start: int
    end: int
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    start: int
    end: int
    flow: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a map with its value; `merged` when it came in by `<<`."""

    key: Scalar
    value: Node
    merged: bool = False


@dataclass(frozen=True, slots=True)
class Mapping:
    """A map whose keys are texts; each key once."""

    entries: dict[str, Entry]
    start: int
    end: int
    flow: bool


Node = Scalar | Sequence | Mapping


class MapData(dict[str, Any]):
    """A map as plain data that knows where it stands: `path` leads to it from the root of its document."""

    path: Path = ()


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One document of a file.

    Args:
        source: The file.
        root: Its tree.
    """

    source: SourceText
    root: Node

    def data(self) -> Any:
        """The document as plain data: `MapData`, lists, texts, numbers, booleans and None."""
        return _plain_data(self.root, ())

    def node_at(self, path: Path) -> Node:
        """The value that a path leads to, or the last one on the way when it leads nowhere."""
        return self._walk(path)[0]

    def span_at(self, path: Path, *, key: bool = False) -> Span:
        """Where a value is written.

        A step of the path that does not fit the tree is passed over: a short form such as `event: a/b` has no list
        although the model has one.

        Args:
            path: Keys and indices from the root.
            key: Whether the place of the key is wanted; an item of a list has none, and gives its value's place.

        Returns:
            The value's place; of a map or list in block form, that of its key, or of its first key.
        """
        node, entry = self._walk(path)
        if entry is not None and (key or not _shown_whole(node)):
            return self.source.span(entry.key.start, entry.key.end)
        return self._span(node)

    def span_in(self, path: Path, start: int, end: int) -> Span:
        """Where a part of a scalar's text is written.

        Args:
            path: Keys and indices from the root, to a scalar.
            start: Offset in the scalar's *value*, as the YAML parser gives it. An `Expression` of the models has an
                `offset`, which must be added: it says how far its text begins in the value (blanks and braces).
            end: Offset behind the part.

        Returns:
            The place; that of the whole scalar when its characters cannot be followed.
        """
        node = self._walk(path)[0]
        if not isinstance(node, Scalar):
            return self.span_at(path)
        places = map_offsets(self.source.text, node.start, node.end, node.style, node.text)
        if places is None or not places:
            return self._span(node)
        first = places[start][0] if start < len(places) else places[-1][1]
        last = places[min(end, len(places)) - 1][1] if end > start else first
        return self.source.span(first, last)

    def anchors(self, path: Path, start: int, end: int) -> tuple[int, ...]:
        """Where the characters of a part of a scalar's text are written, for those who have only the text.

        Args:
            path: Keys and indices from the root, to a scalar.
            start: Offset of the part in the scalar's value.
            end: Offset behind it.

        Returns:
            Triples, one behind the other: an offset in the part, and the line and column of that character; from there
            on the characters follow each other in the file, up to the offset of the next triple. Empty when the
            characters cannot be followed.
        """
        node = self._walk(path)[0]
        if not isinstance(node, Scalar):
            return ()
        places = map_offsets(self.source.text, node.start, node.end, node.style, node.text)
        found: list[int] = []
        expected = None
        for offset, (place, _) in enumerate(places[start:end] if places else ()):
            if place != expected:
                found += (offset, *self.source.position(place))
            expected = place + 1
        return tuple(found)

    def resolve(self, path: Path) -> Path:
        """The part of a path that fits the tree: what is really written, where the models have more."""
        node: Node = self.root
        fitting: list[str | int] = []
        for step in path:
            if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
                node = node.entries[step].value
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                node = node.items[step]
            else:
                continue
            fitting.append(step)
        return tuple(fitting)

    def is_broken(self, path: Path, *, key: bool = False) -> bool:
        """Whether something was found about the scalar at a path already, or about its key."""
        node, entry = self._walk(path)
        if key:
            return entry is not None and entry.key.broken
        return isinstance(node, Scalar) and node.broken

    def _walk(self, path: Path) -> tuple[Node, Entry | None]:
        node: Node = self.root
        entry: Entry | None = None
        for step in path:
            if isinstance(node, Mapping) and isinstance(step, str) and step in node.entries:
                entry = node.entries[step]
                node = entry.value
            elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
                entry = None
                node = node.items[step]
        return node, entry

    def _span(self, node: Node) -> Span:
        if _shown_whole(node):
            return self.source.span(node.start, node.end)
        if isinstance(node, Mapping):
            key = next(iter(node.entries.values())).key
            return self.source.span(key.start, key.end)
        assert isinstance(node, Sequence)
        return self._span(node.items[0])


def _shown_whole(node: Node) -> bool:
    """Whether a node has an end worth showing: blocks end where the next thing begins."""
    return isinstance(node, Scalar) or node.flow or not (node.entries if isinstance(node, Mapping) else node.items)


def _plain_data(node: Node, path: Path) -> Any:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [_plain_data(item, (*path, index)) for index, item in enumerate(node.items)]
    data = MapData((key, _plain_data(entry.value, (*path, key))) for key, entry in node.entries.items())
    data.path = path
    return data


def scalars(node: Node) -> Iterator[Scalar]:
    """Every scalar value of a tree, keys left out."""
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from scalars(item)
    else:
        for entry in node.entries.values():
            yield from scalars(entry.value)
