"""Built-in handlers as everybody meets them: found without being declared, typed, and of no cost to who calls none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flowlang.diagnostics import render
from flowlang.handler.discover import discover
from flowlang.handler.hint_schemas import hint_schemas
from flowlang.integrations.outbound.body import TOO_LARGE
from flowlang.integrations.outbound.egress import REFUSED, WRONG
from flowlang.integrations.outbound.redirects import REDIRECTS, URL
from flowlang.project import load_project
from flowlang.project.signatures import read_signatures
from flowlang.testing import check_handler
from tests.unit.project.projects import write_project

ROOT = Path(__file__).parents[2]
NAMES = ["http.request", "log", "mail.send", "posthog.capture", "slack.post"]
OWN = "from flowlang import handler\n\n\n@handler('mail.send', effect='keyed')\ndef send(to: str, template: str) -> dict[str, int]:\n    return {'n': 1}\n"


def found(folder: Path, pipeline: str, **files: str) -> list[str]:
    """The findings of a project with one pipeline."""
    head = "flowlang: 1\npipeline: p\ninput: {type: object, properties: {name: {type: string}}, required: [name]}\nsteps:\n"
    write_project(folder, {"flowlang.yaml": "flowlang: 1\nproject: p\n", "pipelines/p.yaml": head + pipeline, **files})
    return [f"{item.code} {item.message}" for item in load_project(folder).diagnostics]


def test_they_are_in_every_project_and_what_is_read_is_what_is_called(tmp_path: Path) -> None:
    live = discover(tmp_path)
    assert live.problems == ()
    assert list(live.registry) == NAMES
    read, problems = read_signatures(tmp_path)
    assert problems == []
    assert sorted(read) == NAMES
    for name in NAMES:
        signature = live.registry[name].signature(tmp_path)
        assert read[name].digest == signature.digest
        assert (read[name].path, read[name].line) == (signature.path, signature.line)
        check_handler(live.registry[name].function)


def test_a_project_that_calls_none_loads_no_http_client(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from flowlang.handler.discover import discover;"
        f" discover(Path({str(tmp_path)!r}));"
        " print([m for m in ('httpx', 'httpcore') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_project_s_own_handler_takes_the_place_of_one(tmp_path: Path) -> None:
    pipeline = "  - {id: a, uses: mail.send, with: {to: ada@example.com, template: hello}}\n"
    assert found(tmp_path, pipeline, **{"handlers/mail.py": OWN}) == []
    live = discover(tmp_path)
    assert live.problems == ()
    assert live.registry["mail.send"].module == "handlers.mail"
    read, problems = read_signatures(tmp_path)
    assert problems == []
    assert read["mail.send"].path == "handlers/mail.py"


CALLS = [
    ('  - {id: a, uses: http.request, with: {url: https://example.com}}\n  - {id: b, set: {n: "${{ steps.a.output.status + 1 }}"}}\n', []),
    ("  - {id: a, uses: http.request}\n", ["FL402 `http.request` needs `url` in `with`"]),
    ("  - {id: a, uses: http.request, with: {url: https://example.com, verb: GET}}\n", ["FL403 `http.request` takes no argument `verb`"]),
    ("  - {id: a, uses: http.request, with: {url: https://example.com, method: FETCH}}\n", ["FL409"]),
    ("  - {id: a, uses: http.request, with: {url: https://example.com, follow: 9}}\n", ["FL409"]),
    ('  - {id: a, uses: http.request, with: {url: https://example.com}}\n  - {id: b, set: {n: "${{ steps.a.output.statsu }}"}}\n', ["FL2"]),
    ("  - {id: a, uses: http.request, with: {url: https://example.com}}\n  - {id: b, set: {n: \"${{ steps.a.output.status + 'x' }}\"}}\n", ["FL2"]),
    ('  - {id: a, uses: log, with: {message: "${{ event.data.name }}", level: warning}}\n', []),
    ("  - {id: a, uses: log, with: {message: x, level: loud}}\n", ["FL409"]),
    ('  - {id: a, uses: slack.post, with: {text: "${{ event.data.name }}", channel: ops}}\n', []),
    ("  - {id: a, uses: slak.post, with: {text: x}}\n", ["FL401 there is no handler `slak.post`"]),
    ('  - {id: a, uses: mail.send, with: {to: [a@example.com], subject: x, text: y}}\n  - {id: b, set: {id: "${{ steps.a.output.id }}"}}\n', []),
    ("  - {id: a, uses: posthog.capture, with: {event: paid, distinct_id: u}}\n", []),
    ('  - {id: a, uses: http.request, with: {url: "https://example.com/?key=${{ secrets.KEY }}"}}\n', ["FL603"]),
    ('  - {id: a, uses: http.request, with: {url: https://example.com, auth: {bearer: "${{ secrets.KEY }}"}}}\n', []),
    ('  - {id: a, uses: log, with: {message: x, fields: {key: "${{ secrets.KEY }}"}}}\n', ["FL603 the secret `secrets.KEY` would be shown in the log"]),
]  # fmt: skip


@pytest.mark.parametrize(("pipeline", "wanted"), CALLS, ids=range(len(CALLS)))
def test_calls_are_checked_like_those_of_a_project_s_own(tmp_path: Path, pipeline: str, wanted: list[str]) -> None:
    codes = found(tmp_path, pipeline)
    assert len(codes) == len(wanted), codes
    assert all(code.startswith(start) for code, start in zip(codes, wanted, strict=True)), codes


def test_every_code_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "flowlang/integrations").rglob("*.py"))
    codes = {REFUSED, WRONG, TOO_LARGE, REDIRECTS, URL, *re.findall(r'code="([a-z_.]+)"', text)}
    assert len(codes) > 15
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def test_tokens_and_passwords_are_marked_as_sensitive(tmp_path: Path) -> None:
    schema = hint_schemas(discover(tmp_path).registry["http.request"]).arguments["auth"]
    marked = {
        name
        for name, field in schema["$defs"]["Auth"]["properties"].items()
        if any(part.get("x-sensitive") for part in field["anyOf"])
    }
    assert marked == {"bearer", "password"}


def test_a_sensitive_field_is_not_written_to_the_log(tmp_path: Path) -> None:
    files = {
        "flowlang.yaml": "flowlang: 1\nproject: p\n",
        "schemas/events/shop/paid.json": '{"type": "object", "properties": {"email": {"type": "string", "x-sensitive": true}}, "required": ["email"]}',
        "pipelines/p.yaml": "flowlang: 1\npipeline: p\ntriggers: [{event: shop/paid}]\nsteps:\n"
        '  - {id: a, uses: log, with: {message: paid, fields: {who: "${{ event.data.email }}"}}}\n'
        '  - {id: b, uses: mail.send, with: {to: "${{ event.data.email }}", subject: Paid, text: Thanks}}\n',
    }
    write_project(tmp_path, files)
    project = load_project(tmp_path)
    (finding,) = project.diagnostics
    assert finding.code == "FL604"
    assert "would be shown in the log" in finding.message
    assert "who:" in render([finding], project.sources)
