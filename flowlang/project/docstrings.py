"""What handlers say of themselves: the first paragraph of their docstrings, read without importing them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from flowlang.handler.signature import Signature


def docstrings(folder: Path, signatures: Mapping[str, Signature]) -> dict[str, str]:
    """The docstrings of handlers.

    Args:
        folder: The project's folder.
        signatures: Handlers by name.

    Returns:
        By name; empty for those that say nothing.
    """
    return {name: docstring(folder, signature) for name, signature in signatures.items()}


def docstring(folder: Path, signature: Signature) -> str:
    """The docstring of a handler, its first paragraph on one line; empty when it has none.

    Args:
        folder: The project's folder.
        signature: Of the handler.
    """
    try:
        content = (folder / signature.path).read_bytes()
    except OSError:
        return ""
    return _by_line(content).get(signature.line, "")


@lru_cache(maxsize=64)
def _by_line(content: bytes) -> Mapping[int, str]:
    """Docstrings by the lines of their functions' decorators."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = " ".join((ast.get_docstring(node) or "").partition("\n\n")[0].split())
            found.update({decorator.lineno: text for decorator in node.decorator_list})
    return found
