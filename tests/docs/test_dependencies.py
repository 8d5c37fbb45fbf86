"""The page of dependencies justifies each one that the project has, and none besides."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from importlib import metadata
from typing import Any

import pytest

from tests.docs.blocks import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGE = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")


def names(requirements: list[str]) -> list[str]:
    return [re.split(r"[^A-Za-z0-9_.-]", each, maxsplit=1)[0] for each in requirements]


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


ALL = [row for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) for row in rows(heading)]


def listed(table: list[list[str]]) -> Counter[str]:
    return Counter(row[0].strip("`") for row in table)


def test_what_is_always_installed_is_justified_line_by_line() -> None:
    assert listed(rows("Always")) == Counter(names(PROJECT["dependencies"]))


def test_so_is_what_extras_bring() -> None:
    extras = PROJECT["optional-dependencies"]
    assert listed(rows("`server`: HTTP")) == Counter(names(extras["server"]))
    others = rows("`rabbitmq`, `lsp`, `dev`")
    for extra in extras.keys() - {"server"}:
        assert listed([row for row in others if row[1] == f"`{extra}`"]) == Counter(names(extras[extra]))
    assert set(extras) - {"server"} == {row[1].strip("`") for row in others}


@pytest.mark.parametrize("row", ALL, ids=lambda row: row[0].strip("`"))
def test_a_line_has_reasons_and_the_licence_that_the_package_has(row: list[str]) -> None:
    assert all(row)
    about: Any = metadata.metadata(row[0].strip("`"))
    said = " ".join(
        [about.get("License-Expression") or "", *(about.get_all("Classifier") or []), about.get("License") or ""]
    )
    assert row[-1] in said.replace("Lesser General Public License", "LGPL")
