"""Finds the comments of a project's files, and the ignores among them. What an ignore does is said in `diagnostics`."""

from __future__ import annotations

import io
import re
import tokenize
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from flowlang.diagnostics import Diagnostic
from flowlang.diagnostics.ignores import OURS, Ignore, read_ignores
from flowlang.model import YamlDocument
from flowlang.model.yaml_nodes import Mapping as MapNode
from flowlang.model.yaml_nodes import Node, Scalar
from flowlang.model.yaml_source import read_yaml
from flowlang.source import SourceText

_YAML_COMMENT = re.compile(r"(?:(?<=[ \t])|^)#[^\r\n]*", re.MULTILINE)


def project_ignores(
    sources: Mapping[str, SourceText], documents: Iterable[YamlDocument] = ()
) -> tuple[list[Ignore], list[Diagnostic]]:
    """The ignores in the files of a project, and what is wrong with them.

    Args:
        sources: Path → content; of files of other kinds than YAML and Python there are none.
        documents: All documents of some of the files, so that those need not be read again.
    """
    known: dict[str, list[YamlDocument]] = {}
    for document in documents:
        known.setdefault(document.source.path, []).append(document)
    ignores: list[Ignore] = []
    found: list[Diagnostic] = []
    for path, source in sources.items():
        if OURS.search(source.text) is None:
            continue
        if path.lower().endswith((".yaml", ".yml")):
            read, mistakes = read_ignores(source, yaml_comments(source, known.get(path)))
        elif path.endswith(".py"):
            read, mistakes = read_ignores(source, python_comments(source))
        else:
            continue
        ignores += read
        found += mistakes
    return ignores, found


def certain(about: Iterable[Diagnostic], project: YamlDocument | None, *, whole: bool) -> list[Diagnostic]:
    """What can be said of ignores: that one is unused only where all was looked for.

    Args:
        about: The findings about ignores.
        project: `flowlang.yaml`, of whose environments only one is looked at.
        whole: Whether nothing was left unlooked at because of mistakes, or since it is no matter of a deploy.
    """
    overlays = None
    if project is not None and isinstance(project.root, MapNode) and "environments" in project.root.entries:
        overlays = project.root.entries["environments"].value
    found = []
    for item in about:
        in_overlay = (
            overlays is not None
            and project is not None
            and item.span.path == project.source.path
            and overlays.start <= item.span.start <= overlays.end
        )
        if item.code != "FL902" or (whole and not in_overlay):
            found.append(item)
    return found


def yaml_comments(source: SourceText, documents: Sequence[YamlDocument] | None = None) -> Iterator[tuple[int, int]]:
    """Where comments stand in YAML: at each `#` behind a blank that is not inside of a text.

    Args:
        source: The file.
        documents: Its documents; by default they are read.
    """
    read = read_yaml(source)[0] if documents is None else documents
    texts = sorted(place for document in read for place in _texts(document))
    for match in _YAML_COMMENT.finditer(source.text):
        before = bisect_left(texts, (match.start(), 0)) - 1
        if before < 0 or texts[before][1] <= match.start():
            yield match.span()


def python_comments(source: SourceText) -> Iterator[tuple[int, int]]:
    """Where comments stand in Python; none from where on it cannot be read."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source.text, newline="").readline):
            if token.type == tokenize.COMMENT:
                start = source.line_start(token.start[0]) + token.start[1]
                yield start, start + len(token.string)
    except (tokenize.TokenError, SyntaxError):
        return


def _texts(document: YamlDocument) -> Iterator[tuple[int, int]]:
    """Where the quoted and block texts of a document stand; the others cannot hold a comment."""
    pending: list[Node] = [document.root]
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:  # aliases lead to the same node
            continue
        seen.add(id(node))
        if isinstance(node, Scalar):
            if node.style:
                yield node.start, node.end
        elif isinstance(node, MapNode):
            for entry in node.entries.values():
                pending += (entry.key, entry.value)
        else:
            pending += node.items
