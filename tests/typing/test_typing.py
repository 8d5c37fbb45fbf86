"""The types that authors of handlers and of programs with clients see, checked by mypy as they would check them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.mark.timeout(300)
def test_what_authors_see_is_typed(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        str(tmp_path),
        "--warn-unused-ignores",
        str(HERE / "handler_author.py"),
        str(HERE / "client_user.py"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["Success: no issues found in 2 source files"], done.stdout + done.stderr
