"""The YAML parser at arm's length: a text becomes parser events, and whatever it raises becomes a `YamlProblem`.

libyaml's parser is used where PyYAML was built with it, else PyYAML's own; both give the same events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import yaml
from yaml.events import Event


class EventSource(Protocol):
    """What both parsers offer."""

    def check_event(self, *choices: type[Event]) -> bool:
        """Whether there is another event."""

    def get_event(self) -> Event | None:
        """The next event."""


class PythonParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML's parser in Python, without the layers that build values."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


def default_parser(text: str) -> EventSource:
    """The fastest parser of this installation."""
    if yaml.__with_libyaml__:
        from yaml._yaml import CParser  # noqa: PLC0415 - absent where PyYAML was built without libyaml

        return CParser(text)
    return PythonParser(text)


class YamlProblem(Exception):  # noqa: N818 - never leaves the loader
    """The parser gave up.

    Args:
        offset: Where, in code points from the start of the text.
        problem: The parser's words.
        context: What it was doing, in its words; may be empty.
        context_offset: Where that began, or None.
    """

    def __init__(self, offset: int, problem: str, context: str = "", context_offset: int | None = None) -> None:
        super().__init__(problem)
        self.offset = offset
        self.problem = problem
        self.context = context
        self.context_offset = context_offset


def events(text: str, parser: Any = default_parser) -> Iterator[Event]:
    """The events of a text.

    Args:
        text: Without characters that YAML forbids.
        parser: Makes an `EventSource` of a text.

    Raises:
        YamlProblem: when the parser cannot go on.
    """
    offset = 0
    try:
        source = parser(text)
        while source.check_event():
            event = source.get_event()
            if event.end_mark is not None:
                offset = event.end_mark.index
            yield event
    except yaml.MarkedYAMLError as error:
        mark, context_mark = error.problem_mark, error.context_mark
        raise YamlProblem(
            offset=mark.index if mark is not None else offset,
            problem=error.problem or "",
            context=error.context or "",
            context_offset=context_mark.index if context_mark is not None else None,
        ) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The parser in Python does not check escapes such as "\UFFFFFFFF" before it makes a character of them.
        raise YamlProblem(offset=offset, problem=str(error)) from None
