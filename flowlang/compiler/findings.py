"""Collects findings about one document, at places named by paths."""

from __future__ import annotations

import re
from collections.abc import Iterable

from flowlang.diagnostics import Diagnostic, Edit, Fix, Label, Severity, suggestion
from flowlang.model import Path, YamlDocument
from flowlang.model.verbs import VERBS
from flowlang.model.yaml_nodes import Entry, Mapping, Node, Scalar, Sequence
from flowlang.source import Span

_COMMA_BEHIND = re.compile(r"\s*,\s*")
_COMMA_BEFORE = re.compile(r"\s*,\s*\Z")
_TO_NEXT_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)?")


class Findings:
    """Findings about a document.

    Args:
        document: Where everything is written.
    """

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.found: list[Diagnostic] = []

    def at(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        key: bool = False,
        part: tuple[int, int] | None = None,
        hint: str | None = None,
        severity: Severity = Severity.ERROR,
        labels: Iterable[Label] = (),
        caret: str = "",
        fix: Fix | None = None,
    ) -> None:
        """Report a finding.

        Args:
            path: Keys and indices from the document's root.
            code: A key of `diagnostics.CODES`.
            message: What was expected and what was found.
            key: Point at the key instead of its value.
            part: Offsets in the scalar's value to point at.
            hint: What would be right.
            severity: How much it weighs.
            labels: Other places that explain it.
            caret: A few words beside the caret.
            fix: What would put it right, where the hint alone does not tell it (see `diagnostics.fixes`).
        """
        span = self.span(path, key=key, part=part)
        self.found.append(Diagnostic(code, message, span, severity, hint, tuple(labels), caret, fix))

    def adding(self, path: Path, entry: str) -> Fix | None:
        """The fix that adds an entry before another one of a map; one of several that would do.

        Args:
            path: Keys and indices to the entry that is there.
            entry: The new one, such as `timeout: 7d`.
        """
        holder, there = self._entry(path)
        if holder is None or there is None:
            return None
        place = self.span(path, key=True)
        source = self.document.source
        apart = ", " if holder.flow else "\n" + " " * (place.column - 1)
        edit = Edit(source.span(place.start, place.start), entry + apart)
        return Fix(f"add `{entry}`", (edit,), certain=False)

    def removing(self, path: Path) -> Fix | None:
        """The fix that takes an entry out of a map; None where it begins an item of a list.

        Args:
            path: Keys and indices to the entry.
        """
        holder, entry = self._entry(path)
        if holder is None or entry is None:
            return None
        text, start = self.document.source.text, entry.key.start
        end = start + len(text[start : max(_end(entry.value), entry.key.end)].rstrip())
        if holder.flow:
            behind, before = _COMMA_BEHIND.match(text, end), _COMMA_BEFORE.search(text, 0, start)
            start, end = (start, behind.end()) if behind else (before.start() if before else start, end)
        else:
            line = self.document.source.line_start(self.document.source.position(start)[0])
            if text[line:start].strip():
                return None
            start, end = line, _TO_NEXT_LINE.match(text, end).end()  # type: ignore[union-attr]  # it fits everywhere
        return Fix(f"remove `{path[-1]}`", (Edit(self.document.source.span(start, end), ""),))

    def step_label(self, name: str, message: str) -> tuple[Label, ...]:
        """The place of a step's id, to explain a finding elsewhere; nothing when it is not to be found.

        Args:
            name: The id.
            message: What is to be seen there.
        """
        pending: list[Node] = [self.document.root]
        while pending:
            node = pending.pop(0)
            if isinstance(node, Sequence):
                pending += node.items
            elif isinstance(node, Mapping):
                written = node.entries.get("id")
                is_step = any(verb in node.entries for verb in VERBS)
                if is_step and written and isinstance(written.value, Scalar) and written.value.text == name:
                    return (Label(self.document.source.span(written.value.start, written.value.end), message),)
                pending += [entry.value for entry in node.entries.values() if not entry.merged]
        return ()

    def _entry(self, path: Path) -> tuple[Mapping | None, Entry | None]:
        """The map that holds an entry, and the entry, where both are written at the place itself."""
        holder = self.document.node_at(path[:-1])
        entry = holder.entries.get(str(path[-1])) if isinstance(holder, Mapping) else None
        if not isinstance(holder, Mapping) or entry is None or entry.merged:
            return None, None
        return holder, entry

    def span(self, path: Path, *, key: bool = False, part: tuple[int, int] | None = None) -> Span:
        """The place of a value, a key, or a part of a text."""
        if part is not None:
            return self.document.span_in(path, *part)
        return self.document.span_at(path, key=key)


def _end(node: Node) -> int:
    """Where a value really ends: that of a map or list in block form is said to end where the next thing begins."""
    if isinstance(node, Mapping) and not node.flow and node.entries:
        last = max(node.entries.values(), key=lambda entry: entry.key.start if not entry.merged else -1)
        return max(last.key.end, _end(last.value))
    if isinstance(node, Sequence) and not node.flow and node.items:
        return _end(node.items[-1])
    return node.end


def near(word: str, candidates: Iterable[str], *, listing: str = "") -> str | None:
    """The hint for a name that is not there.

    Args:
        word: As written.
        candidates: What there is.
        listing: What the candidates are, to list them when none is near; empty: list nothing.
    """
    names = sorted(candidates)
    hint = suggestion(word, names)
    if hint is not None:
        return hint
    if not listing:
        return None
    if not names:
        return "there are none here"
    shown = ", ".join(f"`{name}`" for name in names[:8])
    return f"{listing}: {shown}" + (f" and {len(names) - 8} more" if len(names) > 8 else "")
