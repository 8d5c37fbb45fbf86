"""What the YAML parser could not read, in words about the cause: most often an expression that should be quoted."""

from __future__ import annotations

import re
from typing import Final

from flowlang.diagnostics import Diagnostic, Edit, Fix, Label
from flowlang.diagnostics.fixes import quote_fix
from flowlang.expr.regions import OPENING, left_open, template_regions
from flowlang.model.quoting import quoted
from flowlang.model.yaml_builder import too_deep
from flowlang.model.yaml_events import YamlProblem
from flowlang.model.yaml_traps import EXPRESSION_KEYS, cut_by_comment, without_comment
from flowlang.source import SourceText, Span

_KEY_LINE = re.compile(r"(?P<head>\s*(?:-[ \t]+)*)(?:(?P<key>[A-Za-z_][\w.-]*)[ \t]*:[ \t]+)?(?P<rest>\S.*)")
_FLOW_VALUE = re.compile(r"(?:(?P<key>[A-Za-z_][\w.-]*)[ \t]*:[ \t]+|[\[,][ \t]*(?=\$\{\{))")
_CUT = re.compile(r"[ \t]+#")
_INDICATORS: Final = frozenset("&*%@`")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}

_QUOTE_SIGNS: Final = "quote texts that have signs such as `{ } [ ] ,`"
_QUOTE_START: Final = "quote a text that begins with `!`, `&`, `*`, `|` or `>`"
_SINGLE_QUOTES: Final = "single quotes keep backslashes as they are"
_COLON: Final = "quote a text that has a `: `; put a key in the column of its neighbours"
_COLUMN: Final = "put it in the column of the keys that it belongs to; quote a text that begins with a quote or bracket"
_SAME_COLUMN: Final = "put it in the column of the text above, or quote the whole text"

#: libyaml has a bound of its own, above ours, and meets it first where it looks ahead.
_TOO_DEEP: Final = "maximum nesting depth"

#: Problems inside of a quoted text: they say themselves what is wrong.
_INSIDE_QUOTES: Final = ("escape", "hexdecimal", "end of stream", "document indicator")

#: The parser's words → ours, with a hint or an empty text. The first that matches is taken.
_OWN_WORDS: Final = (
    ("found unexpected end of stream", "a quote is opened and never closed", "close the quote"),
    ("mapping values are not allowed", "a map cannot begin in the middle of a text", _COLON),
    ("node content", "a value is missing here", ""),
    ("whitespace or line break", "a tag or anchor must be followed by a space", _QUOTE_START),
    ("expected ' '", "a tag or anchor must be followed by a space", _QUOTE_START),
    ("expected ',' or '}'", "a `,` or the closing `}` of a map is missing here", _QUOTE_SIGNS),
    ("expected ',' or ']'", "a `,` or the closing `]` of a list is missing here", _QUOTE_SIGNS),
    ("expected '-' indicator", "a list goes on with `- ` in the column of its other items", ""),
    ("expected <block end>", "this fits neither the map nor the list above it", _COLUMN),
    ("expected key", "this fits neither the map nor the list above it", _COLUMN),
    ("expected ':'", "this line is no key with `: `, and the text above has ended", _SAME_COLUMN),
    ("unknown escape", "double quotes do not know this escape", _SINGLE_QUOTES),
    ("hexdecimal number", "an escape such as `\\u00e9` needs hexadecimal digits", _SINGLE_QUOTES),
    ("Unicode character escape", "this escape names no character", "write the character itself"),
    ("undefined tag handle", "tags are refused", "quote the text"),
    ("alphabetic or numeric character", "`&` and `*` name an anchor, and a name must follow", _QUOTE_START),
    ("chomping or indentation", "nothing but `+`, `-`, a digit or a comment may follow `|` and `>`", _QUOTE_START),
    ("comment or line break", "nothing but a comment may follow `|` and `>` on their line", _QUOTE_START),
    ("tab", "a tab cannot indent", "use spaces"),
    ("block sequence entries are not allowed", "a list item cannot begin here", "put the `- ` on a line of its own"),
    ("block mapping", "a map cannot begin here", "put the key on a line of its own"),
    ("<document start>", "this stands outside of the document", "documents are divided by a line `---`"),
)  # fmt: skip


