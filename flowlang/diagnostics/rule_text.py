"""What is to be said of a code beyond its sentence: why it is looked for, an example, and how to put it right.

The texts are data, `rules/FL###.md`, one a code, so that whoever adds a code writes it without touching another's file.
A file has a first paragraph or more (why), then the sections `## Bad`, `## Good` and `## Fix`. The code blocks of the
first two are files of a project, under the path that `title="…"` behind the language names, or `pipelines/example.yaml`
(`handlers/example.py`) where there is none. A test loads them: the bad ones give the code and no other, the good ones
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from flowlang.diagnostics.codes import CODES

#: Where the pages of `docs/rules` are read by people.
PAGES_URL: Final = "https://github.com/flowlang/flowlang/blob/main/docs/rules"

#: The path of a code block that names none, by its language.
_PATHS: Final = {"yaml": "pipelines/example.yaml", "python": "handlers/example.py"}

_SECTION = re.compile(r"^## (Bad|Good|Fix)\n", re.MULTILINE)
_BLOCK = re.compile(r'^```(\w+)(?: title="(\S+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class RuleText:
    """The text of one code.

    Args:
        code: A key of `CODES`.
        why: What goes wrong where nobody looks for it.
        bad: A project with the mistake, as Markdown.
        good: The same project without it, as Markdown.
        fix: How to put it right.
    """

    code: str
    why: str
    bad: str
    good: str
    fix: str

    @property
    def bad_files(self) -> Mapping[str, str]:
        """The files of the bad example by path; empty where no text can show the mistake."""
        return example_files(self.bad)

    @property
    def good_files(self) -> Mapping[str, str]:
        """The files of the good example by path."""
        return example_files(self.good)


def page_url(code: str) -> str:
    """The address of a code's page."""
    return f"{PAGES_URL}/{code}.md"


def rule_text(code: str) -> RuleText:
    """The text of a code.

    Args:
        code: A key of `CODES`.

    Raises:
        FileNotFoundError: when nobody has written it, which a test refuses.
    """
    text = resources.files("flowlang.diagnostics").joinpath("rules", f"{code}.md").read_text(encoding="utf-8")
    return read_rule_text(code, text)


def read_rule_text(code: str, text: str) -> RuleText:
    """Read the content of a file of `rules`.

    Args:
        code: Whose file it is.
        text: The content.

    Raises:
        ValueError: when it has not the three sections in their order.
    """
    why, *rest = _SECTION.split(text)
    names, bodies = rest[::2], [part.strip() for part in rest[1::2]]
    if names != ["Bad", "Good", "Fix"] or not all([why.strip(), *bodies]):
        raise ValueError(
            f"the text of {code} must say why, and have the sections Bad, Good and Fix, none of them empty"
        )
    return RuleText(code, why.strip(), *bodies)


def example_files(markdown: str) -> dict[str, str]:
    """The code blocks of a section by the path that each stands for."""
    return {path or _PATHS[language]: body for language, path, body in _BLOCK.findall(markdown)}


def rule_page(text: RuleText) -> str:
    """The page of a code, as Markdown."""
    code = CODES[text.code]
    return (
        f"# {code.code} {code.slug}\n\n{code.sentence}\n\n{text.why}\n\n"
        f"## Bad\n\n{with_paths(text.bad)}\n\n## Good\n\n{with_paths(text.good)}\n\n## Fix\n\n{text.fix}\n"
    )


def with_paths(markdown: str) -> str:
    """Code blocks with their paths above them, where they name one: no reader of Markdown shows it."""

    def titled(match: re.Match[str]) -> str:
        language, path, body = match.groups()
        return (f"`{path}`\n\n" if path else "") + f"```{language}\n{body}```"

    return _BLOCK.sub(titled, markdown)


def plain_lines(text: RuleText) -> Iterator[str]:
    """The page for a terminal: code is indented, and not framed."""
    code = CODES[text.code]
    yield from (f"{code.code} {code.slug}", "", code.sentence, "", text.why)
    for title, body in (("Bad", text.bad), ("Good", text.good)):
        yield from ("", title, "")
        yield _BLOCK.sub(_indented, body)
    yield from ("", "Fix", "", text.fix)


def _indented(match: re.Match[str]) -> str:
    path, body = match[2], match[3]
    head = f"{path}:\n" if path else ""
    return head + "\n".join(f"    {line}".rstrip() for line in body.rstrip("\n").split("\n"))
