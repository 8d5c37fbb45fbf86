"""Scripted trouble: the next calls of a route are refused, delayed or cut off.

Owns the script and how it is used up. It leaves carrying a fault out to the server.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with the next calls of a route.

    Args:
        route: Name of a route such as `mux.create_asset`; `*` at the end stands for the rest: `stripe.*`, `*`.
        status: Answer this status and do nothing; 0 leaves the service's own answer.
        times: Number of calls that it meets; 0 for all from now on.
        retry_after: Seconds for the `Retry-After` header of a refusal; None leaves it out.
        delay_ms: Milliseconds that the answer is held back.
        reset: Cut the connection in place of answering.
        after: The service does its work first; with `reset`, a call whose outcome the caller cannot know.
        contains: Only calls whose path or body has this text.
    """

    route: str
    status: int = 0
    times: int = 1
    retry_after: int | None = None
    delay_ms: int = 0
    reset: bool = False
    after: bool = False
    contains: str = ""

    def __post_init__(self) -> None:
        for item in fields(self):
            value, kinds = getattr(self, item.name), _KINDS[str(item.type)]
            if type(value) not in kinds:
                raise TypeError(f"a fault's {item.name} must be {item.type}, not {value!r}")
        if not (self.status or self.delay_ms or self.reset):
            raise ValueError("a fault must have a status, delay_ms or reset")
        if self.status and not 400 <= self.status <= 599:
            raise ValueError(f"a fault's status must be from 400 to 599, not {self.status}")
        if self.status and (self.reset or self.after):
            raise ValueError("a fault with a status neither resets the connection nor does the work")
        if min(self.times, self.delay_ms, self.retry_after or 0) < 0:
            raise ValueError("a fault's times, delay_ms and retry_after must not be negative")

    @classmethod
    def from_json(cls, data: Any) -> Fault:
        """Read a fault from the control endpoint.

        Raises:
            ValueError: when it is no fault; the message says what would be right.
            TypeError: when a field has a value of another type.
        """
        if not isinstance(data, Mapping) or "route" not in data:
            raise ValueError("a fault must be a map with a route")
        unknown = sorted(set(data) - {item.name for item in fields(cls)})
        if unknown:
            raise ValueError(f"a fault has no {', '.join(unknown)}; it has {', '.join(f.name for f in fields(cls))}")
        return cls(**data)

    def to_json(self) -> dict[str, Any]:
        """Return the fault as the control endpoint takes it."""
        return asdict(self)

    def meets(self, route: str, text: str) -> bool:
        """Say whether a call of this route, with this path and body as text, is one of those meant."""
        named = route.startswith(self.route[:-1]) if self.route.endswith("*") else route == self.route
        return named and self.contains in text


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "int | None": (int, type(None)),
}


class FaultScript:
    """The faults still to come, in the order in which they were written. Thread-safe."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._left: list[tuple[Fault, int]] = []
        self.add(faults)

    def add(self, faults: Iterable[Fault]) -> None:
        """Write further faults behind those there are."""
        with self._lock:
            self._left += [(fault, fault.times) for fault in faults]

    def take(self, route: str, text: str) -> Fault | None:
        """Return the first fault that meets a call, one time less of it left; None when all is well."""
        with self._lock:
            for place, (fault, times) in enumerate(self._left):
                if fault.meets(route, text):
                    if times == 1:
                        del self._left[place]
                    elif times > 1:
                        self._left[place] = (fault, times - 1)
                    return fault
        return None

    def pending(self) -> list[dict[str, Any]]:
        """Return the faults not yet used up, `times` being what is left of them."""
        with self._lock:
            return [{**fault.to_json(), "times": times} for fault, times in self._left]

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._left.clear()
