"""`python -m flowlang`, which is the same as `flowlang`."""

from __future__ import annotations

from flowlang.cli.root import cli


def main() -> None:
    """Run the command line and exit with its status."""
    cli(prog_name="flowlang")


if __name__ == "__main__":
    main()
