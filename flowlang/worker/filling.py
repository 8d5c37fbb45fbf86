"""Says in time that dead letters fill the store: nothing drops them, so somebody must look at them."""

from __future__ import annotations

import logging

from flowlang.engine.limits import is_near

log = logging.getLogger(__name__)


class DeadLetterWatch:
    """Reports dead letters before their limit is reached, and when it is: once each, until there are fewer again."""

    def __init__(self) -> None:
        self._said = 0

    def look(self, count: int, limit: int | None) -> None:
        """Compare what there is with what there may be.

        Args:
            count: Dead letters in the store.
            limit: `limits.dead_letters`; None when nothing is deployed.
        """
        level = 0 if limit is None or not is_near(count, limit) else 1 if count < limit else 2
        if level > self._said:
            say = log.error if level == 2 else log.warning
            say(
                "%s dead letters; `limits.dead_letters` in flowlang.yaml is %s. None is dropped: "
                "retry or discard them, see `flowlang dead-letters list`",
                count,
                limit,
            )
        self._said = level
