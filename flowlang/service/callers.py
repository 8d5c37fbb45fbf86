"""Who asks for something, and what `allow` lets them do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from flowlang.errors import FlowError
from flowlang.plan import Plan


class NotAllowedError(FlowError):
    """A pipeline's `allow` does not name whoever asks."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, cancels or replays.

    Args:
        names: Names of the API key and of the groups that it is in; None: whoever has the store in their hands, and so
            everything.
    """

    names: Collection[str] | None

    def check(self, plan: Plan) -> None:
        """Check that the caller may call, cancel and replay a pipeline. A step's `invoke` asks nobody.

        Args:
            plan: The pipeline.

        Raises:
            NotAllowedError: saying who may.
        """
        if plan.allow is None or self.names is None or not set(plan.allow).isdisjoint(self.names):
            return
        who = ", ".join(plan.allow) or "nobody"
        without = "" if self.names else "; over HTTP there are no API keys yet, so use the command line"
        raise NotAllowedError(f"`allow` of the pipeline {plan.pipeline!r} names {who}{without}")


#: Whoever has access to the store itself: the command line, and messages of the broker.
OPERATOR: Final = Caller(None)

#: Somebody without a key.
ANYBODY: Final = Caller(())
