"""Bounds of the expression language; each ends in a typed error, never in a crash or an endless loop."""

from __future__ import annotations

from typing import Final

#: Code points of one expression.
MAX_TEXT: Final = 20_000

#: Levels of nesting of the syntax tree. A level costs up to four Python frames, so this stays well below Python's 1000.
MAX_DEPTH: Final = 100

#: Problems reported for one text.
MAX_PROBLEMS: Final = 30

#: Units of work of one evaluation. A unit is about 20 ns or 4 bytes, so this is a bound on time and on memory.
MAX_WORK: Final = 4_000_000

#: Code points or octets of one text that an evaluation makes.
MAX_TEXT_VALUE: Final = 1 << 20

#: Elements of one list that a function makes out of numbers.
MAX_RANGE: Final = 1_000_000

#: Values in one result that is turned into JSON.
MAX_JSON_VALUES: Final = 1_000_000

#: Code points of a regular expression, and the memory in bytes that its compiled form may take.
MAX_PATTERN: Final = 2_000
MAX_PATTERN_MEMORY: Final = 1 << 20

#: Compiled expressions and templates that are kept.
CACHE_SIZE: Final = 4_096

#: Compiled patterns that are kept; each may grow to the memory above.
PATTERN_CACHE_SIZE: Final = 512
