"""Builds the tree of one YAML document from parser events, with bounds, anchors, merges and the traps of scalars."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Final

from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
)

from flowlang.diagnostics import Diagnostic, Label, did_you_mean
from flowlang.diagnostics.fixes import quote_fix
from flowlang.expr.regions import left_open
from flowlang.model.quoting import quoted
from flowlang.model.yaml_core import resolve_plain
from flowlang.model.yaml_nodes import Entry, Mapping, Node, Scalar, Sequence
from flowlang.model.yaml_traps import (
    DATA_KEYS,
    EXPRESSION_KEYS,
    PROSE_KEYS,
    key_prefix,
    scalar_trap,
    split_trap,
    tag_trap,
)
from flowlang.source import SourceText, Span

#: How deep lists and maps may be nested. libyaml gives up at a thousand, or crashes at some ten thousand.
MAX_DEPTH: Final = 100

#: How many values a document may have, each alias counted as all that it stands for.
MAX_NODES: Final = 100_000

_MERGE_KEY: Final = "<<"
_LINE_BREAK = re.compile("[\r\n\x85\u2028\u2029]")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")


def too_deep(place: Span) -> Diagnostic:
    """The finding about nesting that is deeper than may be."""
    return Diagnostic("FL004", f"lists and maps are nested more than {MAX_DEPTH} deep here", place)


class Stop(Exception):  # noqa: N818 - ends the reading of a document; never leaves the loader
    """The document is given up.

    Args:
        diagnostic: Why.
    """

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(slots=True)
class _Frame:
    """A list or map that is still open."""

    is_map: bool
    flow: bool
    start: int
    anchor: str | None
    count_before: int
    is_data: bool
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    merges: list[tuple[Scalar, Node]] = field(default_factory=list)
    key: Scalar | None = None
    height: int = 0
    split: tuple[str, int, int] | None = None  #: key, start and end of an expression that commas broke


@dataclass(frozen=True, slots=True)
class _Anchor:
    """What an anchor stands for: its node with the number of its values and its height; no node while it is open."""

    node: Node | None
    count: int = 0
    height: int = 0


class TreeBuilder:
    """Takes the events of one document; `root` is its tree when the last has come.

    Args:
        source: The file.
        shift: Offset in the file at which the parser's text begins.
    """

    def __init__(self, source: SourceText, shift: int) -> None:
        self._source = source
        self._shift = shift
        self._frames: list[_Frame] = []
        self._anchors: dict[str, _Anchor] = {}
        self._count = 0
        self.root: Node | None = None
        self.found: list[Diagnostic] = []

    @property
    def in_data(self) -> bool:
        """Whether the innermost open map is data, where any key may be the name of a field."""
        return bool(self._frames) and self._frames[-1].is_data

    def take(self, event: Event) -> None:
        """Take the next event of the document.

        Raises:
            Stop: when a bound is passed.
        """
        if isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._close(event)
        elif isinstance(event, AliasEvent):
            self._alias(event)

    # -- places and context

    def _start(self, event: Event) -> int:
        return self._shift + (event.start_mark.index if event.start_mark else 0)

    def _end(self, event: Event) -> int:
        return self._shift + (event.end_mark.index if event.end_mark else 0)

    def _end_of_block(self, start: int, end: int) -> int:
        """Where the last line of a block scalar that is not blank ends: the parser's mark lies at the next thing."""
        last = start + len(self._source.text[start:end].rstrip())
        rest = _LINE_BREAK.search(self._source.text, last, end)
        return rest.start() if rest else end

    def _span(self, node: Node) -> Span:
        return self._source.span(node.start, node.end)

    def _key(self) -> str | None:
        """The key whose value comes next; None in a list, at the root, and where a key comes next."""
        key = self._frames[-1].key if self._frames else None
        return key.text if key is not None else None

    def _is_expression(self) -> bool:
        return self._key() in EXPRESSION_KEYS and not self.in_data

    def _expects_key(self) -> bool:
        return bool(self._frames) and self._frames[-1].is_map and self._frames[-1].key is None

    # Places are made where something is found: lines and columns of every value would cost a tenth of the reading.
    def _counted(self, count: int, start: int, end: int) -> None:
        self._count += count
        if self._count > MAX_NODES:
            place = self._source.span(start, end)
            message = f"the document has more than {MAX_NODES} values"
            hint = "aliases and `<<` count as all that they stand for"
            raise Stop(Diagnostic("FL005", message, place, hint=hint))

    def _check_depth(self, height: int, start: int, end: int) -> None:
        if len(self._frames) + height > MAX_DEPTH:
            raise Stop(too_deep(self._source.span(start, end)))

    # -- events

    def _scalar(self, event: ScalarEvent) -> None:
        start, end = self._start(event), self._end(event)
        style = event.style or ""
        if style in {"|", ">"}:
            end = self._end_of_block(start, end)
        scalar = Scalar(event.value, event.value, style, start, end)
        self._counted(1, start, end)
        if self._expects_key():
            self._take_key(self._checked_key(event, scalar))
            return
        scalar = self._checked_value(event, scalar)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(scalar, 1, 0)
        self._add(scalar, 0)

    def _checked_key(self, event: ScalarEvent, scalar: Scalar) -> Scalar:
        if event.tag is not None:
            self._refuse_tag(event, scalar)
        if scalar.style == "" and event.tag is None:
            value, _ = resolve_plain(scalar.text)
            if not isinstance(value, str) and not self._is_rest_of_split(scalar):
                self._key_is_no_text(scalar)
                return replace(scalar, broken=True)
        return scalar

    def _key_is_no_text(self, scalar: Scalar) -> None:
        if scalar.text:
            message, hint = f"the key `{scalar.text}` is no text", f"`{quoted(scalar.text)}:`"
        else:
            message, hint = "a key is missing before this `:`", "write a text before it"
        self._report("FL011", message, self._source.span(scalar.start, max(scalar.end, scalar.start + 1)), hint=hint)

    def _checked_value(self, event: ScalarEvent, scalar: Scalar) -> Scalar:
        """The scalar with its value, after all traps."""
        if event.tag is not None:
            return self._refuse_tag(event, scalar)
        if scalar.style == '"' and _HALF_CHARACTER.search(scalar.text):
            self._report("FL002", "an escape in this text makes half a character", self._span(scalar))
            return replace(scalar, text="", value="", broken=True)
        if self._key() not in PROSE_KEYS or self.in_data:
            trap = scalar_trap(self._source, self._key(), scalar, is_expression=self._is_expression())
            if trap is not None:
                self.found.append(trap)
                return replace(scalar, broken=True)
        if scalar.style:
            return scalar
        value, refused = resolve_plain(scalar.text)
        if refused is not None:
            self._report(refused.code, refused.message, self._span(scalar), hint=refused.hint)
        return Scalar(value, scalar.text, scalar.style, scalar.start, scalar.end, broken=refused is not None)

    def _refuse_tag(self, event: ScalarEvent | CollectionStartEvent, scalar: Scalar) -> Scalar:
        text = self._source.text[scalar.start : scalar.end]
        if self._is_expression() and text.startswith("!"):
            self.found.append(tag_trap(self._source, self._key(), scalar.start, scalar.end))
        else:
            hint = "remove it; quotes make a text of anything"
            self._report("FL008", f"the tag `{_tag_text(event.tag)}` is refused", self._span(scalar), hint=hint)
        return replace(scalar, text=text, value=text, broken=True)

    def _open(self, event: CollectionStartEvent) -> None:
        start = self._start(event)
        end = max(self._end(event), start + 1)
        self._counted(1, start, end)
        self._check_depth(1, start, end)
        if event.tag is not None:
            self._refuse_tag(event, Scalar("", "", "", start, max(self._end(event), start + 1)))
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(None)
        is_data = self.in_data or self._key() in DATA_KEYS
        is_map = isinstance(event, MappingStartEvent)
        self._frames.append(_Frame(is_map, bool(event.flow_style), start, event.anchor, self._count, is_data))

    def _close(self, event: Event) -> None:
        frame = self._frames.pop()
        end = self._end(event)
        node: Node
        if frame.is_map:
            self._end_split(frame)
            entries = self._merged(frame)
            node = Mapping(entries, frame.start, end, frame.flow)
        else:
            node = Sequence(tuple(frame.items), frame.start, end, frame.flow)
        if frame.anchor:
            self._anchors[frame.anchor] = _Anchor(node, self._count - frame.count_before + 1, frame.height + 1)
        if self._expects_key():
            place = self._source.span(node.start, node.end)
            self._report("FL011", "a list or map cannot be a key", place, hint="quote it to make it a text")
            self._take_key(Scalar("", f"\0{node.start}", "", node.start, node.end, broken=True))
            return
        self._add(node, frame.height + 1)

    def _alias(self, event: AliasEvent) -> None:
        start, end = self._start(event), self._end(event)
        place = self._source.span(start, end)
        name = event.anchor or ""
        anchor = self._anchors.get(name)
        if self._expects_key():
            self._report("FL011", "an alias cannot be a key", place, hint="write the key itself")
            self._take_key(Scalar("", f"\0{start}", "", start, end, broken=True))
            return
        if anchor is None or anchor.node is None:
            self._bad_alias(name, place, is_open=anchor is not None)
            self._add(Scalar(None, "", "", start, end, broken=True), 0)
            return
        self._counted(anchor.count, place.start, place.end)
        self._check_depth(anchor.height, place.start, place.end)
        self._add(anchor.node, anchor.height)

    def _bad_alias(self, name: str, place: Span, *, is_open: bool) -> None:
        if self._is_expression():
            text = self._source.text[place.start : place.end]
            message = "YAML reads the `*` at the start of this expression as a sign of its own: quote it"
            fix = quote_fix(self._source, place.start, place.end, quoted(text))
            self.found.append(
                Diagnostic("FL022", message, place, hint=f"`{key_prefix(self._key())}{quoted(text)}`", fix=fix)
            )
        elif is_open:
            self._report("FL009", f"`*{name}` stands inside of `&{name}`, so that it would have no end", place)
        else:
            near = did_you_mean(name, self._anchors)
            hint = (
                f"did you mean `*{near}`?" if near else f"set it with `&{name}` before; a text with a `*` needs quotes"
            )
            self._report("FL009", f"there is no anchor `&{name}` above", place, hint=hint)

    # -- building

    def _add(self, node: Node, height: int) -> None:
        """Put a finished value where it belongs."""
        if not self._frames:
            self.root = node
            return
        frame = self._frames[-1]
        frame.height = max(frame.height, height)
        if not frame.is_map:
            frame.items.append(node)
            return
        key, frame.key = frame.key, None
        assert key is not None, "the parser gives a key before each value"
        if self._joins_split(frame, key, node):
            return
        self._end_split(frame)
        if key.text == _MERGE_KEY and key.style == "":
            frame.merges.append((key, node))
            return
        known = frame.entries.get(key.text)
        if known is None:
            frame.entries[key.text] = Entry(key, node)
        else:
            self._duplicate(key, known.key)

    def _take_key(self, key: Scalar) -> None:
        self._frames[-1].key = key

    def _duplicate(self, key: Scalar, first: Scalar) -> None:
        labels = (Label(self._span(first), "the first one"),)
        hint = "keep one of them"
        self._report("FL007", f"the key `{key.text}` is written twice", self._span(key), hint=hint, labels=labels)

    def _is_rest_of_split(self, key: Scalar) -> bool:
        frame = self._frames[-1]
        return frame.flow and _broken_tail(frame) is not None and key.start != key.end

    def _joins_split(self, frame: _Frame, key: Scalar, value: Node) -> bool:
        """Whether an entry is the rest of the expression before it, which a comma inside `{…}` broke off."""
        if not (frame.flow and isinstance(value, Scalar) and value.text == "" and value.style == ""):
            return False
        if ":" in self._source.text[key.end : value.end]:
            return False
        last = None if frame.is_data else _broken_tail(frame)
        if last is None:
            return False
        assert isinstance(last.value, Scalar)
        text = self._source.text[last.value.start : key.end]
        joined = replace(last.value, text=text, value=text, end=key.end, broken=True)
        frame.entries[last.key.text] = Entry(last.key, joined)
        frame.split = (last.key.text, joined.start, joined.end)
        return True

    def _end_split(self, frame: _Frame) -> None:
        if frame.split is not None:
            self.found.append(split_trap(self._source, *frame.split))
            frame.split = None

    def _merged(self, frame: _Frame) -> dict[str, Entry]:
        """The entries of a map with those of its `<<`: its own win, and of several maps the first."""
        if not frame.merges:
            return frame.entries
        entries = dict(frame.entries)
        (key, node), *more = frame.merges
        for again, _ in more:
            self._duplicate(again, key)
        maps = node.items if isinstance(node, Sequence) else (node,)
        for item in maps:
            if not isinstance(item, Mapping):
                self._bad_merge(key, item)
                continue
            self._counted(len(item.entries), key.start, key.end)
            for name, entry in item.entries.items():
                entries.setdefault(name, Entry(entry.key, entry.value, merged=True))
        return entries

    def _bad_merge(self, key: Scalar, item: Node) -> None:
        if isinstance(item, Scalar) and item.broken:
            return
        hint = "`<<: *name`, or `<<: [*one, *two]`"
        self._report("FL010", "`<<` takes an alias of a map, or a list of such aliases", self._span(key), hint=hint)

    def _report(
        self, code: str, message: str, place: Span, *, hint: str | None = None, labels: tuple[Label, ...] = ()
    ) -> None:
        self.found.append(Diagnostic(code, message, place, hint=hint, labels=labels))


def _broken_tail(frame: _Frame) -> Entry | None:
    """The last entry of a map, when it is an unquoted expression that is not complete."""
    last = next(reversed(frame.entries.values()), None)
    if last is None or last.key.text not in EXPRESSION_KEYS or not isinstance(last.value, Scalar):
        return None
    return last if last.value.style == "" and left_open(last.value.text) is not None else None


def _tag_text(tag: Any) -> str:
    text = str(tag)
    return text.replace("tag:yaml.org,2002:", "!!")
