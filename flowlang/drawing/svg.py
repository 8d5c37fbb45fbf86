"""The paper of SVG pictures: what is written on it, how wide texts are, and the one style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from flowlang.diagnostics.paint import printable, width

#: Size of a character; fonts of one width are as wide as this says, within a percent.
CHAR: Final = 7.3
LINE: Final = 16

#: Space between a text and what is around it.
PAD: Final = 10

_STYLE: Final = """\
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328}
.head{font-weight:600}.note,.label{fill:#59636e}
.box{fill:#fff;stroke:#59636e}.frame{fill:none;stroke:#818b98}.aside{stroke-dasharray:4 3}
.call,.pipeline{fill:#ddf4ff;stroke:#0969da}.send,.event{fill:#fff8c5;stroke:#9a6700}
.wait,.schedule{fill:#fbefff;stroke:#8250df}.stop,.start{fill:#dafbe1;stroke:#1a7f37}.fail{fill:#ffebe9;stroke:#cf222e}
.webhook{fill:#ffeff7;stroke:#bf3989}
.line{fill:none;stroke:#59636e;stroke-width:1.2}.weak{stroke-dasharray:4 3}.tip{fill:#59636e}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.note,.label{fill:#9198a1}.box{fill:#161b22}
.call,.pipeline{fill:#0c2d6b}.send,.event{fill:#4b2900}.wait,.schedule{fill:#3c1e70}.stop,.start{fill:#033a16}
.fail{fill:#67060c}.webhook{fill:#611347}.line,.frame{stroke:#9198a1}.tip{fill:#9198a1}}"""


class Paper:
    """Collects the marks of a picture."""

    def __init__(self) -> None:
        self._marks: list[str] = []

    def box(self, x: float, y: float, wide: float, high: float, looks: str, *, round_by: float = 4) -> None:
        """Draw a rectangle; `looks` are classes of the style sheet."""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(wide)}" height="{_n(high)}" rx="{_n(round_by)}"'
        self._marks.append(f'<rect class="{looks}" {place}/>')

    def text(self, x: float, y: float, text: str, looks: str = "", *, middle: bool = False) -> None:
        """Write a line; `y` is where it stands on."""
        anchor = ' text-anchor="middle"' if middle else ""
        classes = f' class="{looks}"' if looks else ""
        self._marks.append(f'<text{classes} x="{_n(x)}" y="{_n(y)}"{anchor}>{escape(printable(text))}</text>')

    def line(self, path: str, *, weak: bool = False) -> None:
        """Draw a line along an SVG path."""
        self._marks.append(f'<path class="line{" weak" if weak else ""}" d="{path}"/>')

    def tip(self, x: float, y: float, *, down: bool) -> None:
        """Draw the tip of an arrow that ends at a point."""
        points = [(x - 4, y - 7), (x + 4, y - 7)] if down else [(x - 7, y - 4), (x - 7, y + 4)]
        corners = " ".join(f"{_n(a)},{_n(b)}" for a, b in [(x, y), *points])
        self._marks.append(f'<polygon class="tip" points="{corners}"/>')

    def whole(self, title: str, wide: float, high: float) -> str:
        """The document, ending with a line break."""
        name = escape(printable(title))
        size = f'width="{_n(wide)}" height="{_n(high)}" viewBox="0 0 {_n(wide)} {_n(high)}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
        return "\n".join([head, f"<title>{name}</title>", f"<style>{_STYLE}</style>", *self._marks, "</svg>"]) + "\n"


def text_width(lines: Sequence[str]) -> float:
    """How wide the longest of some lines is."""
    return max((width(printable(line)) for line in lines), default=0) * CHAR


def point(x: float, y: float) -> str:
    """A point as paths write it."""
    return f"{_n(x)} {_n(y)}"


def _n(number: float) -> str:
    """A number in at most one decimal place, so that all machines write the same."""
    return f"{number:.1f}".removesuffix(".0")
