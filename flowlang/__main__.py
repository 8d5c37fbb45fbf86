"""`python -m flowlang`, which is the same as `flowlang`."""

from __future__ import annotations

import gc

#: Allocations between two collections. Modules and models are made once and stay; looking through them again and again
#: while they are loaded is a fifth of the time that `flowlang validate` takes.
_COLLECT_EVERY = 100_000


def main() -> None:
    """Run the command line and exit with its status."""
    gc.set_threshold(_COLLECT_EVERY, 20, 20)
    from flowlang.cli.root import cli  # noqa: PLC0415 - loaded under the setting above

    cli(prog_name="flowlang")


if __name__ == "__main__":
    main()
