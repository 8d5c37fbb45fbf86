"""Writes `docs/reference/settings.md` from the declarations in `flowlang.settings`; `make docs` checks the page.

Run from the root of the repository: `python -m flowlang.cli.settings_page`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from flowlang.settings import Setting, declared

PAGE: Final = Path("docs/reference/settings.md")

_HEAD: Final = """\
# Settings

Written from `flowlang/settings.py` by `python -m flowlang.cli.settings_page`; change it there.

Flags win over variables, variables over `flowlang.yaml`, and that over defaults. An empty variable counts as not set.
Durations have a unit, as in `10s` or `1h30m`. `flowlang doctor` reports variables that look like settings and are none.

| variable | default | what it is for |
|---|---|---|
"""

_TAIL: Final = """\

A variable marked *secret* may hold a password: it is never shown, and `NAME_FILE` may name a file with its content.
URLs begin with `redis://`, `rediss://` (TLS) or `unix://`, and may name a database: `redis://cache:6379/0`.
"""


def settings_page() -> str:
    """The whole page."""
    return _HEAD + "".join(map(_row, declared())) + _TAIL


def _row(setting: Setting) -> str:
    notes = [setting.sentence]
    if setting.project_key is not None:
        notes.append(f"In `flowlang.yaml`: `{setting.project_key}` of an environment.")
    name = f"`{setting.variable}`" + (", *secret*" if setting.secret else "")
    return f"| {name} | {setting.default} | {' '.join(notes)} |\n"


if __name__ == "__main__":
    PAGE.write_text(settings_page(), encoding="utf-8")
