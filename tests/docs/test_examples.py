"""The examples of the documents do what the text says: projects have no errors, expressions their values."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from flowlang.diagnostics import Diagnostic, Severity, render
from flowlang.expr import Pins, Timestamp, compile_expression, to_json
from flowlang.project import Project, load_project
from tests.docs.blocks import DOCUMENTS, ROOT, Block, blocks, name, names_of, pages_with_files, titled, write_project

_VALUE = re.compile(r"\s{2,}// (.*)$")


def _errors(project: Project, path: str | None = None) -> list[Diagnostic]:
    found = [each for each in project.diagnostics if each.severity is not Severity.INFO]
    return [each for each in found if path is None or each.span.path == path]


def _sound(path: Path) -> dict[str, str]:
    """The files of a page that have no mistakes."""
    refused = {block.words["title"] for block in blocks("yaml", path) if "refused" in block.words}
    return {title: text for title, text in titled(path).items() if title not in refused}


@pytest.mark.parametrize("path", pages_with_files(), ids=name)
def test_the_files_of_a_page_are_a_project_without_errors(path: Path, tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path, _sound(path)))
    assert [f"{each.code} {each.message}" for each in _errors(project)] == []
    assert len(project.plans) == sum(title.startswith("pipelines/") and ".test." not in title for title in _sound(path))


@pytest.mark.parametrize(
    "block", [each for each in blocks("yaml") if "refused" in each.words], ids=lambda block: block.place
)
def test_a_file_that_is_shown_as_refused_has_these_errors(block: Block, tmp_path: Path) -> None:
    title = block.words["title"]
    project = load_project(write_project(tmp_path, {**_sound(block.path), title: block.text}))
    found = _errors(project, title)
    assert [each.code for each in found] == block.words["refused"].split(",")
    after = next(each for each in blocks(path=block.path) if each.line > block.line)
    if "findings" in after.words:
        said = render(found, project.sources, files=0)
        assert said.startswith(after.text.rstrip())


@pytest.mark.parametrize(
    "block", [each for each in blocks("yaml") if "steps" in each.words], ids=lambda block: block.place
)
def test_steps_of_a_page_fit_its_handlers(block: Block, tmp_path: Path) -> None:
    pipeline = "flowlang: 1\npipeline: fragment\nsteps:\n" + textwrap.indent(block.text, "  ")
    project = load_project(write_project(tmp_path, {**_sound(block.path), "pipelines/fragment.yaml": pipeline}))
    assert [f"{each.code} {each.message}" for each in _errors(project)] == []
    assert "fragment" in project.plans


@pytest.mark.parametrize(
    "block", [each for each in blocks("yaml") if "webhooks" in each.words], ids=lambda block: block.place
)
def test_webhooks_of_a_page_have_no_mistakes(block: Block, tmp_path: Path) -> None:
    project = "flowlang: 1\nproject: page\nwebhooks:\n" + textwrap.indent(block.text, "  ")
    pipeline = "flowlang: 1\npipeline: fragment\nsteps: [{id: a, set: {x: 1}}]\n"
    loaded = load_project(write_project(tmp_path, {"flowlang.yaml": project, "pipelines/fragment.yaml": pipeline}))
    assert [f"{each.code} {each.message}" for each in _errors(loaded)] == []


def test_every_yaml_example_is_checked_in_some_way() -> None:
    known = {"title", "steps", "webhooks", "starter", "ci"}
    assert [each.place for each in blocks("yaml") if known.isdisjoint(each.words)] == []


def _lines() -> Iterator[Any]:
    for path in DOCUMENTS:
        for block in blocks("cel", path):
            for number, line in enumerate(block.text.splitlines(), start=block.line + 1):
                yield pytest.param(path, line, id=f"{name(path)}:{number}")


@pytest.mark.parametrize(("path", "line"), list(_lines()))
def test_an_expression_gives_what_is_shown(path: Path, line: str) -> None:
    shown = _VALUE.search(line)
    expected = json.loads(shown[1]) if shown else True
    counter = itertools.count()
    pins = Pins(now=Timestamp.from_ms(1_767_225_600_000), uuid=lambda: f"id-{next(counter)}")
    value = compile_expression(_VALUE.sub("", line)).evaluate(names_of(path), pins=pins)
    found = to_json(value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("block", [each for each in blocks() if "starter" in each.words], ids=lambda block: block.place)
def test_what_is_shown_of_a_new_project_is_what_it_has(block: Block) -> None:
    starter = files("flowlang.cli") / "starter" / f"{block.words['starter']}.txt"
    assert block.text == starter.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [each for each in pages_with_files() if any(title.startswith("tests/") for title in titled(each))], ids=name
)
def test_the_tests_that_a_page_shows_pass(path: Path, tmp_path: Path) -> None:
    write_project(tmp_path, {**_sound(path), "pytest.ini": "[pytest]\npythonpath = .\n"})
    plain = ["-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:valkey"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plain, "--ignore-glob=*.test.yaml", "tests"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = sum(text.count("\ndef test_") for title, text in titled(path).items() if title.startswith("tests/"))
    assert f"{shown} passed" in ran.stdout


def test_the_delivery_that_the_guide_signs_is_verified(tmp_path: Path) -> None:
    from flowlang.server.signatures import SCHEMES, Verified  # noqa: PLC0415 - the one test that needs the server

    source = titled(ROOT / "docs/guide/events.md")["send_delivery.py"]
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, "send_delivery.py", "exec", dont_inherit=True), names)
    scheme = SCHEMES["standard-webhooks"]
    headers = names["signed"](b'{"type": "paid"}', "msg_1", 1_767_225_600)
    verdict = scheme.verify(headers, b'{"type": "paid"}', [scheme.load_secret(names["SECRET"])], 1_767_225_610)
    assert verdict == Verified("msg_1")
    assert scheme.verify(headers, b'{"type": "free"}', [scheme.load_secret(names["SECRET"])], 1_767_225_610) != verdict


def test_the_delivery_that_the_shell_signs_is_verified(tmp_path: Path) -> None:
    from flowlang.server.signatures import SCHEMES, Verified  # noqa: PLC0415 - the one test that needs the server

    block = next(each for each in blocks("console", ROOT / "docs/guide/events.md") if "sign" in each.words)
    lines = [
        line.removeprefix("$ ") for line in block.text.splitlines() if line.startswith("$ ") and "curl" not in line
    ]
    script = "\n".join([*lines, 'printf "%s\\n%s\\n%s" "$now" "$signature" "$body"'])
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    now, signature, body = ran.stdout.split("\n", 2)
    verdict = SCHEMES["stripe"].verify(
        {"stripe-signature": f"t={now},v1={signature}"}, body.encode(), [b"whsec_test"], int(now)
    )
    assert verdict == Verified()
    assert json.loads(body)["type"] == "charge.succeeded"
