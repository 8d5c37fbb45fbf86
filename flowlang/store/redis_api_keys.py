"""API keys in Redis: a hash of rows, which is changed as one step, and one of when they were used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import redis

from flowlang.engine.ports import ApiKeyRow
from flowlang.store.keys import Keys

_rows = msgspec.json.Decoder(ApiKeyRow)
_encoder = msgspec.json.Encoder()


class ApiKeyTable:
    """The API keys of one partition; the caller translates the client's errors."""

    def __init__(self, client: redis.Redis, keys: Keys) -> None:
        self._client: Any = client  # its stubs mix the answers of its blocking and asynchronous faces
        self._rows = keys.single("api_keys")
        self._used = keys.single("api_keys_used")

    def read(self) -> dict[str, ApiKeyRow]:
        """All rows by id."""
        return {key.decode(): _rows.decode(row) for key, row in self._client.hgetall(self._rows).items()}

    def amend(self, change: Callable[[Mapping[str, ApiKeyRow]], Mapping[str, ApiKeyRow]]) -> None:
        """Write what `change` makes of the rows, if nobody has changed them meanwhile; else begin again.

        A key that is revoked while another command makes its successor must not come back with it.
        """

        def transact(pipe: Any) -> None:
            before = {key.decode(): _rows.decode(row) for key, row in pipe.hgetall(self._rows).items()}
            after = change(before)
            pipe.multi()
            for key, row in after.items():
                if before.get(key) != row:
                    pipe.hset(self._rows, key, _encoder.encode(row))
            for key in before.keys() - after.keys():
                pipe.hdel(self._rows, key)
                pipe.hdel(self._used, key)

        self._client.transaction(transact, self._rows)

    def used(self, used: Mapping[str, int]) -> dict[str, int]:
        """Write when keys were used, and tell it of all."""
        pipe = self._client.pipeline(transaction=False)
        if used:
            pipe.hset(self._used, mapping=dict(used))
        pipe.hgetall(self._used)
        return {key.decode(): int(at) for key, at in pipe.execute()[-1].items()}
