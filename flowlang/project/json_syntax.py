"""Why a file is not the JSON that we take, in our words, whatever Python's release calls it."""

from __future__ import annotations

import json
from typing import Final

from flowlang import jsondata
from flowlang.diagnostics import Diagnostic, Label
from flowlang.project.json_places import repeated_key
from flowlang.source import SourceText

#: By how the parser's message begins.
_WORDS: Final = {
    "Expecting property name": "a key in double quotes is expected here",
    "Expecting value": "a value is expected here",
    "Expecting ','": "a comma or the closing bracket is expected here",
    "Expecting ':'": "a colon is expected here",
    "Extra data": "nothing may follow the value",
    "Unterminated string": "the text that begins here has no closing quote",
    "Invalid control": "a text holds a character that must be written as an escape",
    "Invalid \\": "the text holds an escape that JSON does not have",
}


def not_json(source: SourceText, error: jsondata.JsonError) -> Diagnostic:
    """Make a finding of what the strict reader refused.

    Args:
        source: The file.
        error: What it raised.
    """
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        return _syntax(source, cause)
    repeated = repeated_key(source.text) if "twice" in str(error) else None
    if repeated is not None:
        again, first, key = repeated
        labels = (Label(source.span(*first), "first here"),)
        return Diagnostic("FL117", f"the key `{key}` is written twice", source.span(*again), labels=labels)
    return Diagnostic("FL117", f"this is no JSON that we take: {error}", source.span(0, 0))


def _syntax(source: SourceText, error: json.JSONDecodeError) -> Diagnostic:
    text, at = source.text, error.pos
    before = text[:at].rstrip()
    if text[at : at + 1] in {"}", "]"} and before.endswith(","):
        at = len(before) - 1  # releases differ in which of the two they name
        words = "a comma may not follow the last item"
    elif error.msg.startswith("Illegal trailing comma"):
        words = "a comma may not follow the last item"
    else:
        known = (words for begin, words in _WORDS.items() if error.msg.startswith(begin))
        words = next(known, "it cannot be read from here on")
    return Diagnostic("FL117", f"this is no JSON: {words}", source.span(at, at + 1))
