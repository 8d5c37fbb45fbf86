"""Files to a checked project.

Owns finding and reading what a project's folder holds, and handing it to the compiler as data. Its names are loaded
when first used: reading handlers alone needs no pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowlang.project.load import Checked, Project, check_project, load_project

__all__ = ["Checked", "Project", "check_project", "load_project"]

if not TYPE_CHECKING:  # type checkers see the imports above, and no attribute that is not there

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module 'flowlang.project' has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module("flowlang.project.load"), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
