"""By which keys an event finds those who wait for it: a path that `match` compares with something, and the value there.

A wait is kept under one key for each event name, that of its first equality; an event carries the keys of all paths by
which a live version waits for events of its name, and one that every event of the name has, for waits without a path.
Whoever is found has the last word: the whole `match` is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from flowlang.expr import Equality, compile_expression, equalities, index_key, key_at
from flowlang.plan import Awaited, Plan, WaitFor

#: Hashes a user's key: what it is for, whose it is, its text.
KeyHash = Callable[[str, str, str], str]

#: The path of waits for any event of a name.
ANY: tuple[str, ...] = ()


@lru_cache(maxsize=4_096)
def indexed_part(match: str) -> Equality | None:
    """The part of a condition that an index answers.

    Args:
        match: An expression over `incoming`.

    Returns:
        Its first equality with a field of `incoming`; None where there is none.
    """
    parts = equalities(compile_expression(match)).parts
    return parts[0] if parts else None


def awaited_by(plan: Plan) -> Iterator[Awaited]:
    """Tell for which events, by which paths, runs of a plan may wait.

    Args:
        plan: Any plan.

    Yields:
        Names or patterns with a path each; the same may come twice.
    """
    waits = [(step.verb.events, step.verb.match) for step in plan.steps if isinstance(step.verb, WaitFor)]
    for events, match in (*waits, *((each.events, each.match) for each in plan.cancel_on)):
        part = indexed_part(match)
        for event in events:
            yield Awaited(event, ANY if part is None else part.path)


def wait_keys(events: Iterable[str], match: str, names: Mapping[str, Any], key_hash: KeyHash) -> tuple[str, ...]:
    """Make the keys under which a wait is kept.

    Args:
        events: Names or patterns.
        match: Its condition.
        names: What the condition may read but `incoming`.
        key_hash: Hashes keys.

    Returns:
        A key for each event.

    Raises:
        EvaluationError: What `incoming` is compared with has no value.
    """
    part = indexed_part(match)
    value = None if part is None else index_key(part.other.evaluate(names))
    path = ANY if part is None or value is None else part.path
    return tuple(_key(event, path, value, key_hash) for event in dict.fromkeys(events))


class AwaitedEvents:
    """For which events somebody may wait, of all live versions.

    Args:
        awaited: Names or patterns with their paths.
    """

    def __init__(self, awaited: Iterable[Awaited]) -> None:
        self._paths: dict[str, list[tuple[str, ...]]] = {}
        for each in awaited:
            paths = self._paths.setdefault(each.event, [ANY])
            if each.path not in paths:
                paths.append(each.path)

    def any_for(self, name: str) -> bool:
        """Whether somebody may wait for an event of this name."""
        return bool(self._paths) and any(pattern in self._paths for pattern in _patterns(name))

    def keys(self, event: Mapping[str, Any], key_hash: KeyHash) -> tuple[str, ...]:
        """Make the keys that an event carries.

        Args:
            event: As expressions see it.
            key_hash: Hashes keys.

        Returns:
            None at all when nobody may wait for it.
        """
        name = event["name"]
        found = []
        for pattern in _patterns(name):
            for path in self._paths.get(pattern, ()):
                value = key_at(event, path) if path else None
                if value is not None or not path:
                    found.append(_key(pattern, path, value, key_hash))
        return tuple(found)


def _patterns(name: str) -> tuple[str, str]:
    """What may stand for an event in a wait: its name, or all that lies beside it."""
    return name, f"{name.rpartition('/')[0]}/*"


def _key(pattern: str, path: tuple[str, ...], value: bytes | None, key_hash: KeyHash) -> str:
    at = "" if value is None else "\n".join([*path, value.hex()])
    return key_hash("wait", pattern, at)
