"""What closing and opening a stored payload takes, without a key and with one: `python benchmarks/bench_sealing.py`."""

from __future__ import annotations

import itertools
import sys
import timeit
from collections.abc import Callable

from flowlang.clock import random_bytes
from flowlang.engine.ports import Sealer
from flowlang.keyring import KEY_BYTES, Keyring
from flowlang.store.codec import PlainSealer
from flowlang.store.encryption import EncryptingSealer

RUN, FIELD = "r00-abcdefghijklmnopqrstuvwx", "record/pay"
SIZES = (200, 2_000, 20_000)
ROUNDS, REPEATS = 20_000, 5


def micros(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Microseconds of one call, at its best."""
    return min(timeit.repeat(act, number=rounds, repeat=REPEATS)) / rounds * 1e6


def main() -> int:
    """Print a line for each kind and size."""
    keyring = Keyring({1: random_bytes(KEY_BYTES)})
    sealers: dict[str, Sealer] = {"plain": PlainSealer(), "encrypted": EncryptingSealer(keyring)}
    for name, sealer in sealers.items():
        for size in SIZES:
            payload = random_bytes(size)
            sealed = sealer.seal(payload, RUN, FIELD)
            close = micros(lambda s=sealer, p=payload: s.seal(p, RUN, FIELD))  # type: ignore[misc]
            opened = micros(lambda s=sealer, b=sealed: s.open(b, FIELD, RUN))  # type: ignore[misc]
            print(f"{name:10} {size:6} bytes: close {close:5.2f} µs, open {opened:5.2f} µs, {len(sealed) - size} more")
    fresh, numbers = EncryptingSealer(keyring), itertools.count()
    first = micros(lambda: fresh.seal(b"{}", f"r00-{next(numbers)}", FIELD), 2_000)
    print(f"encrypted, the first payload of a run: {first:.1f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
