"""Which keys of a step go together: one verb, the modifiers that it takes, ids where they are needed, each id once.

Works on the data as it is written, so that one misspelt value does not hide what else is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from flowlang.diagnostics import Diagnostic, Label
from flowlang.model.base import listed
from flowlang.model.expression import has_template
from flowlang.model.step import Repeat, Step
from flowlang.model.verbs import CONTAINERS, TAKEN_BY, VERBS, WITHOUT_ID, verbs_taking
from flowlang.model.yaml_nodes import Path, YamlDocument
from flowlang.source import Span

_STEP_KEYS: Final = frozenset(Step.keys())
_REPEAT_KEYS: Final = frozenset(Repeat.keys())
_WITHOUT_KEYS: Final = _STEP_KEYS - set(TAKEN_BY) - set(VERBS)
assert not _WITHOUT_KEYS, f"keys of a step without a rule: {_WITHOUT_KEYS}"


@dataclass(frozen=True, slots=True)
class _Written:
    """A step as it is written.

    Args:
        document: Its document, for places.
        data: Its keys and values.
        path: Where it stands.
        parent: The key of the list that it stands in, such as `parallel`.
        loops: `as` names of the loops around it, each with the place of the `foreach`.
    """

    document: YamlDocument
    data: dict[str, Any]
    path: Path
    parent: str
    loops: tuple[tuple[str, Path], ...]

    @property
    def verbs(self) -> list[str]:
        """The verbs that are written, in the order of the file."""
        return [key for key in self.data if key in VERBS]

    @property
    def misspelt(self) -> bool:
        """Whether it has a key that steps do not have: what seems to be missing may be that."""
        return not set(self.data) <= _STEP_KEYS

    def at(self, *path: str | int) -> Span:
        """Where a key of the step is written; without one, where the step begins."""
        return self.document.span_at((*self.path, *path), key=True)


def step_findings(document: YamlDocument, data: dict[str, Any]) -> list[Diagnostic]:
    """Everything that is wrong with the shape of a pipeline's steps.

    Args:
        document: The pipeline's document, for places.
        data: Its data.
    """
    found: list[Diagnostic] = []
    first_by_id: dict[str, Path] = {}
    for key in ("steps", "on_failure"):
        for step in _walk(document, data.get(key), (key,), key, ()):
            for rule in _RULES:
                found += rule(step)
            found += _unique_id(step, first_by_id)
    return found


def _walk(
    document: YamlDocument, steps: Any, path: Path, parent: str, loops: tuple[tuple[str, Path], ...]
) -> Iterator[_Written]:
    """Every step of a list, and those inside of it."""
    for index, data in enumerate(steps if isinstance(steps, list) else ()):
        if not isinstance(data, dict):
            continue
        step = _Written(document, data, (*path, index), parent, loops)
        yield step
        inner = loops
        if isinstance(data.get("foreach"), dict):
            inner = (*loops, (str(data["foreach"].get("as", "item")), (*step.path, "foreach")))
        for key in CONTAINERS:
            yield from _walk(document, data.get(key), (*step.path, key), key, inner)
        yield from _walk(document, data.get("finally"), (*step.path, "finally"), "finally", inner)
        catch = data.get("catch")
        listed_arms = catch if isinstance(catch, list) else ()
        arms = [((), catch)] if isinstance(catch, dict) else [((n,), arm) for n, arm in enumerate(listed_arms)]
        for number, arm in arms:
            if isinstance(arm, dict):
                yield from _walk(document, arm.get("steps"), (*step.path, "catch", *number, "steps"), "catch", inner)


def _one_verb(step: _Written) -> Iterator[Diagnostic]:
    verbs = step.verbs
    if not verbs and not step.misspelt:  # a misspelt verb is an unknown key, and reported as that
        place = step.at()
        yield Diagnostic("FL106", "this step has no verb", place, hint=f"write one of {listed(VERBS, 'or')}")
    for verb in verbs[1:]:
        labels = (Label(step.at(verbs[0]), "its verb"),)
        place = step.at(verb)
        message = f"a step has one verb, and this one has `{verbs[0]}` and `{verb}`"
        yield Diagnostic("FL107", message, place, hint="make two steps of it", labels=labels)


def _taken(step: _Written) -> Iterator[Diagnostic]:
    """Modifiers that the verb does not take."""
    if len(step.verbs) != 1:
        return
    verb = step.verbs[0]
    for key in step.data:
        if key in TAKEN_BY and verb not in TAKEN_BY[key]:
            hint = "the handler's result is the output" if (key, verb) == ("output", "uses") else None
            message = f"`{key}` does not go with `{verb}`, but with {verbs_taking(key)}"
            yield Diagnostic("FL108", message, step.at(key), hint=hint)
    if verb != "wait_for" and has_template(step.data.get("timeout")) and verb in TAKEN_BY["timeout"]:
        message = f"`timeout` of `{verb}` takes a duration; only that of `wait_for` takes a template"
        yield Diagnostic("FL104", message, step.at("timeout"))


def _in_company(step: _Written) -> Iterator[Diagnostic]:
    """Modifiers that need another one, or a certain parent."""
    data = step.data
    if "needs" in data and step.parent != "parallel":
        hint = "steps of a list run in order anyway" if step.parent == "steps" else None
        yield Diagnostic("FL108", "`needs` goes with the steps of a `parallel`", step.at("needs"), hint=hint)
    if step.misspelt:  # what they need may be the misspelt key
        return
    if "collect" in data and "foreach" not in data and "repeat" not in data:
        yield Diagnostic("FL108", "`collect` goes with `foreach` or `repeat`", step.at("collect"))
    tolerate = data.get("tolerate")
    if isinstance(tolerate, dict) and "failed" in tolerate and ("foreach" not in data or "repeat" in data):
        place = step.at("tolerate", "failed")
        message = "`failed` counts the items of a `foreach`, and this step has none"
        yield Diagnostic("FL120", message, place, hint="`tolerate: true`, or classes and codes of errors")


def _id_where_needed(step: _Written) -> Iterator[Diagnostic]:
    verb = step.verbs[0] if len(step.verbs) == 1 else None
    if verb is not None and verb not in WITHOUT_ID and "id" not in step.data and not step.misspelt:
        hint = f"add `id: …`; only {listed(sorted(WITHOUT_ID))} go without"
        yield Diagnostic("FL109", f"a step with `{verb}` needs an `id`", step.at(verb), hint=hint)


def _loops(step: _Written) -> Iterator[Diagnostic]:
    data = step.data
    if "foreach" in data and "repeat" in data:
        first, second = (key for key in data if key in {"foreach", "repeat"})
        labels = (Label(step.at(first), "the other loop"),)
        place = step.at(second)
        hint = "put one of them on a `steps` around this step"
        yield Diagnostic("FL111", "a step has `foreach` or `repeat`, not both", place, hint=hint, labels=labels)
    repeat = data.get("repeat")
    if isinstance(repeat, dict) and "limit" not in repeat and "for" not in repeat and set(repeat) <= _REPEAT_KEYS:
        hint = "`limit: 100` bounds the rounds, `for: 1h` the time"
        message = "`repeat` needs `limit` or `for`: it would go on without end"
        yield Diagnostic("FL112", message, step.at("repeat"), hint=hint)
    foreach = data.get("foreach")
    if isinstance(foreach, dict):
        yield from _own_name(step, str(foreach.get("as", "item")))


def _own_name(step: _Written, name: str) -> Iterator[Diagnostic]:
    for outer, place in step.loops:
        if outer == name:
            message = f"the loop around this one calls its item `{name}` already"
            labels = (Label(step.document.span_at(place, key=True), "the loop around"),)
            yield Diagnostic(
                "FL105",
                message,
                step.document.span_at((*step.path, "foreach", "as")),
                hint="give this one another name with `as`",
                labels=labels,
            )


def _undo(step: _Written) -> Iterator[Diagnostic]:
    undo = step.data.get("undo")
    if not isinstance(undo, dict):
        return
    written = [key for key in undo if key in {"uses", "invoke"}]
    if not written:
        yield Diagnostic("FL102", "`undo` needs `uses` or `invoke`", step.at("undo"))
    if len(written) > 1:
        place = step.at("undo", written[1])
        labels = (Label(step.at("undo", written[0]), "its verb"),)
        yield Diagnostic("FL107", "`undo` has `uses` or `invoke`, not both", place, labels=labels)


def _unique_id(step: _Written, first_by_id: dict[str, Path]) -> Iterator[Diagnostic]:
    identifier = step.data.get("id")
    if not isinstance(identifier, str):
        return
    path = (*step.path, "id")
    first = first_by_id.setdefault(identifier, path)
    if first != path:
        labels = (Label(step.document.span_at(first), "the first one"),)
        message = f"two steps have the id `{identifier}`: ids are unique in a pipeline"
        yield Diagnostic(
            "FL110", message, step.document.span_at(path), hint="give one of them another id", labels=labels
        )


_RULES: Final[tuple[Callable[[_Written], Iterator[Diagnostic]], ...]] = (
    _one_verb,
    _taken,
    _in_company,
    _id_where_needed,
    _loops,
    _undo,
)
