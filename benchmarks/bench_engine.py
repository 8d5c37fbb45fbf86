"""The engine's figures, as `make bench` runs them: `python -m benchmarks.engine`, which see."""

from __future__ import annotations

import sys

from benchmarks.engine.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
