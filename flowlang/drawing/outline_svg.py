"""Outlines as SVG: parts one below another, lanes beside one another in frames, sizes from what is inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from flowlang.drawing.outline import Kind, Lane, Outline, Part
from flowlang.drawing.svg import LINE, PAD, Paper, point, text_width

_GAP: Final = 22  #: between parts, for the arrow
_BESIDE: Final = 16  #: between lanes
_EDGE: Final = 16  #: around the picture
_ROUND: Final = {Kind.STOP: 16, Kind.FAIL: 16, Kind.START: 16, Kind.WAIT: 10}


def outline_svg(outline: Outline) -> str:
    """Draw an outline.

    Args:
        outline: What to draw.

    Returns:
        A whole SVG document that needs nothing else.
    """
    paper = Paper()
    lanes = [_measured(lane) for lane in outline.lanes]
    title = text_width([outline.title])
    wide = max(sum(lane.wide for lane in lanes) + _BESIDE * (len(lanes) - 1), title)
    high = max((lane.high for lane in lanes), default=0)
    paper.text(_EDGE, _EDGE + 12, outline.title, "head")
    x, y = float(_EDGE), float(_EDGE + LINE + PAD)
    for lane in lanes:
        _draw_lane(paper, lane, x, y, framed=bool(lane.lane.label))
        x += lane.wide + _BESIDE
    return paper.whole(outline.title, wide + 2 * _EDGE, y + high + _EDGE)


@dataclass(frozen=True, slots=True)
class _PartSize:
    part: Part
    wide: float
    high: float
    head: float  #: height of its own lines
    lanes: tuple[_LaneSize, ...]


@dataclass(frozen=True, slots=True)
class _LaneSize:
    lane: Lane
    wide: float
    high: float
    head: float
    parts: tuple[_PartSize, ...]


def _measured(lane: Lane) -> _LaneSize:
    parts = tuple(_measured_part(part) for part in lane.parts)
    head = LINE + PAD if lane.label else 0.0
    pad = 2 * PAD if lane.label else 0
    inside = sum(part.high for part in parts) + _GAP * max(len(parts) - 1, 0)
    wide = max([part.wide for part in parts] + [text_width([lane.label])]) + pad
    return _LaneSize(lane, wide, head + inside + (PAD if lane.label else 0), head, parts)


def _measured_part(part: Part) -> _PartSize:
    own = text_width([_title(part), *part.notes]) + 2 * PAD
    head = LINE * (1 + len(part.notes)) + PAD
    if not part.lanes:
        return _PartSize(part, own, head, head, ())
    lanes = tuple(_measured(lane) for lane in _columns(part))
    inside = sum(lane.wide for lane in lanes) + _BESIDE * (len(lanes) - 1) + 2 * PAD
    return _PartSize(part, max(own, inside), head + max(lane.high for lane in lanes) + PAD, head, lanes)


def _columns(part: Part) -> Sequence[Lane]:
    """The lanes as they are drawn; parts that are not one after another stand beside one another."""
    if part.kind not in {Kind.PARALLEL, Kind.RACE, Kind.CHOICE}:
        return part.lanes
    found: list[Lane] = []
    for lane in part.lanes:
        found += [lane] if lane.label else [Lane("", (each,)) for each in lane.parts]
    return found


def _title(part: Part) -> str:
    return ("↻ " if part.loops else "") + part.title


def _draw_lane(paper: Paper, size: _LaneSize, x: float, y: float, *, framed: bool) -> None:
    if framed:
        paper.box(x, y, size.wide, size.high, "frame aside" if size.lane.aside else "frame")
        paper.text(x + PAD, y + LINE, size.lane.label, "label")
    middle = x + size.wide / 2
    top = y + size.head
    for number, part in enumerate(size.parts):
        _draw_part(paper, part, middle - part.wide / 2, top)
        top += part.high
        if number + 1 < len(size.parts):
            if not part.part.ends:
                paper.line(f"M{point(middle, top)}L{point(middle, top + _GAP - 7)}")
                paper.tip(middle, top + _GAP, down=True)
            top += _GAP


def _draw_part(paper: Paper, size: _PartSize, x: float, y: float) -> None:
    part = size.part
    if not size.lanes:
        paper.box(x, y, size.wide, size.high, f"box {part.kind.value}", round_by=_ROUND.get(part.kind, 4))
    else:
        paper.box(x, y, size.wide, size.high, "frame")
    baseline = y + LINE
    paper.text(x + PAD, baseline, _title(part), "head")
    for note in part.notes:
        baseline += LINE
        paper.text(x + PAD, baseline, note, "note")
    inside = sum(lane.wide for lane in size.lanes) + _BESIDE * (len(size.lanes) - 1)
    left = x + (size.wide - inside) / 2
    for lane in size.lanes:
        _draw_lane(paper, lane, left, y + size.head, framed=bool(lane.lane.label))
        left += lane.wide + _BESIDE
