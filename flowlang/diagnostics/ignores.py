"""Comments that leave findings out: `# flowlang: ignore[FL405] why`, and what is wrong with such a comment.

Behind something on its line, a comment speaks of that line; on a line of its own, of the node below it;
`ignore-file[…]` of the whole file. Errors stay: nothing with errors is deployed, so leaving one out would only hide
why. Who reads a file says where its comments are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from flowlang.diagnostics.codes import CODES
from flowlang.diagnostics.finding import Diagnostic, Edit, Fix, Label, Severity
from flowlang.diagnostics.report import Suppressed, SuppressedBy
from flowlang.diagnostics.suggest import did_you_mean
from flowlang.source import SourceText, Span

#: A comment that is meant for us, wherever it stands; for a quick look whether a file has any.
OURS: Final = re.compile(r"#[ \t]*flowlang:")

_COMMENT = re.compile(r"#[ \t]*flowlang:[ \t]*(?P<word>[A-Za-z][\w-]*)(?:[ \t]*\[(?P<codes>[^\]]*)\](?P<reason>.*)|.*)")
_CODE = re.compile(r"[^\s,]+")
_WORDS: Final = ("ignore", "ignore-file")
_EXAMPLE: Final = "`# flowlang: ignore[FL405] why`"

#: Findings of these codes are left out only with a reason: whoever reads the file next must be able to judge it.
_NEED_REASON: Final = "FL6"


@dataclass(frozen=True, slots=True)
class Ignore:
    """A comment that leaves findings out.

    Args:
        codes: What it leaves out, each with its place in the comment.
        span: The comment.
        reason: Why; may be empty.
        lines: First and last line that it speaks of; None: the whole file.
        removal: The edit that takes the comment away; None when it has more than one code.
    """

    codes: tuple[tuple[str, Span], ...]
    span: Span
    reason: str
    lines: tuple[int, int] | None
    removal: Edit | None

    def speaks_of(self, item: Diagnostic) -> bool:
        """Whether a finding of its file lies where the comment speaks of."""
        return self.lines is None or self.lines[0] <= item.span.line <= self.lines[1]


def read_ignores(source: SourceText, comments: Iterable[tuple[int, int]]) -> tuple[list[Ignore], list[Diagnostic]]:
    """The ignores among the comments of a file.

    Args:
        source: The file.
        comments: Offsets of each comment, from its `#` to the end of its line.

    Returns:
        The ignores, and findings about comments that were meant as such and are none.
    """
    ignores: list[Ignore] = []
    found: list[Diagnostic] = []
    for start, end in comments:
        match = _COMMENT.fullmatch(source.text[start:end].rstrip())
        if match is None:
            continue
        span = source.span(start, start + len(match[0]))
        if match["word"] not in _WORDS or match["codes"] is None or not match["codes"].strip():
            found += _unreadable(match, span)
            continue
        base = start + match.start("codes")
        codes = [
            (code[0], source.span(base + code.start(), base + code.end())) for code in _CODE.finditer(match["codes"])
        ]
        found += [unknown_code(code, place) for code, place in codes if code not in CODES]
        known = tuple((code, place) for code, place in codes if code in CODES)
        if known:
            lines = None if match["word"] == "ignore-file" else _lines(source, span)
            removal = _removal(source, span) if len(codes) == 1 else None
            ignores.append(Ignore(known, span, match["reason"].strip(" \t:-"), lines, removal))
    return ignores, found


def suppress(
    diagnostics: Sequence[Diagnostic], ignores: Iterable[Ignore]
) -> tuple[list[Diagnostic], list[Suppressed], list[Diagnostic]]:
    """Leave out what the comments speak of.

    Args:
        diagnostics: All findings.
        ignores: The comments of all files.

    Returns:
        The findings that stay; those that are left out; and findings about comments that leave nothing out.
    """
    by_file: dict[tuple[str, str], list[Diagnostic]] = {}
    for item in diagnostics:
        by_file.setdefault((item.span.path, item.code), []).append(item)
    left_out: dict[Diagnostic, Suppressed] = {}
    found: list[Diagnostic] = []
    for ignore in ignores:
        for code, place in ignore.codes:
            meant = [item for item in by_file.get((ignore.span.path, code), ()) if ignore.speaks_of(item)]
            errors = [item for item in meant if item.severity is Severity.ERROR]
            if not meant:
                found.append(_unused(ignore, code, place))
            elif errors:
                found.append(_error_stays(code, place, errors[0]))
            elif code.startswith(_NEED_REASON) and not ignore.reason:
                found.append(_no_reason(code, place))
                continue
            for item in meant:
                if item.severity is not Severity.ERROR:
                    left_out.setdefault(item, Suppressed(item, SuppressedBy.COMMENT, ignore.reason))
    return [item for item in diagnostics if item not in left_out], list(left_out.values()), found


def unknown_code(code: str, place: Span) -> Diagnostic:
    """The finding about a code that the table does not have; a name of one says which was meant."""
    named = {about.slug: about.code for about in CODES.values()}.get(code.lower())
    near = named or did_you_mean(code.upper(), CODES)
    hint = f"did you mean `{near}`?" if near else "`flowlang explain` lists all codes"
    fix = Fix(f"write `{near}`", (Edit(place, near),), certain=named is not None) if near else None
    return Diagnostic("FL901", f"no finding has the code `{code}`", place, Severity.WARNING, hint, fix=fix)


def _unreadable(match: re.Match[str], span: Span) -> list[Diagnostic]:
    """The finding about a comment that ignores nothing; none when it was hardly meant to."""
    word = match["word"]
    if word in _WORDS:
        message = f"`{word}` says not which findings: it names their codes in brackets"
        return [Diagnostic("FL904", message, span, Severity.WARNING, f"such as {_EXAMPLE}")]
    near = did_you_mean(word, _WORDS)
    if near is None and match["codes"] is None:
        return []
    hint = f"did you mean `{near}`?" if near else f"such as {_EXAMPLE}"
    return [Diagnostic("FL904", f"`{word}` is no word of such a comment", span, Severity.WARNING, hint)]


def _unused(ignore: Ignore, code: str, place: Span) -> Diagnostic:
    where = "in this file" if ignore.lines is None else "here"
    message = f"there is no finding {code} {where}"
    hint = f"remove `{code}`" if ignore.removal is None else "remove the comment"
    fix = None if ignore.removal is None else Fix(hint, (ignore.removal,))
    return Diagnostic("FL902", message, place, Severity.WARNING, hint, fix=fix)


def _error_stays(code: str, place: Span, error: Diagnostic) -> Diagnostic:
    message = f"this {code} is an error, and errors are not left out: nothing with errors is deployed"
    labels = (Label(error.span, "the error"),)
    return Diagnostic("FL905", message, place, Severity.WARNING, "put it right", labels)


def _no_reason(code: str, place: Span) -> Diagnostic:
    message = f"{code} is about security: it is left out only with a reason"
    return Diagnostic("FL903", message, place, Severity.WARNING, f"write it behind the bracket: `ignore[{code}] why`")


def _removal(source: SourceText, span: Span) -> Edit:
    """Takes a comment away: with its line when it stands alone, else with the blanks before it."""
    start, text = span.start, source.text
    begin = source.line_start(span.line)
    before = text[begin:start]
    if before.strip():
        return Edit(source.span(begin + len(before.rstrip()), span.end), "")
    behind = source.line_start(span.line + 1) if span.line < source.line_count else len(text)
    return Edit(source.span(begin, behind), "")


def _lines(source: SourceText, span: Span) -> tuple[int, int]:
    """The lines that a comment speaks of."""
    if source.text[source.line_start(span.line) : span.start].strip():
        return span.line, span.line
    first = span.line + 1
    while first <= source.line_count and _says_nothing(source.line_text(first)):
        first += 1
    last = first
    if first <= source.line_count:
        head = source.line_text(first)
        for line in range(first + 1, source.line_count + 1):
            text = source.line_text(line)
            if _says_nothing(text):
                continue
            if not _belongs(head, text):
                break
            if _indent(text) == _indent(head) and head.lstrip().startswith("@"):
                head = text  # behind the decorators the function goes on as far as its body
            last = line
    return first, last


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _belongs(head: str, line: str) -> bool:
    """Whether a line is part of the node that begins with another one: further in, or an item of a key's list.

    A decorator and the function below it are one, too.
    """
    depth, deeper = _indent(head), _indent(line)
    if deeper > depth:
        return True
    is_item = line.lstrip().startswith("- ") and head.rstrip().endswith(":") and not head.lstrip().startswith("- ")
    return deeper == depth and (is_item or head.lstrip().startswith("@"))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
