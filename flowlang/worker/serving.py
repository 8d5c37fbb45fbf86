"""What this process can serve: which versions it runs, which it leaves to others, and why.

A version that calls a handler which is not here, or not with these arguments, or whose plan is of another release, is
**refused**. One whose handlers have changed since it was deployed is **deferred**: workers that have them as they were
take its runs while there are any, so that in a rolling deploy old runs stay with old workers and new ones with new.
Handler code is not pinned: when the last such worker has gone, the others take them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from flowlang.engine.program import Program
from flowlang.errors import DefinitionError, StoreError
from flowlang.handler.definition import HandlerDefinition
from flowlang.handler.registry import Registry
from flowlang.plan import Plan, PlanFormatError, Uses, calls
from flowlang.service.answers import NotDeployedError

log = logging.getLogger(__name__)


class Verdict(msgspec.Struct, frozen=True):
    """Whether a version is for this process; `why` not, for people."""

    kind: Literal["serves", "defers", "refuses"]
    why: str = ""


SERVES = Verdict("serves")


class Serving:
    """Judges versions, each once. Thread-safe.

    Args:
        program: The compiled plan of a version.
        registry: Handlers of this process.
    """

    def __init__(self, program: Callable[[str], Program], registry: Registry) -> None:
        self._program = program
        self._registry = registry
        self._lock = threading.Lock()
        self._verdicts: dict[str, Verdict] = {}
        self._declined: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    def verdict(self, version: str) -> Verdict:
        """Judge a version.

        Raises:
            StoreError: when its plan has to be read and the store does not answer.
        """
        known = self._verdicts.get(version)
        return self._judge(version) if known is None else known

    def declined(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The versions that are refused, and those that are deferred, as far as they are known."""
        return self._declined

    def review(self, active: Iterable[str]) -> None:
        """Judge the versions of a new manifest before their runs come, and those anew that had been declined.

        What cannot be read now is judged when a run of it comes.
        """
        for version in {*active, *self._declined[0], *self._declined[1]}:
            with contextlib.suppress(StoreError, LookupError):
                self._judge(version)

    def _judge(self, version: str) -> Verdict:
        try:
            plan = self._program(version).plan
        except (NotDeployedError, PlanFormatError) as error:
            pipeline, found = "?", Verdict("refuses", str(error))
        else:
            pipeline, found = plan.pipeline, judge(plan, self._registry)
        with self._lock:
            if found != self._verdicts.get(version, SERVES):
                log.warning("%s runs of %s, version %s: %s", found.kind, pipeline, version[:12], found.why)
            self._verdicts[version] = found
            kinds = {kind: sorted(v for v, each in self._verdicts.items() if each.kind == kind) for kind in _DECLINED}
            self._declined = (tuple(kinds["refuses"]), tuple(kinds["defers"]))
        return found


_DECLINED = ("refuses", "defers")


def judge(plan: Plan, registry: Registry) -> Verdict:
    """Compare what a plan calls with the handlers that there are."""
    for call in calls(plan):
        definition = registry.get(call.handler)
        if definition is None:
            return Verdict("refuses", f"there is no handler {call.handler!r} in this process")
        if misfit := _misfit(definition, call):
            return Verdict("refuses", f"the handler {call.handler!r} {misfit}")
    changed = [name for name, digest in plan.handlers.items() if _digest(registry[name]) not in {digest, None}]
    if changed:
        return Verdict("defers", f"the handler {changed[0]!r} has another signature than the version was checked with")
    return SERVES


def _misfit(definition: HandlerDefinition, call: Uses) -> str:
    """Say which argument does not fit; what cannot be known here the call itself will say."""
    try:
        parameters = {parameter.name: parameter for parameter in definition.arguments}
    except DefinitionError:
        return ""
    if definition.extra_param is None and (unknown := sorted(call.arguments.keys() - parameters.keys())):
        return f"takes no argument {unknown[0]!r}"
    required = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    if missing := sorted(required - call.arguments.keys()):
        return f"needs the argument {missing[0]!r}"
    return ""


def _digest(definition: HandlerDefinition) -> str | None:
    try:
        return definition.signature().digest
    except DefinitionError:
        return None
