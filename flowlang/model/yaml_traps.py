"""Scalars that YAML reads without complaint, and not as the author of an expression meant them."""

from __future__ import annotations

import re
from typing import Final

from flowlang.diagnostics import Diagnostic, Edit, Fix, Severity
from flowlang.diagnostics.fixes import quote_fix
from flowlang.expr.regions import OPENING, left_open, template_regions
from flowlang.model.quoting import quoted
from flowlang.model.yaml_nodes import Scalar
from flowlang.source import SourceText

#: Keys whose values are expressions without braces.
EXPRESSION_KEYS: Final = frozenset({"if", "match", "until", "in", "key", "priority"})

#: Keys below which maps are data: an `if` or a `key` there is the name of a field.
DATA_KEYS: Final = frozenset(
    {
        "with",
        "set",
        "output",
        "collect",
        "vars",
        "start",
        "data",
        "labels",
        "input",
        "stop",
        "observe",
        "call",
        "return",
    }
)

#: Keys whose text is for people, with whatever signs it has.
PROSE_KEYS: Final = frozenset({"description"})

_COMMENT = re.compile(r"[ \t]+#")
_REST_OF_LINE = re.compile(r"[^\r\n]*")


def scalar_trap(source: SourceText, key: str | None, scalar: Scalar, *, is_expression: bool) -> Diagnostic | None:
    """What is wrong with a scalar that holds an expression, or None.

    Args:
        source: The file.
        key: The key whose value it is; None in a list.
        scalar: The scalar.
        is_expression: Whether the key takes an expression without braces.
    """
    if not is_expression and OPENING not in scalar.text:
        return None
    regions, unclosed = template_regions(scalar.text)
    if scalar.style == "" and _COMMENT.match(source.text, scalar.end):
        is_cut = unclosed is not None or (is_expression and left_open(scalar.text) is not None)
        return cut_by_comment(source, key, scalar.start, scalar.end) if is_cut else None
    if unclosed is not None:
        return _unclosed(source, scalar)
    if scalar.style in {"|", ">"} and scalar.text.endswith("\n"):
        body = scalar.text.rstrip("\n")
        whole = len(regions) == 1 and (regions[0].start, regions[0].end) == (0, len(body))
        return _newline(source, key, scalar) if is_expression or whole else None
    return None


def cut_by_comment(
    source: SourceText, key: str | None, start: int, end: int, *, fixed: str | None = None
) -> Diagnostic:
    """The finding about an expression that a ` #` ended.

    Args:
        source: The file.
        key: The key whose value it is; None in a list.
        start: Offset of the expression.
        end: Offset behind what YAML read.
        fixed: The corrected line, when the expression is not alone on it.
    """
    rest = _REST_OF_LINE.match(source.text, start)
    meant = without_comment(rest[0] if rest else "")
    corrected = fixed or f"{key_prefix(key)}{quoted(meant)}"
    return Diagnostic(
        "FL015",
        "YAML reads ` #` as the start of a comment and cuts this expression: quote it",
        source.span(end, max(start + len(meant), end + 1)),
        hint=f"`{corrected}`",
        caret="not read",
        fix=quote_fix(source, start, start + len(meant), quoted(meant)) if fixed is None else None,
    )


def without_comment(rest: str) -> str:
    """What a line was meant to hold: the rest of it up to the first comment behind which nothing is left open."""
    for match in _COMMENT.finditer(rest):
        head = rest[: match.start()]
        if left_open(head) is None and template_regions(head)[1] is None:
            return head
    return rest.rstrip()


def key_prefix(key: str | None) -> str:
    """How the corrected line begins."""
    return f"{key}: " if key is not None else "- "


def _unclosed(source: SourceText, scalar: Scalar) -> Diagnostic:
    start = source.text.find(OPENING, scalar.start, scalar.end)
    start = start if start >= 0 else scalar.start
    return Diagnostic(
        "FL021",
        "this `${{` is never closed: `}}` is missing",
        source.span(start, start + len(OPENING)),
        hint="close it with `}}`, and quote the whole; a literal `${{` is written `$${{`",
    )


def _newline(source: SourceText, key: str | None, scalar: Scalar) -> Diagnostic:
    text = scalar.text.rstrip("\n")
    header = source.text[scalar.start : scalar.start + 1]
    fixed = f"`{key_prefix(key)}{quoted(text)}`" if "\n" not in text else f"`{key_prefix(key)}>-`"
    return Diagnostic(
        "FL020",
        f"a `{header}` block keeps a newline at the end of this expression: quote it, or write `{header}-`",
        source.span(scalar.start, scalar.start + 1),
        severity=Severity.WARNING,
        hint=fixed,
        fix=_without_newline(source, scalar.start + 1),
    )


def _without_newline(source: SourceText, behind: int) -> Fix | None:
    """The fix that strips a block's last newline: a `-` behind its sign, unless something stands there already."""
    if not source.text[behind : behind + 1].isspace():
        return None
    return Fix("strip the newline", (Edit(source.span(behind, behind), "-"),))


def tag_trap(source: SourceText, key: str | None, start: int, end: int) -> Diagnostic:
    """The finding about an expression whose `!` became a tag."""
    rest = _REST_OF_LINE.match(source.text, start)
    text = without_comment(rest[0] if rest else "")
    if source.text[end : end + 1] in {",", "}"}:  # inside `{…}` the value ends before the line does
        text = source.text[start:end]
    return Diagnostic(
        "FL016",
        "YAML reads the `!` at the start of this expression as a tag: quote it",
        source.span(start, start + len(text)),
        hint=f"`{key_prefix(key)}{quoted(text)}`",
        fix=quote_fix(source, start, start + len(text), quoted(text)),
    )


def split_trap(source: SourceText, key: str, start: int, end: int) -> Diagnostic:
    """The finding about an expression that a comma inside `{…}` broke into two entries."""
    text = source.text[start:end]
    return Diagnostic(
        "FL018",
        "inside `{…}` YAML splits this expression at the comma: quote it",
        source.span(start, end),
        hint=f"`{key_prefix(key)}{quoted(text)}`",
        fix=quote_fix(source, start, end, quoted(text)),
    )
