"""Writes the pages of `docs` that are made from the code; a test compares each with what is written here.

Run from the root of the repository: `python -m flowlang.cli.reference_pages`. What a page says is owned by the module
that makes it, and in the end by the declarations that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from flowlang.cli.codes_page import codes_page
from flowlang.cli.commands_page import commands_page
from flowlang.cli.fsck_page import fsck_page
from flowlang.cli.functions_page import functions_page
from flowlang.cli.handlers_page import handlers_page
from flowlang.cli.openapi_page import openapi_page
from flowlang.cli.operators_page import operators_page
from flowlang.cli.settings_page import settings_page
from flowlang.cli.states_page import states_page
from flowlang.diagnostics import CODES
from flowlang.diagnostics.rule_text import rule_page, rule_text


def _rule_page(code: str) -> Callable[[], str]:
    return lambda: rule_page(rule_text(code))


#: Page → what makes its text.
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/built-in-handlers.md": handlers_page,
    "docs/reference/cli.md": commands_page,
    "docs/reference/codes.md": codes_page,
    "docs/reference/fsck.md": fsck_page,
    "docs/reference/functions.md": functions_page,
    "docs/reference/openapi.json": openapi_page,
    "docs/reference/operators.md": operators_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/states.md": states_page,
    **{f"docs/rules/{code}.md": _rule_page(code) for code in CODES},
}


def write_pages(root: Path) -> None:
    """Write all pages.

    Args:
        root: Of the repository.
    """
    for page, make in PAGES.items():
        (root / page).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path())
