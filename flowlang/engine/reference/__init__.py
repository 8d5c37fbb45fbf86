"""The executable definition of every store operation, in memory and pure.

`Partition` is what the memory store runs and what the Redis scripts are compared with. Time is an argument, there is no
lock, and nothing here knows of Redis.
"""

from __future__ import annotations

from flowlang.engine.reference.partition import Partition

__all__ = ["Partition"]