def explain(source: SourceText, problem: YamlProblem, *, in_data: bool) -> Diagnostic:
    """The finding about a text that is no YAML.

    Args:
        source: The file; the problem's offsets count in it.
        problem: What the parser said.
        in_data: Whether it stopped in a map of data, where `if` and `key` are names of fields.
    """
    if _TOO_DEEP in problem.problem:
        return too_deep(source.span(problem.offset, problem.offset + 1))
    offsets = [problem.offset]
    if problem.context_offset is not None:
        offsets.append(problem.context_offset)
    for line in dict.fromkeys(source.position(offset)[0] for offset in offsets):
        found = _expression_on(source, line, problem, in_data=in_data)
        if found is not None:
            return found
    return _plainly(source, problem)


def _expression_on(source: SourceText, line: int, problem: YamlProblem, *, in_data: bool) -> Diagnostic | None:
    """The finding, when the line holds an expression that YAML broke."""
    text = source.line_text(line)
    if "flow" in problem.context:
        fixed = _quoted_in_flow(text, in_data=in_data)
        if fixed is None:
            return _cut_on(source, line, in_data=in_data)
        (start, end), corrected = fixed
        base = source.line_start(line)
        cut = _CUT.search(text, start, end)
        if cut is not None and left_open(text[start : cut.start()]) is not None:
            return cut_by_comment(source, None, base + start, base + cut.start(), fixed=corrected.strip())
        return Diagnostic(
            "FL018",
            "inside `{…}` and `[…]` YAML reads the signs of this expression as its own: quote it",
            source.span(base + start, base + end),
            hint=f"`{corrected.strip()}`",
            fix=Fix("quote it", (Edit(source.span(base, base + len(text)), corrected),)),
        )
    return _cut_on(source, line, in_data=in_data) or _in_block(source, line, problem, in_data=in_data)


def _cut_on(source: SourceText, line: int, *, in_data: bool) -> Diagnostic | None:
    """The finding about a ` #` in an expression, when there is one on the line."""
    text = source.line_text(line)
    match = _KEY_LINE.fullmatch(text)
    if match is None or not _holds_expression(match["key"], match["rest"], in_data=in_data):
        return None
    cut = _CUT.search(match["rest"])
    if cut is None or match["rest"][0] in "'\"{[":
        return None
    head = match["rest"][: cut.start()]
    if left_open(head) is None and template_regions(head)[1] is None:
        return None
    start = source.line_start(line) + match.start("rest")
    return cut_by_comment(source, match["key"], start, start + cut.start())


def _holds_expression(key: str | None, rest: str, *, in_data: bool) -> bool:
    return OPENING in rest or (key in EXPRESSION_KEYS and not in_data)


def _in_block(source: SourceText, line: int, problem: YamlProblem, *, in_data: bool) -> Diagnostic | None:
    text = source.line_text(line)
    match = _KEY_LINE.fullmatch(text)
    if match is None or not _holds_expression(match["key"], match["rest"], in_data=in_data):
        return None
    if any(words in problem.problem for words in _INSIDE_QUOTES):
        return None
    rest = without_comment(match["rest"])
    base = source.line_start(line)
    code, message = _cause(rest, problem.offset - base - match.start("rest"))
    begin = f"{match['key']}: " if match["key"] else "- "
    return Diagnostic(
        code,
        f"{message}: quote it",
        source.span(base + match.start("rest"), base + match.start("rest") + len(rest)),
        hint=f"`{begin}{quoted(rest)}`",
        fix=quote_fix(source, base + match.start("rest"), base + match.start("rest") + len(rest), quoted(rest)),
    )


