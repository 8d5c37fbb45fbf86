"""Lays the overlay of an environment over `flowlang.yaml`: on the tree, so that findings keep their places.

What an overlay writes replaces what the project says: of the maps below by their keys, of the others as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadMapping
from typing import Final

from flowlang.model import YamlDocument
from flowlang.model.yaml_nodes import Entry, Mapping, Scalar

#: Merged by key; their values are replaced.
_BY_KEY: Final = frozenset({"webhooks", "queues", "retries", "errors", "vars", "defaults", "limits"})

#: Keys of an overlay that are settings of processes, and no part of what is deployed.
_OF_PROCESSES: Final = ("lease",)

#: Keys that the project itself does not have.
_ALONE: Final = ("lease", "durable", "retention")


def overlaid(document: YamlDocument, environment: str) -> YamlDocument:
    """The document with an environment's overlay laid over it, and without the overlays.

    Args:
        document: A `flowlang.yaml` without mistakes of shape.
        environment: Its name; one that the project does not have changes nothing.
    """
    root = document.root
    overlay = _overlay(document, environment)
    if overlay is None or not isinstance(root, Mapping):
        return document
    entries = {name: entry for name, entry in root.entries.items() if name != "environments"}
    for name, entry in overlay.entries.items():
        if name == "retention":
            entries["defaults"] = _with_retention(entries.get("defaults"), entry)
    for name, entry in overlay.entries.items():
        if name not in _ALONE:
            entries[name] = _merged(entries[name], entry) if name in _BY_KEY and name in entries else entry
    return YamlDocument(document.source, Mapping(entries, root.start, root.end, root.flow))


def process_settings(document: YamlDocument, environment: str) -> ReadMapping[str, str]:
    """What an overlay says of the settings of processes, as it is written.

    Args:
        document: A `flowlang.yaml` without mistakes of shape.
        environment: The overlay's name.
    """
    overlay = _overlay(document, environment)
    entries = {} if overlay is None else overlay.entries
    values = {name: entries[name].value for name in _OF_PROCESSES if name in entries}
    return {name: value.text for name, value in values.items() if isinstance(value, Scalar)}


def _overlay(document: YamlDocument, environment: str) -> Mapping | None:
    node = document.root
    for name in ("environments", environment):
        if not isinstance(node, Mapping) or name not in node.entries:
            return None
        node = node.entries[name].value
    return node if isinstance(node, Mapping) else None


def _merged(base: Entry, over: Entry) -> Entry:
    if not isinstance(base.value, Mapping) or not isinstance(over.value, Mapping):
        return over
    entries = {**base.value.entries, **over.value.entries}
    return Entry(base.key, Mapping(entries, base.value.start, base.value.end, base.value.flow))


def _with_retention(defaults: Entry | None, retention: Entry) -> Entry:
    """`retention` of an overlay is that of `defaults`, in short."""
    value = Mapping({"retention": retention}, retention.key.start, retention.value.end, flow=False)
    short = Entry(retention.key, value)
    return short if defaults is None else _merged(defaults, short)
