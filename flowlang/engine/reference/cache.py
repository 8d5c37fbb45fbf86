"""Outputs that are kept for other runs, for a while."""

from __future__ import annotations

from flowlang.engine.ops import CacheEntry, Lookup
from flowlang.engine.reference.tables import SEP, Tables


def keep(tables: Tables, entry: CacheEntry) -> None:
    """Keep an output, in place of what its key had."""
    until = tables.now_ms + entry.ttl_ms
    tables.cache[entry.key] = (entry.body, until)
    tables.rows_expiry.put("cache" + SEP + entry.key, until)


def look_up(tables: Tables, run_id: str, scope_id: str, asked: Lookup) -> None:
    """Tell a scope what is kept for a key."""
    body, until = tables.cache.get(asked.key, (None, 0))
    fact = {"kind": "cached", "id": asked.id, "body": body if until > tables.now_ms else None}
    tables.deliver(run_id, scope_id, fact)
