"""Handlers are found by themselves, and a broken module does not hide the others."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from flowlang.handler.discover import discover
from flowlang.handler.files import find_spec, project_files


@pytest.fixture(autouse=True)
def _clean_modules() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in {"handlers", "acme_handlers"}:
            del sys.modules[name]


def project(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return folder


ONE = """
from flowlang import handler

@handler("{name}", effect="pure")
def function(x: int) -> int:
    return x
"""


def test_handlers_are_found_in_all_folders_without_init_files(tmp_path: Path) -> None:
    files = {"handlers/a.py": ONE.format(name="a.one"), "handlers/deep/er/b.py": ONE.format(name="b.one")}
    found = discover(project(tmp_path, files), entry_points=False)
    assert found.problems == ()
    assert list(found.registry) == ["a.one", "b.one"]
    assert [found.registry[name].module for name in found.registry] == ["handlers.a", "handlers.deep.er.b"]


def test_one_file_of_handlers_may_import_another(tmp_path: Path) -> None:
    files = {
        "handlers/clients.py": ONE.format(name="clients.one"),
        "handlers/user.py": "from handlers.clients import function\n"
        + ONE.format(name="user.one").replace("def function", "def other"),
    }
    found = discover(project(tmp_path, files), entry_points=False)
    assert found.problems == ()
    assert list(found.registry) == ["clients.one", "user.one"]


def test_a_package_with_init_files_works_too(tmp_path: Path) -> None:
    files = {
        "handlers/__init__.py": ONE.format(name="root.one"),
        "handlers/a/__init__.py": "from .b import function\n",
        "handlers/a/b.py": ONE.format(name="b.one"),
    }
    found = discover(project(tmp_path, files), entry_points=False)
    assert found.problems == ()
    assert list(found.registry) == ["b.one", "root.one"]


def test_a_project_without_handlers_has_none(tmp_path: Path) -> None:
    found = discover(tmp_path, entry_points=False)
    assert (len(found.registry), found.problems) == (0, ())


def test_the_second_project_of_a_process_gets_its_own_modules(tmp_path: Path) -> None:
    first = project(tmp_path / "first", {"handlers/a.py": ONE.format(name="first.one")})
    second = project(tmp_path / "second", {"handlers/a.py": ONE.format(name="second.one")})
    assert list(discover(first, entry_points=False).registry) == ["first.one"]
    assert list(discover(second, entry_points=False).registry) == ["second.one"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (
            "import os\nimport no_such_module_here\n",
            2,
            "importing it raised ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        ("x = 1\ndef broken(:\n", 2, "it is no Python: "),
        ("import sys\n\nsys.exit(3)\n", 3, "importing it raised SystemExit: 3"),
        ("def one():\n    raise ValueError('deep')\none()\n", 2, "importing it raised ValueError: deep"),
        (
            "from flowlang import handler\n@handler('wrong')\ndef f(): ...\n",
            2,
            "the handler name 'wrong' must be lower-case words",
        ),
        (
            "from flowlang import handler\n\n@handler('a.b')\ndef f(x: Missing): ...\n",
            4,
            "importing it raised NameError: name 'Missing' is not defined",
        ),
        (
            "from __future__ import annotations\nfrom flowlang import handler\n@handler('a.b')\ndef f(x: Missing): ...\n",
            3,
            "the type hints of the handler 'a.b' cannot be read: name 'Missing' is not defined",
        ),
        (
            "import threading\nfrom flowlang import handler\n@handler('a.b')\ndef f(x: threading.Thread): ...\n",
            3,
            "are no contract for JSON data",
        ),
    ],
)
def test_a_broken_module_is_reported_with_its_line_and_hides_no_other(
    tmp_path: Path, text: str, line: int, message: str
) -> None:
    found = discover(
        project(tmp_path, {"handlers/a.py": text, "handlers/b.py": ONE.format(name="good.one")}), entry_points=False
    )
    assert "good.one" in found.registry
    (problem,) = found.problems
    assert (problem.path, problem.line) == (str(tmp_path / "handlers/a.py"), line)
    assert message in problem.message
    assert str(problem).startswith(f"{tmp_path}/handlers/a.py:{line}: ")


def test_two_files_with_one_name_are_a_problem_with_both_places(tmp_path: Path) -> None:
    found = discover(
        project(tmp_path, {"handlers/a.py": ONE.format(name="same.one"), "handlers/b.py": ONE.format(name="same.one")}),
        entry_points=False,
    )
    (problem,) = found.problems
    assert f"at {tmp_path}/handlers/a.py:4 and at {tmp_path}/handlers/b.py:4" in problem.message
    assert found.registry["same.one"].module == "handlers.a"


def test_a_file_that_cannot_be_a_module_says_how_to_name_it(tmp_path: Path) -> None:
    found = discover(project(tmp_path, {"handlers/my-mail.py": ONE.format(name="mail.one")}), entry_points=False)
    assert [problem.message for problem in found.problems] == [
        "'my-mail' is no module name; rename it, such as to 'my_mail'"
    ]


def test_hidden_folders_and_main_files_are_left_out(tmp_path: Path) -> None:
    files = dict.fromkeys(["handlers/.venv/a.py", "handlers/__main__.py", "handlers/b.py"], "raise SystemExit\n")
    assert [file.module for file in project_files(project(tmp_path, files))] == ["handlers.b"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "acme_handlers/__init__.py": "raise RuntimeError('executed')\n",
        "acme_handlers/good/__init__.py": ONE.format(name="acme.one"),
        "acme_handlers/good/more.py": ONE.format(name="acme.two"),
    }
    monkeypatch.syspath_prepend(str(tmp_path))
    return project(tmp_path, files)


def test_installed_packages_are_found_by_entry_points(package: Path) -> None:
    (package / "acme_handlers/__init__.py").write_text("", encoding="utf-8")
    points = [
        EntryPoint("acme", "acme_handlers.good", "flowlang.handlers"),
        EntryPoint("gone", "not_installed.handlers", "flowlang.handlers"),
    ]
    found = discover(package, entry_points=points)
    assert [name for name in found.registry if name.startswith("acme.")] == ["acme.one", "acme.two"]
    assert [problem.message for problem in found.problems] == [
        "the entry point 'gone' of the group 'flowlang.handlers' names the module 'not_installed.handlers', which is not installed"
    ]


def test_finding_a_module_runs_no_code_of_its_package(package: Path) -> None:
    spec = find_spec("acme_handlers.good.more")
    assert spec is not None
    assert spec.origin == str(package / "acme_handlers/good/more.py")
    assert "acme_handlers" not in sys.modules
