"""An expression as it is written under a key that takes one: its text, without the braces around the whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator

from flowlang.expr.errors import ExpressionSyntaxError
from flowlang.expr.parser import parse
from flowlang.expr.regions import CLOSING, OPENING, Region, template_regions
from flowlang.model.base import found, problem

#: What needs no brackets around it to stand beside an operator.
_OPERAND = re.compile(r"[\w.?]+(\([\w.]*\)|\['?\w+'?\])*")


@dataclass(frozen=True, slots=True)
class ExpressionText:
    """The text of an expression, not parsed.

    Args:
        text: Without blanks and `${{ }}` around it.
        offset: Where `text` begins in the scalar's value: an offset in `text` plus this is what
            `YamlDocument.span_in` takes.
    """

    text: str
    offset: int = 0


def read_expression(value: Any) -> ExpressionText:
    """Take an expression, with or without braces around the whole of it.

    Numbers and booleans, which YAML reads as such, are expressions too: `match: true`, `priority: 10`.
    """
    if isinstance(value, ExpressionText):
        return value
    if isinstance(value, bool):
        return ExpressionText(str(value).lower())
    if isinstance(value, int | float):
        return ExpressionText(repr(value))
    if not isinstance(value, str):
        hint = 'quote an expression that begins with a bracket: `"[1, 2]"`' if isinstance(value, list | dict) else None
        raise problem("FL103", f"takes an expression; found {found(value)}", hint)
    return _without_braces(value)


def _without_braces(value: str) -> ExpressionText:
    text, offset = value.strip(), len(value) - len(value.lstrip())
    regions, _ = template_regions(text)
    if regions and (regions[0].start, regions[0].end) == (0, len(text)):
        inside = text[len(OPENING) : -len(CLOSING)]
        offset += len(OPENING) + len(inside) - len(inside.lstrip())
        text = inside.strip()
    elif regions:
        bare = _bare(text, regions)
        reads = _can_be_read(bare)
        raise problem(
            "FL116",
            "is an expression, and has braces around a part of it",
            f"write the whole without braces: `{bare}`" if reads else "write one expression, without braces",
            instead=bare if reads else None,
        )
    if not text:
        raise problem("FL103", "takes an expression; found an empty text")
    return ExpressionText(text, offset)


def _bare(text: str, regions: Sequence[Region]) -> str:
    """A text without the braces of its templates; what stood in them stays together."""
    bare, behind = "", 0
    for region in regions:
        inside = text[region.start + len(OPENING) : region.end - len(CLOSING)].strip()
        bare += text[behind : region.start] + (inside if _OPERAND.fullmatch(inside) else f"({inside})")
        behind = region.end
    return bare + text[behind:]


def _can_be_read(text: str) -> bool:
    try:
        parse(text)
    except ExpressionSyntaxError:
        return False
    return True


def is_whole_template(value: Any) -> bool:
    """Whether a value is a text that is one `${{ … }}` and nothing else."""
    if not isinstance(value, str):
        return False
    regions, _ = template_regions(value)
    return len(regions) == 1 and (regions[0].start, regions[0].end) == (0, len(value))


def has_template(value: Any) -> bool:
    """Whether a value is a text with a `${{ … }}` in it."""
    return isinstance(value, str) and bool(template_regions(value)[0])


#: The value of `if match until in key priority`.
Expression = Annotated[ExpressionText, PlainValidator(read_expression)]


def read_template_text(value: Any) -> Any:
    """Take a text with templates in it; numbers and booleans as YAML would have them quoted."""
    if isinstance(value, bool | int | float) or (isinstance(value, str) and value):
        return value if isinstance(value, str) else str(value)
    raise problem("FL103", f"takes a text; found {found(value)}")
