"""Reads YAML 1.2 with positions: a file becomes documents and findings, whatever its bytes are.

Own tree builder on the parser's events, because values, the places of keys, duplicate keys and bounds on what a file
may expand to are all needed in one pass. What the documents mean is the models' concern.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from yaml.events import DocumentEndEvent, DocumentStartEvent, Event

from flowlang.diagnostics import Diagnostic
from flowlang.model.yaml_builder import Stop, TreeBuilder
from flowlang.model.yaml_errors import explain
from flowlang.model.yaml_events import YamlProblem, default_parser, events
from flowlang.model.yaml_nodes import Scalar, YamlDocument
from flowlang.source import SourceText

#: Largest file, in bytes of UTF-8.
MAX_BYTES: Final = 1 << 20

_FORBIDDEN = re.compile(
    "[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufefe\\uff00-\\ufffd\\U00010000-\\U0010ffff]"
)
_BYTE_ORDER_MARK: Final = "\ufeff"
_DOCUMENT_MARK = re.compile(r"^---(?=\s|$)", re.MULTILINE)


def decode(path: str, content: bytes) -> tuple[SourceText, list[Diagnostic]]:
    """Make a source of a file's bytes.

    Args:
        path: The file, as it is to be shown.
        content: Its bytes.

    Returns:
        The text, and a finding when the bytes are not UTF-8 or too many; what cannot be decoded is then replaced or
        left out, so that an excerpt can be shown.
    """
    if len(content) > MAX_BYTES:
        source = SourceText(path, content[:1024].decode("utf-8-sig", errors="replace"))
        return source, [_too_large(source, len(content))]
    try:
        return SourceText(path, content.decode("utf-8-sig")), []
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", errors="replace")
        source = SourceText(path, content.decode("utf-8-sig", errors="replace"))
        found = f"byte 0x{content[error.start]:02x} at offset {error.start} is not UTF-8"
        return source, [Diagnostic("FL001", found, source.span(len(before), len(before) + 1), hint="save it as UTF-8")]


def _too_large(source: SourceText, size: int) -> Diagnostic:
    message = f"the file has {size} bytes; at most {MAX_BYTES} are read"
    return Diagnostic("FL003", message, source.span(0, 0), hint="divide it into several files")


def read_yaml(
    source: SourceText, *, parser: Callable[[str], Any] = default_parser
) -> tuple[list[YamlDocument], list[Diagnostic]]:
    """Read the documents of a file.

    A document that cannot be read is left out, with one finding; those behind it are read.

    Args:
        source: The file.
        parser: Makes parser events of a text; tests choose one.

    Returns:
        The documents that could be read, in order and without empty ones, and everything that was found.
    """
    refused = _refuse(source)
    if refused is not None:
        return [], [refused]
    documents: list[YamlDocument] = []
    found: list[Diagnostic] = []
    start: int | None = 1 if source.text.startswith(_BYTE_ORDER_MARK) else 0
    while start is not None:
        reader = _Reader(source, start, documents, found)
        start = reader.read(parser)
    return documents, found


def _refuse(source: SourceText) -> Diagnostic | None:
    """Why a text is not read at all, or None."""
    size = len(source.text) if len(source.text) > MAX_BYTES else len(source.text.encode("utf-8", errors="replace"))
    if size > MAX_BYTES:
        return _too_large(source, size)
    match = _FORBIDDEN.search(source.text, 1 if source.text.startswith(_BYTE_ORDER_MARK) else 0)
    if match is None:
        return None
    message = f"the character U+{ord(match[0]):04X} may not stand in a YAML file"
    hint = 'inside double quotes it can be written as an escape, such as "\\u0007"'
    return Diagnostic("FL002", message, source.span(match.start(), match.end()), hint=hint)


class _Reader:
    """Reads documents from an offset on, until the end or until one cannot be read."""

    def __init__(self, source: SourceText, start: int, documents: list[YamlDocument], found: list[Diagnostic]) -> None:
        self._source = source
        self._start = start
        self._documents = documents
        self._found = found
        self._builder = TreeBuilder(source, start)

    def read(self, parser: Callable[[str], Any]) -> int | None:
        """Read what can be read.

        Returns:
            The offset of the next document when one could not be read and another follows, else None.
        """
        try:
            for event in events(self._source.text[self._start :], parser):
                self._take(event)
        except YamlProblem as problem:
            shifted = YamlProblem(
                problem.offset + self._start,
                problem.problem,
                problem.context,
                None if problem.context_offset is None else problem.context_offset + self._start,
            )
            self._found.append(explain(self._source, shifted, in_data=self._builder.in_data))
            return self._next_document(shifted.offset)
        except Stop as stop:
            self._found.append(stop.diagnostic)
            return self._next_document(stop.diagnostic.span.end)
        return None

    def _take(self, event: Event) -> None:
        if isinstance(event, DocumentStartEvent):
            self._builder = TreeBuilder(self._source, self._start)
            self._check_directives(event)
        elif isinstance(event, DocumentEndEvent):
            self._found += self._builder.found
            root = self._builder.root
            if root is not None and not (isinstance(root, Scalar) and root.text == "" and root.style == ""):
                self._documents.append(YamlDocument(self._source, root))
        else:
            self._builder.take(event)

    def _check_directives(self, event: DocumentStartEvent) -> None:
        version = getattr(event, "version", None)
        if getattr(event, "tags", None) or (version is not None and tuple(version) != (1, 2)):
            start = self._start + (event.start_mark.index if event.start_mark else 0)
            message = "`%` lines are refused: files are read as YAML 1.2, without tags"
            self._found.append(
                Diagnostic("FL008", message, self._source.span(start, start + 1), hint="remove the line")
            )

    def _next_document(self, offset: int) -> int | None:
        match = _DOCUMENT_MARK.search(self._source.text, max(offset, self._start + 1))
        return match.start() if match is not None and match.start() > self._start else None
