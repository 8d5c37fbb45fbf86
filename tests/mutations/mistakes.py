"""The kinds of mistakes: each finds the places of a file where it can be made.

A kind yields only what is a mistake: a name that nobody reads may be called anything. What the checker is not told (an
event without a schema, a handler that returns `dict[str, Any]`) is left to the report, which names what was missed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flowlang.handler.signature import Signature
from flowlang.model.yaml_nodes import Scalar
from tests.mutations.written import Edit, Mistake, Written, is_expression, typo


@dataclass(frozen=True, slots=True)
class Known:
    """What the project has, so that a mistake is one.

    Attributes:
        signatures: Handlers by name.
        schemas: Event schemas by event.
        pipelines: Names of the pipelines.
    """

    signatures: Mapping[str, Signature]
    schemas: Mapping[str, Any]
    pipelines: frozenset[str]


Kind = Callable[[Written, Known, random.Random], Iterator[Mistake]]
_DURATION = re.compile(r"(?:[0-9]+(?:ms|s|m|h|d|w))+")
_FUNCTION = re.compile(
    r"(?<![\w'])(size|filter|map|exists|all|contains|orValue|has|matches|join|string|sum|split|distinct)\("
)
_GUARD = re.compile(r"\.\?([a-z_]+)\.orValue\([^()]*\)")
_CLASSES = ("transient", "resource", "permanent", "timeout")


def misspelt_key(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    for path, entry, own in file.entries():
        if not own:
            wrong = typo(entry.key.text, chance)
            also = [file.document.span_at(path[:-1]).start] if len(path) > 1 else []
            yield file.mistake("misspelt key", f"{entry.key.text} → {wrong}", _at(entry.key, wrong), also=also)


def misspelt_step_id(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    ids = [step.id for step in file.steps if step.id]
    for step in file.steps:
        readers = file.uses_of("steps", step.id) if step.id else []
        if step.id and readers:
            node = file.document.node_at((*step.path, "id"))
            assert isinstance(node, Scalar)
            wrong = typo(step.id, chance, ids)
            yield file.mistake("misspelt step id", f"{step.id} → {wrong}", _at(node, wrong), also=readers)


def misspelt_reference(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A segment of a path: the root, a step, a var, a field."""
    roots = {step.foreach.as_ for step in file.steps if step.foreach is not None}
    for placed in file.expressions:
        for reference in placed.expression.references:
            for number, name in enumerate(reference.path):
                if reference.path[0] in {"secrets", "env", "headers"}:
                    continue
                kind = "misspelt root name" if number == 0 else "misspelt field"
                if reference.path[0] in {"steps", "vars"} and number == 1:
                    kind = f"misspelt {reference.path[0][:-1]}"
                if reference.path[0] in roots and number:
                    kind = "misspelt field of an item"
                start, end = file.part(placed, *reference.spans[number])
                if file.text[start:end] == name:
                    wrong = typo(name, chance)
                    yield file.mistake(kind, f"{'.'.join(reference.path)}: {wrong}", Edit(start, end, wrong))


