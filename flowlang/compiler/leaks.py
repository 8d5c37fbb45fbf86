"""Reports secrets and sensitive fields where they would be shown: logs, labels, errors, URLs, events, outputs.

A sensitive field may go to handlers (`with`) and into keys and matches, which are stored hashed; into an event only
where its schema marks the field as well. A secret may go to handlers alone, and not into what they would show.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from flowlang.compiler.expressions import Written
from flowlang.compiler.findings import Findings
from flowlang.diagnostics import Label
from flowlang.expr.taint import Leak
from flowlang.expr.types import ListOf, MapOf, ObjectOf, Type, without_null
from flowlang.model import Path
from flowlang.source import Span

_URL: Final = re.compile(r"\s*https?://", re.IGNORECASE)
_URL_NAMES: Final = re.compile(r"(?:.*_)?(?:url|uri|href|endpoint)")
_SHOWN_NAMES: Final = frozenset(
    {"message", "text", "subject", "title", "description", "log", "label", "labels", "metric"}
)
_SECRETS: Final = ("secrets",)
#: Handlers that write all that they are given to the log.
_LOGGING: Final = frozenset({"log"})


class Leaks:
    """Reports what a pipeline gives away.

    Args:
        findings: Where to report.
        marks: Where sensitive fields are marked, by what they are called.
    """

    def __init__(self, findings: Findings, marks: Mapping[str, Span]) -> None:
        self._findings = findings
        self._marks = marks

    def shown(self, path: Path, given: Written, where: str) -> None:
        """Report all that must not be shown of a value that is.

        Args:
            path: Where it is written.
            given: The value, checked.
            where: Where it is shown, in words.
        """
        for inner, found in given.leaks.items():
            self._report((*path, *inner), found, where)

    def event(self, path: Path, given: Written, wanted: Type, event: str) -> None:
        """Report sensitive data that become fields of an event whose schema does not mark them.

        Args:
            path: Where the data are written.
            given: The data, checked.
            wanted: Type of the event's data.
            event: Its name.
        """
        for inner, found in given.leaks.items():
            unmarked = [leak for leak in found if not _is_marked(wanted, (*inner, *leak.inner))]
            self._report((*path, *inner), unmarked, f"`{event}`, whose schema does not mark this field")

    def arguments(self, path: Path, given: Written, handler: str | None) -> None:
        """Report what a handler would show: text of URLs, and secrets in messages; of `log`, all.

        Args:
            path: Where the arguments are written.
            given: The arguments, checked.
            handler: Its name; None for a pipeline.
        """
        if handler in _LOGGING:
            self.shown(path, given, "the log")
            return
        for inner, found in given.leaks.items():
            text: object = given.plain
            for part in inner:
                text = text[part]  # type: ignore[index]
            name = next((part for part in reversed(inner) if isinstance(part, str)), "")
            composed = isinstance(text, str) and not re.fullmatch(r"\s*\$\{\{[^{}]*\}\}\s*", text)
            if composed and isinstance(text, str) and (_URL.match(text) or _URL_NAMES.fullmatch(name)):
                self._report((*path, *inner), found, "a URL, which is written to logs on its way")
            elif name in _SHOWN_NAMES:
                secrets = [leak for leak in found if leak.source.startswith(_SECRETS)]
                self._report((*path, *inner), secrets, f"`{name}`, which people read")

    def _report(self, path: Path, found: Iterable[Leak], where: str) -> None:
        for leak in found:
            part = (leak.start, leak.end)
            if leak.source.startswith(_SECRETS):
                hint = "give it to the handler as an argument of its own, or read it there as `ctx.secrets`"
                self._findings.at(
                    path, "FL603", f"the secret `{leak.source}` would be shown in {where}", part=part, hint=hint
                )
                continue
            mark = self._marks.get(leak.source)
            labels = () if mark is None else (Label(mark, "marked as sensitive here"),)
            hint = "leave it out, or write hash(…) of it"
            if where.startswith("`"):
                hint = 'mark the field of the event with `"x-sensitive": true`, or leave it out'
            message = f"{leak.source} is sensitive, and would be shown in {where}"
            self._findings.at(path, "FL604", message, part=part, hint=hint, labels=labels)


def _is_marked(type_: Type, path: tuple[str | int, ...]) -> bool:
    """Whether a type marks a field on the way to a part."""
    for segment in path:
        type_ = without_null(type_)
        if isinstance(type_, ListOf):
            type_ = type_.element
            if isinstance(segment, int):
                continue
            type_ = without_null(type_)
        if isinstance(type_, MapOf):
            type_ = type_.value
            continue
        field = type_.field(str(segment)) if isinstance(type_, ObjectOf) else None
        if field is None:
            return False
        if field.sensitive:
            return True
        type_ = field.type
    return False