def _cause(rest: str, offset: int) -> tuple[str, str]:
    """Code and message for an expression in block form.

    Args:
        rest: The line behind the key.
        offset: Where in it the parser stopped.
    """
    if rest[0] == "!":
        return "FL016", "YAML reads the `!` at the start of this expression as a tag"
    if rest[0] in _INDICATORS:
        return "FL022", f"YAML reads the `{rest[0]}` at the start of this expression as a sign of its own"
    if rest[0] in "'\"[{|>":
        return "FL023", f"YAML reads the `{rest[0]}` at the start of this expression as its own, and more follows"
    region = next((item for item in template_regions(rest)[0] if item.start <= offset < item.end), None)
    if region is not None and "{" in rest[region.start + len(OPENING) : region.end]:
        return "FL019", "YAML reads the colon of the map in this `${{ … }}` as the end of a key"
    return "FL017", "YAML reads the `: ` in this expression as the end of a key"


def _quoted_in_flow(line: str, *, in_data: bool) -> tuple[tuple[int, int], str] | None:
    """The line with its unquoted expressions quoted, and where the first of them stands; None when it has none."""
    first: tuple[int, int] | None = None
    fixed = ""
    position = 0
    while (match := _FLOW_VALUE.search(line, position)) is not None:
        start = match.end()
        fixed += line[position:start]
        position = start
        if line[start : start + 1] in {"'", '"', "", "{", "["}:
            position = _behind_quote(line, start)
            fixed += line[start:position]
            continue
        end = _end_of_value(line, start)
        value = line[start:end].rstrip()
        if OPENING in value or (
            match["key"] in EXPRESSION_KEYS and not in_data and re.search(r"[,\[\]{}]|[:?] |\s#", value)
        ):
            first = first or (start, start + len(value))
            fixed += quoted(value)
            position = start + len(value)
    return (first, fixed + line[position:]) if first else None


def _behind_quote(line: str, start: int) -> int:
    """Behind a quoted value, so that its inside is not looked at; elsewhere `start`."""
    if line[start : start + 1] not in {"'", '"'}:
        return start
    end = line.find(line[start], start + 1)
    return len(line) if end < 0 else end + 1


def _end_of_value(line: str, start: int) -> int:
    """Where an unquoted expression in `{…}` was meant to end: at a comma or closer outside of its own brackets."""
    stack: list[str] = []
    quote = ""
    for offset in range(start, len(line)):
        char = line[offset]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in _CLOSERS:
            stack.append(_CLOSERS[char])
        elif stack and char == stack[-1]:
            stack.pop()
        elif not stack and char in ",}]":
            return offset
    return len(line)


def _plainly(source: SourceText, problem: YamlProblem) -> Diagnostic:
    """The finding about YAML that has nothing to do with expressions."""
    place = _place(source, problem)
    found = source.text[place.start : place.start + 1]
    message, hint = _own_words(problem, found)
    labels: tuple[Label, ...] = ()
    if problem.context_offset is not None and source.position(problem.context_offset)[0] != place.line:
        labels = (
            Label(source.span(problem.context_offset, problem.context_offset + 1), "it belongs to what begins here"),
        )
    code = "FL008" if "tag" in message else "FL006"
    return Diagnostic(code, message, place, hint=hint or None, labels=labels)


def _own_words(problem: YamlProblem, found: str) -> tuple[str, str]:
    if "start any token" in problem.problem:
        if found == "\t":
            return "a tab cannot indent", "use spaces"
        return f"no unquoted text begins with `{found}`", "quote it"
    for words, message, hint in _OWN_WORDS:
        if words in problem.problem:
            return message, hint
    return f"YAML cannot read this ({problem.problem})", "quote the text, or look at the lines above"


def _place(source: SourceText, problem: YamlProblem) -> Span:
    """Where to look: at what was opened, when the end of the file is all that the parser can point at."""
    offset = problem.offset
    at_end = not source.text[offset:].strip()
    if at_end and problem.context_offset is not None:
        offset = problem.context_offset
    return source.span(offset, offset + 1)
