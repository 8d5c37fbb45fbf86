"""Errors that nobody handles although it looks so: arms that nothing comes to, and errors that are swallowed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from flowlang.compiler.expressions import Read
from flowlang.compiler.standing import standings, within
from flowlang.compiler.subject import Subject
from flowlang.diagnostics import Label, Severity
from flowlang.model import Path, Step
from flowlang.model.step import CatchArm

#: The classes with which steps of these verbs can fail; others call code that may fail with any.
_CLASSES_OF = {
    "wait_for": frozenset({"permanent", "timeout"}),
    "sleep": frozenset({"permanent"}),
    "set": frozenset({"permanent"}),
    "emit": frozenset({"permanent"}),
}

_CLASSES = frozenset({"transient", "resource", "permanent", "bug", "timeout"})

#: Verbs that keep what happened inside the run.
_SILENT = frozenset({"set", "stop", "sleep", "steps", "parallel", "switch"})


def catch_findings(subject: Subject) -> None:
    """Report dead arms and swallowed errors.

    Args:
        subject: The pipeline.
    """
    for standing in standings(subject.pipeline):
        step = standing.step
        _dead_arms(subject, step)
        for arm in step.catch:
            _swallowed(subject, step, arm)
        _tolerated(subject, step)


def _dead_arms(subject: Subject, step: Step) -> None:
    taken: dict[str, Path] = {}
    possible = None
    if step.foreach is None and step.repeat is None:
        possible = _CLASSES_OF.get(step.verb)
    for arm in step.catch:
        alive = [name for name in arm.errors if _taken_by(name, taken) is None]
        if not alive:
            first = _taken_by(arm.errors[0], taken)
            assert first is not None
            label = Label(subject.findings.span(first), "taken here")
            _report(
                subject, arm, "earlier arms take all errors of this one", "the first arm that fits is taken", [label]
            )
        elif possible is not None and not _can_occur(alive, possible):
            listed = " and ".join(f"`{name}`" for name in sorted(possible))
            _report(
                subject,
                arm,
                f"no error of this arm comes from a `{step.verb}`",
                f"it fails with the class {listed}" if len(possible) == 1 else f"it fails with the classes {listed}",
                [],
            )
        for number, name in enumerate(arm.errors):
            at: Path = (*arm.path, "errors", number) if len(arm.errors) > 1 else (*arm.path, "errors")
            taken.setdefault(name, at if arm.has("errors") else arm.path)


def _taken_by(name: str, taken: dict[str, Path]) -> Path | None:
    """Where an earlier arm takes an error; that of a code, its class does not say."""
    for pattern, path in taken.items():
        if pattern in {"all", name} or (pattern.endswith(".*") and name.startswith(pattern[:-1])):
            return path
    return None


def _can_occur(errors: Collection[str], possible: Collection[str]) -> bool:
    return any(name == "all" or name not in _CLASSES or name in possible for name in errors)


def _report(subject: Subject, arm: CatchArm, message: str, hint: str, labels: Sequence[Label]) -> None:
    path = (*arm.path, "errors") if arm.has("errors") else (*arm.path, "steps")
    key = not arm.has("errors")
    subject.findings.at(path, "FL506", message, key=key, severity=Severity.WARNING, hint=hint, labels=labels)


# Swallowed errors -----------------------------------------------------------------------------------------------------


def _swallowed(subject: Subject, step: Step, arm: CatchArm) -> None:
    """Report an arm that takes any error, bugs too, and tells nobody."""
    if not {"all", "bug"} & set(arm.errors) or arm.has("output"):
        return
    steps = [inner for child in arm.steps for inner in within(child)]
    if any(inner.verb not in _SILENT or (inner.verb == "stop" and inner.stop is not None) for inner in steps):
        return
    own = {inner.id for inner in steps}  # a `set` whose values are read later stands in for what failed
    inside = {inner.id for inner in within(step)}  # how they ended says what failed
    for read in subject.checker.reads:
        in_arm = read.path[: len(arm.path)] == arm.path
        if _reads_error(read, arm.path, step) or _reads_one(read, inside if in_arm else own):
            return
    subject.findings.at(
        (*arm.path, "errors") if arm.has("errors") else (*arm.path, "steps"),
        "FL501",
        "this swallows every error: nothing is told, and nobody reads `error` or the step's status",
        key=True,
        severity=Severity.WARNING,
        hint="name the errors that are no trouble, call a handler that tells somebody, or give an `output`",
    )


def _reads_error(read: Read, arm: Path, step: Step) -> bool:
    path = read.reading.path
    inside = read.path[: len(arm)] == arm
    return (inside and path[0] == "error") or (path[:2] == ("steps", step.id) and _of_ending(path))


def _reads_one(read: Read, steps: Collection[str | None]) -> bool:
    path = read.reading.path
    return path[0] == "steps" and len(path) > 1 and path[1] in steps


def _of_ending(path: tuple[str, ...]) -> bool:
    return len(path) < 3 or path[2] in {"status", "error", "output"}


def _tolerated(subject: Subject, step: Step) -> None:
    """Report a loop all of whose items may fail without anybody knowing."""
    tolerate = step.tolerate
    if tolerate is None or tolerate.failed is not None or tolerate.errors or step.foreach is None:
        return
    if any(step.id is not None and _reads_items(read, step) for read in subject.checker.reads):
        return
    if any(_tells(child) for child in _bodies(step)):
        return
    subject.findings.at(
        (*step.path, "tolerate"),
        "FL501",
        "all items may fail, and nobody knows: nothing reads how they ended",
        key=True,
        severity=Severity.WARNING,
        hint="bound it, such as `tolerate: {failed: 10%}`, or read the items' status in `collect`",
    )


def _reads_items(read: Read, step: Step) -> bool:
    path = read.reading.path
    own = read.path[: len(step.path) + 1] == (*step.path, "collect")
    return (own and path[0] == "results") or (path[:2] == ("steps", step.id) and _of_ending(path))


def _bodies(step: Step) -> Iterator[Step]:
    """The steps that handle what happens in an item."""
    for arm in step.catch:
        yield from arm.steps
    yield from step.finally_
    for child in (*(step.steps or ()), *(step.parallel or ()), *(step.race or ()), *(step.switch or ())):
        for inner in within(child):
            for arm in inner.catch:
                yield from arm.steps


def _tells(step: Step) -> bool:
    return any(inner.verb not in _SILENT for inner in within(step))
