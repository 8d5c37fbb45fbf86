"""Which verbs a step can have, and which modifiers each of them takes: the table of the language, as data."""

from __future__ import annotations

from typing import Final

VERBS: Final = (
    "uses",
    "invoke",
    "emit",
    "wait_for",
    "sleep",
    "set",
    "steps",
    "parallel",
    "race",
    "switch",
    "stop",
    "fail",
)

#: Verbs whose value is a list of steps.
CONTAINERS: Final = ("steps", "parallel", "race", "switch")

#: Verbs that need no `id`: nothing of them is worth a name.
WITHOUT_ID: Final = frozenset({"emit", "sleep", "stop", "fail"})

_ALL: Final = frozenset(VERBS)
_NOT_ENDING: Final = _ALL - {"stop", "fail"}
_CONTAINERS: Final = frozenset(CONTAINERS)

#: Key → the verbs that take it.
TAKEN_BY: Final[dict[str, frozenset[str]]] = {
    "id": _ALL,
    "with": frozenset({"uses", "invoke", "emit"}),
    "output": _CONTAINERS,
    "needs": _ALL,
    "if": _ALL,
    "foreach": _NOT_ENDING,
    "repeat": _NOT_ENDING,
    "collect": _NOT_ENDING,
    "tolerate": _NOT_ENDING,
    "cache": frozenset({"uses", "invoke"}),
    "catch": _ALL,
    "finally": _ALL,
    "queue": frozenset({"uses"}),
    "concurrency": frozenset({"uses"}),
    "throttle": frozenset({"uses", "invoke"}),
    "retry": frozenset({"uses"}) | _CONTAINERS,
    "timeout": frozenset({"uses", "invoke", "wait_for"}) | _CONTAINERS,
    "undo": frozenset({"uses", "invoke"}),
}


def verbs_taking(key: str) -> str:
    """The verbs that take a key, in the words of a message."""
    verbs = TAKEN_BY[key]
    if verbs == _NOT_ENDING:
        return "all verbs but `stop` and `fail`"
    named = [f"`{verb}`" for verb in VERBS if verb in verbs and verb not in _CONTAINERS]
    if verbs >= _CONTAINERS:
        named.append("containers (" + " ".join(f"`{verb}`" for verb in CONTAINERS) + ")")
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
