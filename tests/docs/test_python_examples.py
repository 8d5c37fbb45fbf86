"""Examples that are run where they stand: Python with what it gives, and commands with what they print."""

from __future__ import annotations

import ast
import io
import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from flowlang.cli.root import cli
from tests.docs.blocks import DOCUMENTS, ROOT, Block, blocks, name, titled, write_project

#: It is followed step by step, with a server: `test_first_pipeline` does that.
FOLLOWED = ROOT / "docs/guide/first-pipeline.md"

_GIVES = re.compile(r"\s{2}# (.*)$")
_TOOK = re.compile(r"in [0-9]+\.[0-9]{2} s")
_RAISES = re.compile(r"raises (\w+): (.*)")


def _pages(language: str) -> list[Path]:
    return [
        path for path in DOCUMENTS if path != FOLLOWED and any("run" in block.words for block in blocks(language, path))
    ]


def _printed(page: list[Block], block: Block) -> str | None:
    """What stands behind a block as its output."""
    after = page[page.index(block) + 1 :][:1]
    return after[0].text if after and "printed" in after[0].words else None


def _statements(block: Block) -> Iterator[tuple[str, str, str | None]]:
    """Each statement of a block: how it is run (`eval` or `exec`), its text, and what stands behind it."""
    lines = block.text.splitlines()
    for statement in ast.parse(block.text).body:
        assert statement.end_lineno is not None
        text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
        gives = _GIVES.search(lines[statement.end_lineno - 1])
        yield "eval" if isinstance(statement, ast.Expr) else "exec", text, gives[1] if gives else None


def _run(block: Block, names: dict[str, Any]) -> str:
    """Run a block and compare what its statements give; the answer is what it printed."""
    output = io.StringIO()
    for mode, text, gives in _statements(block):
        code = compile(text, block.place, mode, dont_inherit=True)
        raises = _RAISES.fullmatch(gives or "")
        with redirect_stdout(output):
            if raises is not None:
                with pytest.raises(Exception, match=f"^{re.escape(raises[2])}$") as raised:
                    eval(code, names)  # code of the documents
                assert raised.type.__name__ == raises[1], f"{block.place}: {text}"
                continue
            found = eval(code, names)  # the same
        assert gives in {None, repr(found)} or mode == "exec", f"{block.place}: {text} gives {found!r}"
    return output.getvalue()


@pytest.mark.parametrize("path", _pages("python"), ids=name)
def test_the_python_of_a_page_gives_what_is_shown(path: Path) -> None:
    page = list(blocks(path=path))
    names: dict[str, Any] = {}
    for block in page:
        if block.language == "python" and "run" in block.words:
            printed = _run(block, names)
            assert printed == (_printed(page, block) or ""), block.place


@pytest.mark.parametrize("path", _pages("console"), ids=name)
def test_the_commands_of_a_page_print_what_is_shown(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = {block.words["title"] for block in blocks(path=path) if "refused" in block.words}
    files = {title: text for title, text in titled(path).items() if title not in refused}
    if files:
        write_project(tmp_path, files)
    for block in blocks(path=path):
        if "write" in block.words:
            (tmp_path / block.words["write"]).write_text(block.text, encoding="utf-8")
        elif block.language == "console" and "run" in block.words:
            shown = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)[1:]
            for line, output in zip(shown[::2], shown[1::2], strict=True):
                words = shlex.split(line)
                assert words[0] == "flowlang"
                result = CliRunner(env={"NO_COLOR": "1"}).invoke(cli, words[1:], prog_name="flowlang")
                assert _TOOK.sub("in 0.00 s", result.output) == _TOOK.sub("in 0.00 s", output), f"{block.place}: {line}"
                assert result.exit_code == int(block.words.get("status", "0"))
