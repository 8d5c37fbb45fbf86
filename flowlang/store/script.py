"""The store's one function on the server, put together from its parts.

What Python already knows is written once, there: keys come from `keys`, bounds from the reference, and the defaults of
operations from their Structs, since a value that equals its default is not sent.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from flowlang.engine import ops
from flowlang.engine.reference import children, events, lines, slots, tables
from flowlang.store.keys import lua_table

#: In the order in which they need each other.
PARTS = (
    "msgpack",
    "sorted",
    "rows",
    "serving",
    "scopes",
    "kept",
    "events",
    "groups",
    "children",
    "accept",
    "holding",
    "lines",
    "slots",
    "paces",
    "windows",
    "gates",
    "terms",
    "claim",
    "upkeep",
    "apply",
    "rates",
    "rewrap",
)

#: Begins the names of all releases' libraries.
PREFIX = "flowlang_"
#: How long the last reply of a process is kept for a repeated flush.
FLUSH_MS = 86_400_000
#: Keys live so much longer than what they say, so that the sweep comes before the server's own expiry.
GRACE_MS = 3_600_000

_WITH_DEFAULTS: tuple[type[msgspec.Struct], ...] = (
    ops.Timer,
    ops.Wait,
    ops.Parent,
    ops.Delayed,
    ops.Group,
    ops.Join,
    ops.Slot,
    ops.Pace,
    ops.Window,
    ops.RunSeed,
    ops.EventRow,
    ops.Accept,
    ops.Finish,
    ops.Commit,
    ops.Renew,
    ops.Release,
    ops.Cancel,
    ops.Sweep,
    ops.Deploy,
    ops.Prune,
    ops.ResolveDead,
    ops.Delete,
    ops.Leave,
    ops.QueueTerms,
    ops.ClaimRequest,
)

_PRELUDE = """{keys}{constants}
local DEFAULTS = {{
{defaults}}}
local function with_defaults(value, name) return setmetatable(value, DEFAULTS[name]) end
"""

#: Stands before all: what is of the call at hand, and what parts forget between two of them.
_HEAD = """#!lua name={name}
local NAME = '{name}'
local K, NOW, EPOCH
local forgetting, tables = {{}}, {{}}
local function each_call(forget) forgetting[#forgetting + 1] = forget end
-- There are no libraries, and no metatables, while a library is read.
local preparing = {{}}
local function first_call(prepare) preparing[#preparing + 1] = prepare end
-- Values that an operation has when it does not say others. Empty ones are one table that refuses to be changed.
local EMPTY = {{}}
first_call(function() setmetatable(EMPTY, {{__newindex = function() error('a default is changed') end}}) end)
local function otherwise(values) return {{__index = values}} end
"""

#: Stands behind the prelude: how a call begins.
_BEGIN = """
local function begin(base, test_clock)
  for i = 1, #preparing do preparing[i]() end
  preparing = EMPTY
  K = tables[base]
  if not K then
    K = keys_of(base)
    tables[base] = K
  end
  local time = redis.call('TIME')
  NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  if test_clock then NOW = NOW + tonumber(redis.call('GET', K.clock) or '0') end
  EPOCH = tonumber(redis.call('HGET', K.active, 'epoch') or '0')
  for i = 1, #forgetting do forgetting[i]() end
end
"""


@cache
def source() -> str:
    """The whole library, as `FUNCTION LOAD` takes it.

    A library is read once: a script would be run from its top at each call, which takes longer than a small flush.
    """
    return _HEAD.format(name=name()) + _body()


@cache
def name() -> str:
    """The name of the library and of its function; another text has another name, so that releases live together."""
    return f"{PREFIX}{hashlib.sha256(_body().encode()).hexdigest()[:16]}"


@cache
def _body() -> str:
    folder = files("flowlang.store") / "lua"
    parts = [(folder / f"{part}.lua").read_text(encoding="utf-8") for part in PARTS]
    return "\n".join([_prelude(), _BEGIN, *parts])


def _prelude() -> str:
    constants = {
        "SEP": tables.SEP,
        "CLAIM_TIMERS": tables.CLAIM_TIMERS,
        "CLAIM_DROPS": tables.CLAIM_DROPS,
        "MAX_AHEAD_MS": tables.MAX_AHEAD_MS,
        "SCOPE_DEPTH": tables.SCOPE_DEPTH,
        "MAIL_DROPS": events.MAIL_DROPS,
        "ORPHANED": children.ORPHANED,
        "HINT_MS": tables.HINT_MS,
        "SUSPECT": ops.SUSPECT,
        "RANKS": tables.RANKS,
        "WORKER_IDLE_MS": tables.WORKER_IDLE_MS,
        "WORKER_LISTED_MS": tables.WORKER_LISTED_MS,
        "FLUSH_MS": FLUSH_MS,
        "GRACE_MS": GRACE_MS,
        "BACK_AHEAD_MS": lines.BACK_AHEAD_MS,
        "NEWER": slots.NEWER,
        "ENDING_WAITS": tables.ENDING_WAITS,
        "ENDING_TIMERS": dict.fromkeys(tables.ENDING_TIMERS, True),
    }
    return _PRELUDE.format(
        keys=lua_table(),
        constants="\n".join(f"local {name} = {_literal(value)}" for name, value in constants.items()),
        defaults="".join(f"  {kind.__name__} = otherwise({_defaults(kind)}),\n" for kind in _WITH_DEFAULTS),
    )


def _defaults(kind: type[msgspec.Struct]) -> str:
    known = []
    for field in msgspec.structs.fields(kind):
        value = field.default if field.default is not msgspec.NODEFAULT else _made(field.default_factory)
        if value is not None:
            known.append(f"{field.encode_name} = {_literal(value)}")
    return "{" + ", ".join(known) + "}"


def _made(factory: Any) -> Any:
    return None if factory is msgspec.NODEFAULT else factory()


def _literal(value: Any) -> str:
    """Write a default as Lua: whole numbers, booleans, texts without quotes, and empty collections."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str() | bytes():
            text = value if isinstance(value, str) else value.decode("ascii")
            return "'" + "".join(f"\\{ord(char)}" if not char.isalnum() else char for char in text) + "'"
        case dict() if value:
            return "{" + ", ".join(f"[{_literal(name)}] = {_literal(one)}" for name, one in value.items()) + "}"
        case () | [] | {}:
            return "EMPTY"
        case _:
            raise TypeError(f"{value!r} cannot be a default of an operation: the script has no literal for it")
