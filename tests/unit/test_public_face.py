"""What `import flowlang` gives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import flowlang


def test_the_public_names_are_exactly_these() -> None:
    assert flowlang.__all__ == [
        "AsyncClient", "Client", "Context", "Env", "FlowError", "Permanent", "Resource", "RetryAfter", "Sensitive", "Snooze", "Transient", "handler", "resource",
    ]  # fmt: skip


@pytest.mark.parametrize("name", flowlang.__all__)
def test_each_public_name_can_be_had(name: str) -> None:
    assert callable(getattr(flowlang, name))
    assert name in dir(flowlang)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flowlang' has no attribute 'Handler'"):
        _ = flowlang.Handler  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "statement", ["import flowlang", "import flowlang.handler.signature", "import flowlang.project.signatures"]
)
def test_importing_it_loads_no_big_library(statement: str) -> None:
    program = f"import sys; {statement}; print([m for m in ('pydantic', 'dramatiq', 'redis', 'httpx', 'asyncio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
