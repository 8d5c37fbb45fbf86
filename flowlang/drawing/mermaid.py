"""Pictures as Mermaid flowcharts, which GitHub, GitLab and many editors show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from flowlang.diagnostics.paint import printable
from flowlang.drawing.network import Network, Sort, Spot
from flowlang.drawing.outline import Kind, Lane, Outline, Part

#: What Mermaid would take for its own, also in quotes.
_ENTITIES: Final = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "`": "#96;", "\\": "#92;"}

#: What stands around the text of a box.
_AROUND: Final[dict[Kind, tuple[str, str]]] = {
    Kind.CALL: ("[", "]"),
    Kind.SEND: ("[/", "/]"),
    Kind.WAIT: ("{{", "}}"),
    Kind.VALUE: ("[", "]"),
    Kind.STOP: ("([", "])"),
    Kind.FAIL: ("([", "])"),
    Kind.START: ("([", "])"),
}
_PLAIN: Final = ("[", "]")

_AROUND_SPOT: Final[dict[Sort, tuple[str, str]]] = {
    Sort.PIPELINE: ("[", "]"),
    Sort.EVENT: ("([", "])"),
    Sort.WEBHOOK: ("{{", "}}"),
    Sort.SCHEDULE: ("((", "))"),
}


def network_text(network: Network) -> str:
    """Write a network.

    Args:
        network: What to draw.

    Returns:
        A flowchart from left to right, ending with a line break.
    """
    names = {spot.key: f"n{number}" for number, spot in enumerate(network.spots)}
    lines = [*_title(network.title), "flowchart LR"]
    lines += [f"  {names[spot.key]}{_spot(spot)}" for spot in network.spots]
    for link in network.links:
        label = f"|{_text([link.label])}|" if link.label else ""
        arrow = "-.->" if link.weak else "-->"
        lines.append(f"  {names[link.source]} {arrow}{label} {names[link.target]}")
    return "\n".join(lines) + "\n"


def outline_text(outline: Outline) -> str:
    """Write an outline.

    Args:
        outline: What to draw.

    Returns:
        A flowchart from top to bottom, ending with a line break.
    """
    return "\n".join([*_title(outline.title), "flowchart TD", *_Writer().lanes(outline.lanes)]) + "\n"


class _Writer:
    """Writes the lanes of an outline; each part gets a name in the order in which it is met."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._frames = 0

    def lanes(self, lanes: Sequence[Lane]) -> Iterator[str]:
        for number, lane in enumerate(lanes):
            if number == 0 and not lane.label:
                yield from self._chain(lane.parts, 1)
            else:
                yield from self._frame(lane, 1)

    def _frame(self, lane: Lane, depth: int) -> Iterator[str]:
        """A lane with a border and a name."""
        self._frames += 1
        pad = "  " * depth
        yield f"{pad}subgraph l{self._frames}[{_text([lane.label or ' '])}]"
        yield from self._chain(lane.parts, depth + 1)
        yield f"{pad}end"

    def _chain(self, parts: Sequence[Part], depth: int) -> Iterator[str]:
        pad = "  " * depth
        before: Part | None = None
        for part in parts:
            yield from self._part(part, depth)
            if before is not None and not before.ends:
                yield f"{pad}{self._name(before)} --> {self._name(part)}"
            before = part

    def _part(self, part: Part, depth: int) -> Iterator[str]:
        pad = "  " * depth
        text = _text([("↻ " if part.loops else "") + part.title, *part.notes])
        if not part.lanes:
            first, last = _AROUND.get(part.kind, _PLAIN)
            yield f"{pad}{self._name(part)}{first}{text}{last}"
            return
        yield f"{pad}subgraph {self._name(part)}[{text}]"
        beside = part.kind in {Kind.PARALLEL, Kind.RACE, Kind.CHOICE}
        for lane in part.lanes:
            if lane.label:
                yield from self._frame(lane, depth + 1)
            elif beside:
                for each in lane.parts:
                    yield from self._part(each, depth + 1)
            else:
                yield from self._chain(lane.parts, depth + 1)
        for lane in part.lanes:
            for each in lane.parts:
                for key in each.needs:
                    if key in self._names:
                        yield f"{pad}  {self._names[key]} --> {self._name(each)}"
        yield f"{pad}end"

    def _name(self, part: Part) -> str:
        return self._names.setdefault(part.key, f"s{len(self._names)}")


def _title(title: str) -> list[str]:
    return ["---", f"title: {_quoted(title)}", "---"]


def _quoted(title: str) -> str:
    return '"' + printable(title).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spot(spot: Spot) -> str:
    first, last = _AROUND_SPOT[spot.sort]
    return f"{first}{_text([spot.title])}{last}"


def _text(lines: Sequence[str]) -> str:
    """Lines in quotes, with nothing in them that Mermaid or HTML would read."""
    return '"' + "<br/>".join("".join(_ENTITIES.get(char, char) for char in printable(line)) for line in lines) + '"'
