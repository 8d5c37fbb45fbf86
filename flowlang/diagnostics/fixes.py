"""Fixes of findings: read off their hints where they say one thing, and made in texts.

A hint of one of these forms is a fix as well, so that a check which says what was meant need not say it twice: ``did
you mean `x`?`` where the place is a word; `` `"x":` `` where it is a key; ``write `x` `` of a finding about the shape
(FL0xx and FL1xx), where it is a value. All other fixes are given by the check itself. Reading and writing files is left
to others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from flowlang.diagnostics.finding import Diagnostic, Edit, Fix
from flowlang.diagnostics.suggest import did_you_mean
from flowlang.source import SourceText

_MEANT = re.compile(r"did you mean `([^`\s]+)`\?")
_WRITE = re.compile(r"write `([^`]+)`")
_KEY = re.compile(r"`(\"[^`]+\"):`")

#: What names are made of: of keys, events, handlers, time zones, aliases.
_WORD = re.compile(r"[\w./*+-]+")
_QUOTES = ("'", '"')


def with_fixes(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceText]) -> list[Diagnostic]:
    """The findings, those with a fix that only their hint tells with that fix.

    Args:
        diagnostics: The findings.
        sources: Path → content.
    """
    return [
        item
        if item.fix is not None or item.hint is None or item.span.path not in sources
        else replace(item, fix=_read_off(item, item.hint, sources[item.span.path].text))
        for item in diagnostics
    ]


def quote_fix(source: SourceText, start: int, end: int, quoted: str) -> Fix:
    """The fix that puts quotes around a stretch of YAML.

    Args:
        source: The file.
        start: Offset of the stretch.
        end: Offset behind it.
        quoted: The stretch in quotes.
    """
    return Fix("quote it", (Edit(source.span(start, end), quoted),))


def _read_off(item: Diagnostic, hint: str, text: str) -> Fix | None:
    span = item.span
    written = text[span.start : span.end]
    if not written or "\n" in written:
        return None
    if match := _MEANT.fullmatch(hint):
        return _renamed(item, written, match[1])
    if match := _KEY.fullmatch(hint):
        return Fix(f"write `{match[1]}`", (Edit(span, match[1]),))
    match = _WRITE.fullmatch(hint) if item.code < "FL200" else None
    if match and ": " not in match[1] and not written.startswith(("{", "[", "|", ">", "&", "*", "-")):
        return Fix(hint, (Edit(span, match[1]),))
    return None


def _renamed(item: Diagnostic, written: str, meant: str) -> Fix | None:
    """The fix that puts a word for the one that the finding speaks of, in the quotes that it has."""
    quote = written[0] if written[0] in _QUOTES and written.endswith(written[0]) and len(written) > 2 else ""
    word = written[1:-1] if quote else written
    if not _WORD.fullmatch(word) or not _WORD.fullmatch(meant) or word == meant:
        return None
    bare = word.lstrip("*")  # of an alias, the name
    if f"{bare}`" not in item.message and f"{bare}'" not in item.message:
        return None  # the place is wider than the word that the finding speaks of
    return Fix(
        f"write `{meant}`", (Edit(item.span, f"{quote}{meant}{quote}"),), certain=did_you_mean(word, [meant]) == meant
    )


@dataclass(frozen=True, slots=True)
class Fixed:
    """What came of fixes.

    Args:
        texts: The new content of the files that changed, by path.
        applied: The findings whose fixes were made.
    """

    texts: Mapping[str, str]
    applied: tuple[Diagnostic, ...]


def apply_fixes(diagnostics: Iterable[Diagnostic], sources: Mapping[str, SourceText], *, unsafe: bool = False) -> Fixed:
    """Make the fixes of findings. Of fixes that overlap the first is made; the others are for a next round.

    Args:
        diagnostics: The findings, whose places count in `sources`.
        sources: Path → content.
        unsafe: Whether fixes are made that a person should choose.
    """
    taken: dict[str, list[Edit]] = {}
    applied: list[Diagnostic] = []
    for item in diagnostics:
        fix = item.fix
        if fix is None or not (fix.certain or unsafe):
            continue
        if all(edit.span.path in sources and _fits(edit, taken.get(edit.span.path, [])) for edit in fix.edits):
            applied.append(item)
            for edit in fix.edits:
                edits = taken.setdefault(edit.span.path, [])
                if edit not in edits:
                    edits.append(edit)
    texts = {path: edited(sources[path].text, edits) for path, edits in taken.items()}
    changed = {path: text for path, text in texts.items() if text != sources[path].text}
    return Fixed(changed, tuple(applied))


@dataclass(frozen=True, slots=True)
class Settled:
    """Files after all their fixes.

    Args:
        before: The content of the files that changed as it was, by path.
        after: Their new content.
        applied: The findings whose fixes were made.
        found: What is still found.
        rounds: How often fixes were made: what one uncovers is found in the next.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]
    applied: tuple[Diagnostic, ...]
    found: tuple[Diagnostic, ...]
    rounds: int


#: What checks files, some of them with another content than they have.
Check = Callable[[Mapping[str, str]], tuple[Sequence[Diagnostic], Mapping[str, SourceText]]]

#: Each round must put something right that the one before did not; so many are far beyond any real file.
_MOST_ROUNDS = 10


def settle(check: Check, *, unsafe: bool = False) -> Settled:
    """Make fixes until there are none, in texts alone; nothing is written.

    Args:
        check: Gives the findings and the contents of files, when some of them, by path, are changed.
        unsafe: Whether fixes are made that a person should choose.
    """
    after: dict[str, str] = {}
    applied: dict[Diagnostic, None] = {}
    found, original = check(after)
    sources, rounds = original, 0
    while rounds < _MOST_ROUNDS:
        fixed = apply_fixes(found, sources, unsafe=unsafe)
        if all(after.get(path) == text for path, text in fixed.texts.items()):
            break
        rounds += 1
        after.update(fixed.texts)
        applied |= dict.fromkeys(fixed.applied)
        found, sources = check(after)
    changed = {path: text for path, text in after.items() if text != original[path].text}
    before = {path: original[path].text for path in changed}
    return Settled(before, changed, tuple(applied), tuple(found), rounds)


def edited(text: str, edits: Iterable[Edit]) -> str:
    """A text after its edits, none of which overlaps another.

    Args:
        text: The text that the edits' offsets count in.
        edits: In any order.
    """
    for edit in sorted(edits, key=lambda each: each.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def _fits(edit: Edit, taken: list[Edit]) -> bool:
    """Whether an edit is one of those taken, or touches none of them."""
    return edit in taken or all(edit.span.end < other.span.start or other.span.end < edit.span.start for other in taken)
