"""Tries the whole corpus, and prints its size and the connections that were made.

python -m tests.egress
"""

from __future__ import annotations

import sys

from tests.egress.corpus import names, spellings
from tests.egress.trial import try_all


def main() -> None:
    """Print the figures; exit with 1 when anything was reached."""
    trial = try_all()
    print(f"corpus: {len(spellings(80))} URLs, {len(names())} names; each by itself and by a redirect: {trial.tried}")  # noqa: T201
    print(f"refused: {', '.join(f'{code} {count}' for code, count in sorted(trial.refused.items()))}")  # noqa: T201
    print(f"redirects followed up to the refusal: {trial.redirects}")  # noqa: T201
    print(f"not refused: {len(trial.passed)}")  # noqa: T201
    for line in trial.passed:
        print(f"  {line}")  # noqa: T201
    print(f"connections to forbidden addresses: {len(trial.connected)}; taken there: {trial.reached}")  # noqa: T201
    sys.exit(bool(trial.passed or trial.connected or trial.reached))


if __name__ == "__main__":
    main()
