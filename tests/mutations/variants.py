"""Changes that change nothing: what is valid stays without findings."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from flowlang.model.yaml_nodes import Scalar
from tests.mutations.bench import Bench
from tests.mutations.written import Edit, Mistake, Written


def comments(file: Written) -> Iterator[Mistake]:
    lines = file.text.splitlines(keepends=True)
    yield _variant(
        file, "comments between lines", "".join(f"# a remark\n{line}" if _may_stand(line) else line for line in lines)
    )
    yield _variant(file, "a comment at the top and blank lines at the end", f"# a remark\n\n{file.text}\n\n")


def _may_stand(line: str) -> bool:
    return re.match(r"\s*- (id|emit|event):", line) is not None


def quotes(file: Written) -> Iterator[Mistake]:
    """Plain texts in single and in double quotes."""
    for style in ("'", '"'):
        edits = []
        for _, node, _ in file.scalars():
            if (
                isinstance(node.value, str)
                and node.style == ""
                and "'" not in node.text
                and '"' not in node.text
                and "\\" not in node.text
            ):
                edits.append(Edit(node.start, node.end, f"{style}{node.text}{style}"))
        yield file.mistake("variant", f"texts in {style}", *edits)


def renamed_steps(file: Written) -> Iterator[Mistake]:
    """Another id, wherever it is written."""
    for step in file.steps:
        if step.id is None or len(re.findall(rf"\b{step.id}\b", file.text)) != 1 + len(_places(file, step.id)):
            continue
        node = file.document.node_at((*step.path, "id"))
        assert isinstance(node, Scalar)
        edits = [Edit(node.start, node.end, f"{step.id}_again")]
        edits += [Edit(start, end, f"{step.id}_again") for start, end in _places(file, step.id)]
        yield file.mistake("variant", f"the step {step.id} has another name", *edits)


def _places(file: Written, name: str) -> list[tuple[int, int]]:
    return sorted(
        {
            file.part(placed, *reference.spans[1])
            for placed in file.expressions
            for reference in placed.expression.references
            if reference.path[:2] == ("steps", name)
        }
    )


def renamed_items(file: Written) -> Iterator[Mistake]:
    for step in file.steps:
        if step.foreach is None or file.document.resolve((*step.path, "foreach", "as"))[-1] != "as":
            continue
        name, node = step.foreach.as_, file.document.node_at((*step.path, "foreach", "as"))
        assert isinstance(node, Scalar)
        places = {
            file.part(placed, *reference.spans[0])
            for placed in file.expressions
            for reference in placed.expression.references
            if reference.path[0] == name
        }
        edits = [Edit(start, end, f"{name}_again") for start, end in sorted(places)]
        yield file.mistake(
            "variant", f"the item {name} has another name", Edit(node.start, node.end, f"{name}_again"), *edits
        )


def braces(file: Written) -> Iterator[Mistake]:
    """Braces around the whole of an expression, and brackets where nothing needs them."""
    edits, more = [], []
    for placed in file.expressions:
        start, end = file.part(placed, 0, len(placed.expression.text))
        if file.text[start:end] == placed.expression.text and not set(placed.expression.text) & set("{}:#,[]"):
            if placed.expression.text != "error":  # `fail: ${{ error }}` is written so and not otherwise
                more += [Edit(start, start, "("), Edit(end, end, ")")]
            if placed.bare and "{" not in file.text[file.text.rfind("\n", 0, start) + 1 : start]:
                edits += [Edit(start, start, "${{ "), Edit(end, end, " }}")]
    if edits:
        yield file.mistake("variant", "braces around expressions", *edits)
    if more and '"!' not in file.text:
        yield file.mistake("variant", "brackets around expressions", *more)


def more_keys(file: Written) -> Iterator[Mistake]:
    """Optional keys that change nothing."""
    if file.pipeline.description is None:
        yield _variant(file, "a description", f"{file.text}\ndescription: what it does\n")
    if not file.pipeline.has("priority"):
        yield _variant(file, "a priority", f"{file.text}\npriority: 0\n")
    if not file.pipeline.has("timeout"):
        yield _variant(file, "a time-out", f"{file.text}\ntimeout: 30d\n")
    for step in file.steps:
        if step.id is not None and step.if_ is None:
            at = file.document.span_at((*step.path, "id"), key=True).start
            if file.text[at - 2 : at] == "- ":
                indent = "\n" + " " * (at - file.text.rfind("\n", 0, at) - 1)
                yield file.mistake(
                    "variant", f"a condition that always holds on {step.id}", Edit(at, at, f"if: true{indent}")
                )


def independent_steps(file: Written) -> Iterator[Mistake]:
    """Neighbours that do not know of each other, the other way round."""
    for step in file.steps:
        *block, place = step.path
        if not isinstance(place, int) or place == 0 or step.id is None or step.verb in {"fail", "stop"}:
            continue
        before = next((other for other in file.steps if other.path == (*block, place - 1)), None)
        if before is None or before.id is None or block[-1] == "switch" or step.needs:
            continue
        (first, middle), (again, end) = file.stretch(before), file.stretch(step)
        inside = {other.id for other in file.steps if other.id and other.path[: len(before.path)] == before.path}
        readers = [at for name in inside for at in file.uses_of("steps", name) if again <= at < end]
        if again != middle or readers or not file.text.endswith("\n") or block[-1] == "catch":
            continue
        yield _variant(
            file,
            f"{step.id} before {before.id}",
            file.text[:first] + file.text[again:end] + file.text[first:middle] + file.text[end:],
        )


def _variant(file: Written, what: str, text: str) -> Mistake:
    return Mistake("variant", file.path, what, text, frozenset())


_WAYS: tuple[Callable[[Written], Iterator[Mistake]], ...] = (
    comments, quotes, renamed_steps, renamed_items, braces, more_keys, independent_steps,
)  # fmt: skip


def variants(bench: Bench, *, most: int = 5) -> list[Mistake]:
    """Make variants of all files.

    Args:
        bench: The project.
        most: Of one way in one file.
    """
    chance = random.Random(5)
    made = []
    for file in bench.files:
        for way in _WAYS:
            found = list(way(file))
            made += chance.sample(found, min(most, len(found)))
    return made
