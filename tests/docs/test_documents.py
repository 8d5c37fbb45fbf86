"""The documents against the project: links that lead somewhere, examples that parse, variables that are all named."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import DOCUMENTS, ROOT, blocks, commands, name
from tests.standin import keys

_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    dead = []
    for link in _LINK.findall(path.read_text(encoding="utf-8")):
        if link.startswith(("https://", "mailto:")):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_every_document_has_one_title_and_can_be_reached(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    outside_code = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert len(re.findall(r"^# ", outside_code, re.MULTILINE)) == 1
    linked = {
        (other.parent / link.partition("#")[0]).resolve()
        for other in DOCUMENTS
        if other != path
        for link in _LINK.findall(other.read_text(encoding="utf-8"))
    }
    assert path == ROOT / "README.md" or path in linked or path == ROOT / "docs/index.md"


@pytest.mark.parametrize(
    ("language", "read"),
    [
        ("yaml", lambda text: list(yaml.safe_load_all(text))),
        ("json", json.loads),
        ("python", lambda text: compile(text, "example", "exec")),
    ],
)
def test_every_example_can_be_read(language: str, read: object) -> None:
    assert callable(read)
    examples = list(blocks(language))
    assert examples
    for example in examples:
        read(example.text)


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target for path in DOCUMENTS for target in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }
    named |= {words[1] for _, words in commands() if words[:1] == ["make"]}
    assert {"demo", "test"} <= named
    assert named <= targets


def test_every_variable_that_the_project_reads_is_in_the_operations_page() -> None:
    page = (ROOT / "docs/operations/index.md").read_text(encoding="utf-8")
    read = set(keys.environment("http://127.0.0.1"))
    for path in (ROOT / "handlers").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        read |= set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', text))
    for path in [ROOT / "flowlang.yaml", *(ROOT / "pipelines").rglob("*.yaml")]:
        read |= set(re.findall(r"(?:env|secrets)\.([A-Z][A-Z0-9_]+)", path.read_text(encoding="utf-8")))
    assert sorted(name for name in read if f"`{name}`" not in page) == []
