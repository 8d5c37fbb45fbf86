"""A text as it would be if what is being typed were finished: for completion, since a half-written file is no YAML.

Finds by the text alone whether an expression, a key or a value is being typed, and puts something whole in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from flowlang.expr.regions import CLOSING, OPENING
from flowlang.model.yaml_traps import EXPRESSION_KEYS

#: Stands for a key or a value that is being typed.
PLACEHOLDER: Final = "zz0"

#: An expression is looked for so far before the cursor.
_FAR: Final = 4000

_EXPRESSION_KEY = re.compile(rf"(?:^|[\s{{,-])(?:{'|'.join(sorted(EXPRESSION_KEYS))}|check):[ \t]+")
_KEY = re.compile(r"(?P<before>[ ]*(?:-[ ]+)*)(?P<word>[\w-]*)")
_FLOW_KEY = re.compile(r".*[{,][ ]*(?P<word>[\w-]*)")
_VALUE = re.compile(
    r"(?P<before>(?:[ ]*(?:-[ ]+)*|.*[{,][ ]*)(?P<key>[\w.-]+|\"\*\"):[ ]+(?:\[(?:[^\]]*,[ ]*)?)?)"
    r"(?P<word>[\"']?[^\s\"',\]}]*)"
)
_ITEM = re.compile(r"(?P<before>[ ]*(?:-[ ]+)+)(?P<word>[\"']?[^\s\"':]*)")
_REST_OF_VALUE = re.compile(r"[^\s,\]}]*")


class Typing(Enum):
    """What is being typed."""

    EXPRESSION = auto()
    KEY = auto()
    VALUE = auto()


@dataclass(frozen=True, slots=True)
class Mended:
    """A text with something whole in the place of what is being typed.

    Attributes:
        typing: What it is.
        text: The text.
        offset: Where the placeholder begins in it.
        typed: What is typed so far: the expression before the cursor, or the beginning of the word.
        start: Offset in the text as it was from which `typed` reaches to the cursor.
        rest: What of the expression stands behind the cursor.
    """

    typing: Typing
    text: str
    offset: int
    typed: str
    start: int
    rest: str = ""


def mended(text: str, offset: int) -> list[Mended]:
    """What may be being typed at an offset, the likeliest first.

    Args:
        text: The file.
        offset: Of the cursor.
    """
    found = _template(text, offset) or _bare(text, offset)
    return [found] if found else [each for each in (_value(text, offset), *_keys(text, offset)) if each]


def _template(text: str, offset: int) -> Mended | None:
    """The `${{` that is open at the cursor."""
    start = text.rfind(OPENING, max(0, offset - _FAR), offset)
    if start < 0 or text[start - 1 : start] == "$" or CLOSING in text[start:offset]:
        return None
    before = text[start + len(OPENING) : offset]
    line_end = _line_end(text, offset)
    closing = text.find(CLOSING, offset, line_end)
    opening = text.find(OPENING, offset, line_end)
    if closing >= 0 and (opening < 0 or closing < opening):
        rest, behind = text[offset:closing], closing + len(CLOSING)
    else:
        quote = _open_quote(text, start)
        end = text.find(quote, offset, line_end) if quote else -1
        behind = line_end if end < 0 else end
        rest = text[offset:behind]
    whole = f"{text[:start]}{OPENING} null {CLOSING}{text[behind:]}"
    return Mended(Typing.EXPRESSION, whole, start + len(OPENING) + 1, before, offset - len(before), rest)


def _bare(text: str, offset: int) -> Mended | None:
    """The expression without braces, under a key that takes one."""
    line_start, line_end = _line_start(text, offset), _line_end(text, offset)
    found = None
    for match in _EXPRESSION_KEY.finditer(text, line_start, offset):
        found = match
    if found is None:
        return None
    start = found.end()
    flow = text.count("{", line_start, start) > text.count("}", line_start, start)
    quote = text[start : start + 1] if text[start : start + 1] in {'"', "'"} else ""
    end = line_end
    if quote:
        closing = text.find(quote, max(offset, start + 1), line_end)
        end = line_end if closing < 0 else closing
    elif flow:
        closing = next((place for place in range(offset, line_end) if text[place] in ",}"), line_end)
        end = closing
        if "," in text[start:offset] and "(" not in text[start:offset]:
            return None  # behind the value, at the next key
    begin = start + len(quote)
    if offset < begin:
        return None
    behind = end + len(quote) if quote and text[end : end + 1] == quote else end
    whole = f"{text[:start]}true{text[behind:]}"
    return Mended(Typing.EXPRESSION, whole, start, text[begin:offset], begin, text[offset:end])


def _keys(text: str, offset: int) -> list[Mended]:
    line_start, line_end = _line_start(text, offset), _line_end(text, offset)
    before, after = text[line_start:offset], text[offset:line_end]
    found = []
    match = _KEY.fullmatch(before)
    item = _ITEM.fullmatch(before)
    if match is not None:
        start = line_start + len(match["before"])
        word = re.match(r"[\w-]*:?", after)
        rest = "" if word is None else word[0]
        value = after[len(rest) :] if rest.endswith(":") else ""
        whole = f"{text[:start]}{PLACEHOLDER}: {value.strip() or 'null'}{text[line_end:]}"
        found.append(Mended(Typing.KEY, whole, start, match["word"], start))
    if item is not None:
        start = line_start + len(item["before"])
        whole = f"{text[:start]}{PLACEHOLDER}{text[line_end:]}"
        found.append(Mended(Typing.VALUE, whole, start, item["word"], start))
    flow = _FLOW_KEY.fullmatch(before)
    if not found and flow is not None:
        start = offset - len(flow["word"])
        ended = _REST_OF_VALUE.match(text, offset)
        behind = offset if ended is None else ended.end()
        closing = "" if "}" in text[behind:line_end] else "}"
        whole = f"{text[:start]}{PLACEHOLDER}: null{closing}{text[behind:]}"
        found.append(Mended(Typing.KEY, whole, start, flow["word"], start))
    return found


def _value(text: str, offset: int) -> Mended | None:
    line_start, line_end = _line_start(text, offset), _line_end(text, offset)
    match = _VALUE.fullmatch(text[line_start:offset])
    if match is None:
        return None
    start = line_start + len(match["before"])
    quote = match["word"][:1] if match["word"][:1] in {'"', "'"} else ""
    typed = match["word"][len(quote) :]
    rest = _REST_OF_VALUE.match(text, offset)
    behind = offset if rest is None else rest.end()
    in_flow = text.count("{", line_start, start) > text.count("}", line_start, start)
    closing = "]" if match["before"].rstrip().endswith(("[", ",")) and "]" not in text[behind:line_end] else ""
    closing += "}" if in_flow and "}" not in text[behind:line_end] else ""
    whole = f"{text[:start]}{PLACEHOLDER}{closing}{text[behind:]}"
    return Mended(Typing.VALUE, whole, start, typed, start + len(quote))


def _open_quote(text: str, offset: int) -> str:
    """The quote that is open before an offset of its line; empty when there is none."""
    line = text[_line_start(text, offset) : offset]
    for quote in ('"', "'"):
        if line.count(quote) % 2:
            return quote
    return ""


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    end = len(text) if end < 0 else end
    return end - 1 if text[end - 1 : end] == "\r" and end > offset else end
