"""Networks as SVG, from left to right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flowlang.drawing.layers import arranged
from flowlang.drawing.network import Link, Network, Sort, Spot
from flowlang.drawing.svg import LINE, PAD, Paper, point, text_width

_HIGH: Final = LINE + PAD + 2
_BELOW: Final = 16  #: between spots of a column
_BETWEEN: Final = 70  #: between columns
_EDGE: Final = 16  #: around the picture
_ROUND: Final = {Sort.EVENT: 14, Sort.SCHEDULE: 14, Sort.WEBHOOK: 0, Sort.PIPELINE: 4}


def network_svg(network: Network) -> str:
    """Draw a network.

    Args:
        network: What to draw.

    Returns:
        A whole SVG document that needs nothing else.
    """
    layers = arranged([spot.key for spot in network.spots], [(link.source, link.target) for link in network.links])
    spots = {spot.key: spot for spot in network.spots}
    top = _EDGE + LINE + PAD
    high = max((len(column) for column in layers.columns), default=0) * (_HIGH + _BELOW)
    left: dict[object, tuple[float, float]] = {}
    wide: dict[object, float] = {}
    x = float(_EDGE)
    for column in layers.columns:
        widest = max(_width(spots[key]) if isinstance(key, str) else 0.0 for key in column)
        y = top + (high - len(column) * (_HIGH + _BELOW)) / 2
        for key in column:
            wide[key] = _width(spots[key]) if isinstance(key, str) else widest
            left[key] = (x, y)
            y += _HIGH + _BELOW
        x += widest + _BETWEEN
    paper = Paper()
    paper.text(_EDGE, _EDGE + 12, network.title, "head")
    for number, link in enumerate(network.links):
        _draw_link(paper, link, layers.ways[number], left, wide, back=number in layers.back)
    for spot in network.spots:
        at = left[spot.key]
        paper.box(*at, wide[spot.key], _HIGH, f"box {spot.sort.value}", round_by=_ROUND[spot.sort])
        paper.text(at[0] + PAD, at[1] + LINE + 3, spot.title, "head" if spot.sort is Sort.PIPELINE else "")
    total = max(x - _BETWEEN, text_width([network.title]) + _EDGE) + _EDGE
    return paper.whole(network.title, total, top + high + _EDGE)


def _width(spot: Spot) -> float:
    return text_width([spot.title]) + 2 * PAD


def _draw_link(
    paper: Paper,
    link: Link,
    way: Sequence[object],
    left: dict[object, tuple[float, float]],
    wide: dict[object, float],
    *,
    back: bool,
) -> None:
    middle = {key: left[key][1] + _HIGH / 2 for key in way}
    if len(way) == 1:
        _draw_own(paper, link, left[way[0]], wide[way[0]])
        return
    first, last = way[0], way[-1]
    begin = (left[first][0] + wide[first], middle[first])
    end = (left[last][0], middle[last])
    path = [f"M{point(*begin)}"]
    here = begin
    for key in way[1:]:
        there = (left[key][0], middle[key])
        bend = (here[0] + there[0]) / 2
        path.append(f"C{point(bend, here[1])} {point(bend, there[1])} {point(*there)}")
        here = there
        if key != last:  # through the column of a point, straight
            here = (left[key][0] + wide[key], middle[key])
            path.append(f"L{point(*here)}")
    paper.line("".join(path), weak=link.weak)
    if back:
        x, y = begin
        paper.line(f"M{point(x + 7, y - 4)}L{point(x, y)}L{point(x + 7, y + 4)}")
    else:
        paper.tip(*end, down=False)
    if link.label:
        x, y = (begin[0] + left[way[1]][0]) / 2, (begin[1] + middle[way[1]]) / 2
        paper.text(x, y - 3, link.label, "label", middle=True)


def _draw_own(paper: Paper, link: Link, at: tuple[float, float], wide: float) -> None:
    """A link of a spot to itself: an arc above it."""
    x, y = at[0] + wide - 24, at[1]
    paper.line(f"M{point(x, y)}C{point(x, y - 14)} {point(x + 18, y - 14)} {point(x + 18, y - 7)}", weak=link.weak)
    paper.tip(x + 18, y, down=True)
