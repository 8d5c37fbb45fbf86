"""The texts of the codes are complete, and their examples are what they say: bad gives the code alone, good nothing.

An example is a project. What it does not write, and speaks of, is taken from `stage/`: the handler `mail.send` and the
event `shop/order-placed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from flowlang.diagnostics import CODES
from flowlang.diagnostics.rule_text import RuleText, read_rule_text, rule_text
from flowlang.project import load_project
from tests.unit.project.projects import write_project

STAGE = Path(__file__).parent / "stage"

#: What `stage/` has, and the word by which an example speaks of it.
STAGED = {"handlers/mail.py": "mail.send", "schemas/events/shop/order-placed.json": "shop/order-placed"}

#: Codes whose mistake no text file can show; their section says in words what is meant.
IN_WORDS = {"FL001", "FL002", "FL003", "FL005", "FL126", "FL903"}

#: Codes whose mistake is about another finding, which is then there too.
ALONG = {"FL905": {"FL301"}}

#: Codes that only a deploy looks for.
DEPLOYING = {"FL208"}


def codes_of(files: Mapping[str, str], folder: Path, *, deploying: bool = False) -> set[str]:
    written = "\n".join(files.values())
    staged = {
        path: (STAGE / path).read_text(encoding="utf-8")
        for path, word in STAGED.items()
        if word in written and not any(Path(name).parent == Path(path).parent for name in files)
    }
    project = load_project(write_project(folder, {**staged, **files}), deploying=deploying, entry_points=False)
    return {item.code for item in project.diagnostics}


@pytest.mark.parametrize("code", sorted(CODES))
def test_the_bad_example_gives_the_code_alone_and_the_good_one_nothing(code: str, tmp_path: Path) -> None:
    text = rule_text(code)
    deploying = code in DEPLOYING
    assert bool(text.bad_files) == (code not in IN_WORDS)
    if text.bad_files:
        assert codes_of(text.bad_files, tmp_path / "bad", deploying=deploying) == {code} | ALONG.get(code, set())
    if text.good_files:
        assert codes_of(text.good_files, tmp_path / "good", deploying=deploying) == set()
    assert bool(text.good_files) == (code not in IN_WORDS)


def test_there_is_no_text_without_a_code() -> None:
    folder = Path(__file__).parents[2] / "flowlang" / "diagnostics" / "rules"
    assert {path.stem for path in folder.iterdir()} == set(CODES)


@pytest.mark.parametrize(
    "text",
    [
        "Why.\n\n## Bad\n\nx\n\n## Good\n\ny\n",
        "## Bad\n\nx\n\n## Good\n\ny\n\n## Fix\n\nz\n",
        "Why.\n\n## Good\n\nx\n\n## Bad\n\ny\n\n## Fix\n\nz\n",
    ],
)
def test_a_text_has_all_its_parts_in_order(text: str) -> None:
    with pytest.raises(ValueError, match="must say why"):
        read_rule_text("FL101", text)


def test_a_text_is_read_into_its_parts() -> None:
    block = '```yaml title="flowlang.yaml"\na: 1\n```'
    text = read_rule_text("FL101", f"Why.\n\n## Bad\n\n{block}\n\n## Good\n\n```python\nx = 1\n```\n\n## Fix\n\nDo.\n")
    assert text == RuleText("FL101", "Why.", block, "```python\nx = 1\n```", "Do.")
    assert (text.bad_files, text.good_files) == ({"flowlang.yaml": "a: 1\n"}, {"handlers/example.py": "x = 1\n"})
