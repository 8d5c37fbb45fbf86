"""The table of the guide: what each two limiters do together, as the tests have it."""

from __future__ import annotations

from typing import Final

from tests.docs.blocks import ROOT
from tests.flow_control.pairs import PAIRS

PAGE: Final = ROOT / "docs/guide/flow-control.md"
_HEADING: Final = "## Together\n\nWhat each two of them do together. Each row is a test.\n\n"


def table() -> str:
    """The table."""
    rows = [f"| `{pair.names[0]}`, `{pair.names[1]}` | {pair.says} |" for pair in PAIRS]
    return "\n".join(["| keys | together |", "|---|---|", *rows]) + "\n"


def page() -> str:
    """The guide with the table as it is now."""
    written, heading, _ = PAGE.read_text(encoding="utf-8").partition(_HEADING)
    return written + heading + table()
