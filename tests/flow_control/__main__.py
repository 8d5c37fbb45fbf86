"""Writes the table of the guide anew: `python -m tests.flow_control`."""

from __future__ import annotations

from tests.flow_control.guide import PAGE, page

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
