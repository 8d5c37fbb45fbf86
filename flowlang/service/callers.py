"""Who asks for something: what their key grants, and what a pipeline's `allow` lets them do. Both have to agree."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from flowlang.engine.ports import Grants
from flowlang.errors import FlowError
from flowlang.plan import Plan

#: What a key may grant, by the field of `Grants`.
Act = Literal["send", "call", "read", "control", "delete", "reveal"]

_VERBS: Final = {
    "send": "send",
    "call": "call",
    "read": "look at runs of",
    "control": "cancel and replay runs of",
    "delete": "delete runs of",
    "reveal": "see sensitive data (`--reveal`) of",
}


class NotAllowedError(FlowError):
    """The key of whoever asks does not grant it, or a pipeline's `allow` does not name them."""


class ScopeError(NotAllowedError):
    """The key does not grant it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends, calls, looks, cancels or replays.

    Args:
        names: Names of the API key and of the groups that it is in, for `allow`; None: whoever has the store in their
            hands, and so everything.
        grants: What the key lets them do at all.
        name: Of the key.
        rate: How much it may do, where that is not as the settings say.
        key: The id of the key, of which several may have the name.
    """

    names: Collection[str] | None
    grants: Grants = Grants()  # noqa: RUF009 - it is frozen
    name: str = ""
    rate: str | None = None
    key: str = ""

    @property
    def source(self) -> str:
        """Where their events come from. Ids are remembered by it, so that no key uses up the ids of another one."""
        return f"api/{self.name}" if self.name else "api"

    def may(self, act: Act, name: str) -> bool:
        """Whether the key grants something for an event (`send`) or a pipeline (the others)."""
        return self._rules(act) or covers(getattr(self.grants, act), name)

    def may_some(self, act: Act) -> bool:
        """Whether the key grants this for anything at all."""
        return self._rules(act) or bool(getattr(self.grants, act))

    def may_all(self, act: Act) -> bool:
        """Whether the key grants this for everything."""
        return self._rules(act) or "*" in getattr(self.grants, act)

    def _rules(self, act: Act) -> bool:
        """Whether they may do this by what they are. Who administers need not see what is nobody's business."""
        return self.names is None or (self.grants.admin and act != "reveal")

    def may_send(self, event: str) -> bool:
        """Whether the key grants sending events of this name; who owns the name is asked elsewhere."""
        return self.may("send", event)

    def require(self, act: Act, name: str) -> None:
        """Check what the key grants. Raises: ScopeError, saying what it does not."""
        if not self.may(act, name):
            raise ScopeError(f"the key {self.name!r} does not grant to {_VERBS[act]} {name}")

    def check(self, plan: Plan, act: Act = "call") -> None:
        """Check that the caller may call a pipeline, or do something to its runs. A step's `invoke` asks nobody.

        Args:
            plan: The pipeline.
            act: `call`, `control` or `delete`.

        Raises:
            NotAllowedError: saying who may.
        """
        self.require(act, plan.pipeline)
        if plan.allow is None or self.names is None or not set(plan.allow).isdisjoint(self.names):
            return
        who = ", ".join(plan.allow) or "nobody"
        raise NotAllowedError(
            f"`allow` of the pipeline {plan.pipeline!r} names {who}; the key {self.name!r} is none of them, "
            "and in no such group"
        )


def covers(patterns: Iterable[str], name: str) -> bool:
    """Whether one of the patterns of a grant means a name: `*`, the name itself, or of events `shop/*`."""
    return any(each in {"*", name} or (each.endswith("/*") and name.startswith(each[:-1])) for each in patterns)


#: Whoever has access to the store itself: the command line, and messages of the broker.
OPERATOR: Final = Caller(None)

#: Somebody without a key.
ANYBODY: Final = Caller(())
