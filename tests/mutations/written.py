"""A pipeline file as mistakes are made in it: its text, where everything stands, and edits that keep their places."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from flowlang.compiler.flow import every_step
from flowlang.expr import Expression, ExpressionSyntaxError, compile_expression, compile_template
from flowlang.expr.template import compile_bare_expression
from flowlang.model import Path, Pipeline, YamlDocument, load_pipelines
from flowlang.model.step import Step
from flowlang.model.yaml_nodes import Entry, Mapping, Node, Scalar, Sequence
from flowlang.source import SourceText

#: Keys whose value is an expression without braces.
EXPRESSION_KEYS = frozenset({"if", "match", "until", "in", "key", "priority"})
#: Keys under which the names are the author's own.
OWN_NAMES = frozenset({"with", "set", "vars", "labels", "start", "output", "stop", "data", "input", "collect"})


@dataclass(frozen=True, slots=True)
class Edit:
    """A stretch of the text, and what is to stand there."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in one file.

    Attributes:
        kind: What sort of mistake.
        path: The file, from the project's root.
        what: The mistake in words.
        text: The whole file with it.
        lines: On which of them a finding is at the right place.
    """

    kind: str
    path: str
    what: str
    text: str
    lines: frozenset[int]


@dataclass(frozen=True, slots=True)
class Placed:
    """An expression with its place: an offset in it plus `offset` is one in the scalar's value."""

    path: Path
    offset: int
    expression: Expression
    bare: bool


class Written:
    """One pipeline file.

    Args:
        path: From the project's root.
        text: Its content; one document without mistakes.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.source = SourceText(path, text)
        (read,), found = load_pipelines(self.source)
        assert read.model is not None, found
        self.pipeline: Pipeline = read.model
        self.document: YamlDocument = read.document

    @cached_property
    def steps(self) -> list[Step]:
        """All steps, those inside others as well."""
        return list(every_step(self.pipeline))

    @cached_property
    def expressions(self) -> list[Placed]:
        """All expressions."""
        found = []
        for path, node, own in self.scalars():
            if not isinstance(node.value, str):
                continue
            try:
                if not own and path and path[-1] in EXPRESSION_KEYS:
                    placed = compile_bare_expression(node.value)
                    found.append(Placed(path, placed.offset, placed.expression, bare=True))
                elif "${{" in node.value:
                    template = compile_template(node.value)
                    found += [Placed(path, each.offset, each.expression, bare=False) for each in template.expressions]
            except ExpressionSyntaxError:
                continue
        return found

    def scalars(self) -> Iterator[tuple[Path, Scalar, bool]]:
        """All scalar values with their paths, and whether they stand under names of the author's own."""
        for path, node, own in self._nodes(self.document.root, (), own=False):
            if isinstance(node, Scalar):
                yield path, node, own

    def entries(self) -> Iterator[tuple[Path, Entry, bool]]:
        """All keys with their paths, and whether they are names of the author's own."""
        for path, node, own in self._nodes(self.document.root, (), own=False):
            if isinstance(node, Mapping):
                for key, entry in node.entries.items():
                    yield (*path, key), entry, own

    def _nodes(self, node: Node, path: Path, *, own: bool) -> Iterator[tuple[Path, Node, bool]]:
        yield path, node, own
        if isinstance(node, Mapping):
            for key, entry in node.entries.items():
                inner = own or (key in OWN_NAMES and not (key == "data" and path == ()))
                yield from self._nodes(entry.value, (*path, key), own=inner)
        elif isinstance(node, Sequence):
            for place, item in enumerate(node.items):
                yield from self._nodes(item, (*path, place), own=own)

    def part(self, placed: Placed, start: int, end: int) -> tuple[int, int]:
        """Where a part of an expression is written, as offsets in the file."""
        span = self.document.span_in(placed.path, placed.offset + start, placed.offset + end)
        return span.start, span.end

    def stretch(self, step: Step) -> tuple[int, int]:
        """The lines of a step: from the dash before it to the next thing that stands as far left."""
        node = self.document.node_at(step.path)
        start = self.text.rfind("\n", 0, node.start) + 1
        column = node.start - start
        if column < 2 or "-" not in self.text[start : node.start]:
            return node.start, node.end
        rest = re.compile(rf"^ {{0,{column - 1}}}\S", re.MULTILINE).search(self.text, self.text.find("\n", start) + 1)
        return start, len(self.text) if rest is None else rest.start()

    def uses_of(self, *names: str) -> list[int]:
        """Offsets in the file of what reads a path, such as `steps, asset`."""
        found: list[int] = []
        for placed in self.expressions:
            found += [
                self.part(placed, *reference.spans[min(len(names), len(reference.spans)) - 1])[0]
                for reference in placed.expression.references
                if reference.path[: len(names)] == names
            ]
        return found

    def unguarded(self, step_id: str) -> list[int]:
        """Offsets of what reads the output of a step without `.?` and the like."""
        return [
            self.part(placed, *reference.spans[-1])[0]
            for placed in self.expressions
            for reference in placed.expression.references
            if reference.path[:3] == ("steps", step_id, "output") and not reference.guarded
            and f"steps.{step_id}.?" not in placed.expression.text
        ]  # fmt: skip

    def mistake(self, kind: str, what: str, *edits: Edit, also: Iterable[int] = (), within: bool = True) -> Mistake:
        """Make a mistake.

        Args:
            kind: What sort.
            what: In words.
            edits: What changes.
            also: Offsets in the file as it is, whose lines are right places too.
            within: Whether the changed lines are right places.
        """
        text = self.text
        for edit in sorted(edits, key=lambda each: each.start, reverse=True):
            text = text[: edit.start] + edit.text + text[edit.end :]
        moved = SourceText(self.path, text)
        lines = {moved.position(self._moved(offset, edits))[0] for offset in also}
        for edit in edits if within else ():
            start = self._moved(edit.start, edits)
            first = start if not edit.text.startswith("\n") else start + 1
            lines |= set(range(moved.position(first)[0], moved.position(start + len(edit.text.rstrip()))[0] + 1))
        return Mistake(kind, self.path, what, text, frozenset(lines))

    @staticmethod
    def _moved(offset: int, edits: Iterable[Edit]) -> int:
        return offset + sum(len(edit.text) - (edit.end - edit.start) for edit in edits if edit.end <= offset)


def typo(word: str, chance: random.Random, known: Iterable[str] = ()) -> str:
    """Misspell a word into one that is not known: a letter too few or twice, or two of them swapped."""
    taken = {word, *known}
    for _ in range(50):
        at = chance.randrange(len(word))
        made = chance.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + word[at] + word[at:],
                word[:at] + word[at + 1 : at + 2] + word[at] + word[at + 2 :],
            )
        )
        if made not in taken and re.fullmatch(r"[a-z][A-Za-z0-9_./*-]*[a-z0-9*]", made):
            return made
    return f"{word}x"


def is_expression(text: str) -> bool:
    """Whether a text can be read as an expression."""
    try:
        compile_expression(text)
    except ExpressionSyntaxError:
        return False
    return True