def misspelt_function(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    for placed in file.expressions:
        for match in _FUNCTION.finditer(placed.expression.text):
            start, end = file.part(placed, match.start(1), match.end(1))
            wrong = typo(match[1], chance)
            yield file.mistake("misspelt function", f"{match[1]} → {wrong}", Edit(start, end, wrong))


def broken_syntax(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """One sign too few or another language's."""
    for placed in file.expressions:
        text = placed.expression.text
        for wanted, wrong in (("==", "="), ("&&", "and"), ("||", "or"), (")", ""), ("'", ""), ("(", "")):
            at = text.find(wanted)
            if at >= 0 and not is_expression(text[:at] + wrong + text[at + len(wanted) :]):
                start, end = file.part(placed, at, at + len(wanted))
                what = f"{wanted} → {wrong or 'nothing'}"
                whole = file.part(placed, 0, len(text))
                if end - start == len(wanted):
                    yield file.mistake("broken expression", what, Edit(start, end, wrong), also=whole)


def broken_braces(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    for placed in file.expressions:
        if placed.bare:
            continue
        start, end = file.part(placed, 0, len(placed.expression.text))
        if file.text[end : end + 3] == " }}":
            yield file.mistake("unclosed braces", "}} → }", Edit(end, end + 3, " }"))
        if file.text[start - 4 : start] == "${{ ":
            yield file.mistake("braces of another tool", "${{ → {{", Edit(start - 4, start, "{{ "))
        text, node = placed.expression.text, file.document.node_at(placed.path)
        whole = isinstance(node, Scalar) and node.text == f"${{{{ {text} }}}}"
        if whole and re.fullmatch(r"[a-z]\w*(\.\w+)+", text) and file.text[start - 4 : start] == "${{ ":
            yield file.mistake("path without braces", text, Edit(start - 4, end + 3, text))


def wrong_literal(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A text in a comparison that the other side never has."""
    for placed in file.expressions:
        for match in re.finditer(r"(\w+) [=!]= '([a-z_]{3,})'", placed.expression.text):
            start, end = file.part(placed, match.start(2), match.end(2))
            wrong = typo(match[2], chance)
            yield file.mistake("misspelt text in a comparison", f"{match[1]}: {wrong}", Edit(start, end, wrong))


def wrong_operand(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A text where a number or list is computed with, and a condition that is none."""
    for placed in file.expressions:
        text = placed.expression.text
        for match in re.finditer(r" (?:>|<|>=|<=|\+) ([0-9]+)$", text):
            start, end = file.part(placed, match.start(1), match.end(1))
            yield file.mistake(
                "text for a number", text, Edit(start, end, "'x'" if file.text[start - 1] != "'" else "[]")
            )
        if placed.path[-1] in {"if", "until"} and placed.path[-1:] != ("match",):
            start, end = file.part(placed, 0, len(text))
            if file.text[start:end] == text:
                yield file.mistake("condition that is none", text, Edit(start, end, "run.id"))
        if placed.path[-2:] == ("foreach", "in"):
            start, end = file.part(placed, 0, len(text))
            if file.text[start:end] == text:
                yield file.mistake("loop over no list", text, Edit(start, end, "run.id"))


def broken_regex(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    for placed in file.expressions:
        at = placed.expression.text.find("matches('")
        if at >= 0:
            start, _ = file.part(placed, at + 9, at + 10)
            yield file.mistake("broken regex", "a bracket too many", Edit(start, start, "("))


def unknown_name(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """Handlers, events, pipelines, policies, classes."""
    for path, node, own in file.scalars():
        if own or not isinstance(node.value, str) or "${{" in node.text:
            continue
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        named: tuple[str, tuple[str, ...]] | None = None
        if key == "uses":
            named = "misspelt handler", tuple(known.signatures)
        elif key in {"event", "emit"} and (node.value in known.schemas or node.value.startswith("pipeline/")):
            named = "misspelt event", tuple(known.schemas)
        elif key in {"invoke", "pipeline"} and path != ("pipeline",):
            named = "misspelt pipeline", tuple(known.pipelines)
        elif key == "retry":
            named = "misspelt retry policy", ()
        elif key == "errors" and node.value in _CLASSES:
            named = "misspelt error class", _CLASSES
        if named is not None:
            wrong = typo(node.text, chance, named[1])
            yield file.mistake(named[0], f"{node.text} → {wrong}", _at(node, wrong))


def broken_value(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """Durations, schedules, zones, counts, choices."""
    for path, node, own in file.scalars():
        if own:
            continue
        text, key = node.text, path[-1]
        if _DURATION.fullmatch(text) and key not in {"id", "uses"}:
            for wrong in (text[:-1], f"{text[:-1]} days", f"P{text.upper()}", f"{text}x"):
                yield file.mistake("broken duration", f"{text} → {wrong}", _at(node, wrong))
        if "cron" in path:
            fields = text.split()
            for wrong in (" ".join(fields[1:]), " ".join(["61", *fields[1:]]), " ".join([*fields[:4], "MOO"])):
                yield file.mistake("broken cron", wrong, _at(node, f'"{wrong}"'))
        if key == "timezone":
            yield file.mistake("broken time zone", text, _at(node, typo(text, chance)))
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            for wrong in ("many", "-1", "[1]"):
                yield file.mistake("broken number", f"{key}: {wrong}", _at(node, wrong))
        if isinstance(node.value, bool):
            yield file.mistake("broken boolean", f"{key}: yes", _at(node, "yes"))
        if key in {"on_limit", "hold", "scope", "missed", "since", "class", "jitter"}:
            yield file.mistake("misspelt choice", f"{key}: {text}", _at(node, typo(text, chance)))


def wrong_arguments(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """Arguments of handlers, data of events: renamed, removed, of another type."""
    for step in file.steps:
        if not isinstance(step.with_, dict):
            continue
        required, types = _wanted(step, known)
        verb = (*step.path, step.verb)
        place = file.document.span_at(verb, key=True).start, file.document.span_at(verb).start
        whole = file.document.span_at((*step.path, "with"), key=True).start
        for name in step.with_:
            path = (*step.path, "with", name)
            key, node = file.document.span_at(path, key=True), file.document.node_at(path)
            if name in types and not name.startswith("<<"):
                wrong = typo(name, chance, types)
                yield file.mistake(
                    f"misspelt argument of {step.verb}", wrong, Edit(key.start, key.end, wrong), also=place
                )
            if name in required:
                yield _removed(file, f"removed argument of {step.verb}", name, step.path, also=(*place, whole))
            if isinstance(node, Scalar) and types.get(name) in {"text", "number", "bool", "list"}:
                for kind, wrong in (("text", "abc"), ("number", "7"), ("list", "[1, 2]"), ("map", "{a: b}")):
                    if kind != types[name]:
                        what = f"{name}: {wrong}"
                        yield file.mistake(f"{kind} for {types[name]} in {step.verb}", what, _at(node, wrong))
                if types[name] != "number":
                    what = f"{name}: computed"
                    yield file.mistake(
                        f"computed number for {types[name]} in {step.verb}", what, _at(node, '"${{ run.id.size() }}"')
                    )


def _wanted(step: Any, known: Known) -> tuple[set[str], dict[str, str]]:
    """Which arguments a call needs, and which it takes with what kind of value."""
    if step.uses is not None and step.uses in known.signatures:
        signature = known.signatures[step.uses]
        names = {"str": "text", "int": "number", "bool": "bool", "list[str]": "list"}
        types = {param.name: names.get(param.annotation_text or "", "") for param in signature.params}
        return {param.name for param in signature.params if param.required}, types
    if step.emit is not None and step.emit.event in known.schemas:
        schema = known.schemas[step.emit.event]
        kinds = {"string": "text", "integer": "number", "number": "number", "boolean": "bool", "array": "list"}
        fields = {name: kinds.get(each.get("type", ""), "") for name, each in schema.get("properties", {}).items()}
        return set(schema.get("required", ())), fields if schema.get("additionalProperties") is False else {}
    return set(), {}


def wrong_choice(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A literal argument that the handler's hint or the event's schema does not list."""
    for step in file.steps:
        for name, value in step.with_.items() if isinstance(step.with_, dict) else ():
            signature = known.signatures.get(step.uses or "")
            param = None if signature is None else signature.param(name)
            node = file.document.node_at((*step.path, "with", name))
            if param is None or not isinstance(node, Scalar):
                continue
            if (param.annotation_text or "").startswith("Literal") and isinstance(value, str):
                yield file.mistake("misspelt choice of a handler", value, _at(node, typo(value, chance)))
            if "Field(" in (param.annotation_text or ""):
                yield file.mistake("number out of bounds", name, _at(node, "100000"))


def swapped_steps(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A step before the one whose output it reads."""
    for step in file.steps:
        *block, place = step.path
        if not isinstance(place, int) or place == 0:
            continue
        before = next((other for other in file.steps if other.path == (*block, place - 1)), None)
        if before is None or before.id is None or block[-1] in {"parallel", "race", "switch"}:
            continue
        (first, middle), (again, end) = file.stretch(before), file.stretch(step)
        inside = [at for at in file.uses_of("steps", before.id) if again <= at < end]
        if again != middle or not inside:
            continue
        moved = file.text[again:end] + file.text[first:middle]
        mistake = file.mistake(
            "swapped steps", f"{step.id or step.verb} before {before.id}", Edit(first, end, moved), within=False
        )
        lines = {mistake.text.count("\n", 0, at - again + first) + 1 for at in inside}
        yield Mistake(mistake.kind, mistake.path, mistake.what, mistake.text, frozenset(lines))


def dropped_guard(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    for step in file.steps:
        if step.if_ is None:
            continue
        text = step.if_.text
        guards = re.findall(r"(?<!!)has\(([\w.]+)\)", text) + re.findall(r"([\w.]+) != null", text)
        start, end = file.stretch(step)
        inside = [
            file.part(placed, *reference.spans[-1])[0]
            for placed in file.expressions
            for reference in placed.expression.references
            if any(".".join(reference.path).startswith(guard) for guard in guards)
        ]
        inside = [at for at in inside if start <= at < end and placed_outside(file, at, step)]
        if guards and inside:
            yield _removed(file, "dropped guard", text, (*step.path,), key="if", also=inside)
    for placed in file.expressions:
        for match in _GUARD.finditer(placed.expression.text):
            start, end = file.part(placed, match.start(), match.end())
            yield file.mistake("dropped .?", match[0], Edit(start, end, f".{match[1]}"))


def placed_outside(file: Written, offset: int, step: Any) -> bool:
    """Whether a place is not in the step's own condition."""
    span = file.document.span_at((*step.path, "if"))
    return not span.start <= offset <= span.end


def added_condition(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A step whose output is read may now be skipped, or may fail and be passed over."""
    for step in file.steps:
        if step.id is None or step.verb not in {"uses", "set", "wait_for", "invoke", "switch"}:
            continue
        own = file.stretch(step)
        readers = [at for at in file.unguarded(step.id) if not own[0] <= at < own[1]]
        signature = known.signatures.get(step.uses or "")
        if not readers or (signature is not None and "None" in (signature.returns or "")):
            continue
        at = file.document.span_at((*step.path, "id"), key=True).start
        flow = file.text[at - 1] == "{"
        indent = ", " if flow else "\n" + " " * (at - file.text.rfind("\n", 0, at) - 1)
        for kind, line in (
            ("step that may be skipped", "if: run.pipeline == 'x'"),
            ("step whose failure is tolerated", "tolerate: true"),
        ):
            if not step.has(line.partition(":")[0]) and (step.foreach is None or "if" in line):
                yield file.mistake(kind, step.id, Edit(at, at, line + indent), also=readers, within=False)


def renamed_result(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A value of `set`, `collect`, `output` or `vars` under another name than it is read by."""
    for step in file.steps:
        for key in ("set", "collect", "output"):
            values = getattr(step, key, None)
            for name in values if step.id and isinstance(values, dict) else ():
                readers = file.uses_of("steps", step.id or "", "output", name)
                span = file.document.span_at((*step.path, key, name), key=True)
                if readers:
                    wrong = typo(name, chance, values or ())
                    yield file.mistake(
                        f"renamed in {key}", f"{name} → {wrong}", Edit(span.start, span.end, wrong), also=readers
                    )
        if step.foreach is not None and file.document.resolve((*step.path, "foreach", "as"))[-1] == "as":
            node = file.document.node_at((*step.path, "foreach", "as"))
            readers = file.uses_of(step.foreach.as_)
            if isinstance(node, Scalar) and readers:
                yield file.mistake("renamed item", node.text, _at(node, typo(node.text, chance)), also=readers)
    for name in file.pipeline.vars:
        span = file.document.span_at(("vars", name), key=True)
        readers = file.uses_of("vars", name)
        if readers:
            yield file.mistake("renamed var", name, Edit(span.start, span.end, typo(name, chance)), also=readers)


def removed_key(file: Written, known: Known, chance: random.Random) -> Iterator[Mistake]:
    """A key that the language requires, or a second one of the same name."""
    for path, entry, own in file.entries():
        key = entry.key.text
        if own or not isinstance(entry.value, Scalar):
            continue
        if path[-1] == "id" or (len(path) == 1 and key in {"flowlang", "pipeline"}):
            line = file.text[entry.key.start : entry.value.end]
            flow = file.text[file.text.rfind("\n", 0, entry.key.start) + 1 : entry.key.start].strip().startswith("- {")
            gap = ", " if flow else "\n" + " " * (entry.key.start - file.text.rfind("\n", 0, entry.key.start) - 1)
            yield file.mistake(
                "key twice", key, Edit(entry.key.start, entry.key.start, line + gap), also=(entry.key.start,)
            )
        if key in {"uses", "until", "match"}:
            parent = file.document.span_at(path[:-1]).start
            yield file.mistake(
                "value left out", key, Edit(entry.value.start, entry.value.end, ""), also=(parent, entry.key.start)
            )
        if key == "uses":
            yield file.mistake(
                "two verbs",
                key,
                Edit(entry.key.start, entry.key.start, _line(file, entry.key.start, "stop: 1")),
                also=(entry.key.start,),
            )


def _line(file: Written, at: int, text: str) -> str:
    start = file.text.rfind("\n", 0, at) + 1
    flow = "{" in file.text[start:at]
    return f"{text}, " if flow else text + "\n" + " " * (at - start)


def _removed(
    file: Written, kind: str, what: str, path: Any, *, also: tuple[int, ...] | list[int], key: str | None = None
) -> Mistake:
    """Take a key with its value out of a map; the right places are others."""
    at = (*path, key) if key is not None else (*path, "with", what)
    start = file.document.span_at(at, key=True).start
    node = file.document.node_at(at)
    end = node.end
    line = file.text.rfind("\n", 0, start) + 1
    before = file.text[line:start]
    if before.isspace() and not before.endswith("- "):
        stop = file.text.find("\n", end - 1 if file.text[end - 1] == "\n" else end) + 1 or len(file.text)
        return file.mistake(kind, what, Edit(line, stop, ""), also=also, within=False)
    rest = re.compile(r"(,?\s*)").match(file.text, end)
    assert rest is not None
    edit = Edit(start, rest.end() if rest[0].startswith(",") or before.endswith("- ") else end, "")
    if not rest[0].startswith(",") and not before.endswith("- "):
        edit = Edit(file.text.rfind(",", 0, start) if file.text[:start].rstrip().endswith(",") else start, end, "")
    return file.mistake(kind, what, edit, also=also, within=False)


def _at(node: Scalar, text: str) -> Edit:
    return Edit(node.start, node.end, text)


KINDS: Final[tuple[Kind, ...]] = (
    misspelt_key, misspelt_step_id, misspelt_reference, misspelt_function, broken_syntax, broken_braces, wrong_literal,
    wrong_operand, broken_regex, unknown_name, broken_value, wrong_arguments, wrong_choice, swapped_steps, dropped_guard,
    added_condition, renamed_result, removed_key,
)  # fmt: skip
