"""FlowLang's own settings: each declared once, with its variable and the sentence that documents it.

Owns reading them from flags, `FLOWLANG_*` variables and `flowlang.yaml`, in this order of precedence, and saying what
is wrong with one. Settings and secrets of handlers are left to `handler.env`. It is cheap to import, since every
command does so. The page `docs/reference/settings.md` is written from here (`python -m flowlang.cli.settings_page`).
"""

# ruff: noqa: RUF009 - `_setting` makes a `dataclasses.field`, which the rule cannot see

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from flowlang.durations import DurationError, format_duration, parse_duration
from flowlang.errors import ConfigError
from flowlang.keyring import Keyring
from flowlang.rates import RateError, parse_rate

PREFIX: Final = "FLOWLANG_"

#: The environment in which tests may move the store's clock.
TEST: Final = "test"

#: What stands for no bound, where a rate may be.
NO_RATE: Final = "none"

#: The environment in which a token of `flowlang dev` is refused.
PRODUCTION: Final = "production"

_NAME = re.compile(r"[a-z][a-z0-9-]*")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f]*:[0-9a-f:.]+")  # a name, or an address of IPv6
_TOKEN_LENGTH: Final = 32
_SCHEMES: Final = ("redis", "rediss", "unix")
_REDIS_PORT: Final = 6379
_RABBITMQ_SCHEMES: Final = ("amqp", "amqps")


class LogFormat(StrEnum):
    """How processes write what they have to say."""

    TEXT = "text"  #: for people
    JSON = "json"  #: one object a line


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    Args:
        name: Attribute of `Settings`.
        variable: Variable of the environment.
        sentence: What it is for.
        default: As a page shows it.
        read: Makes the value of a text; raises `ValueError` with what would be right.
        secret: Its value may hold a password: it is never shown, and `<variable>_FILE` may name a file with it.
        project_key: Key of `flowlang.yaml` (and its overlays) that sets it, or None.
    """

    name: str
    variable: str
    sentence: str
    default: str
    read: Callable[[str], Any]
    secret: bool = False
    project_key: str | None = None


def _setting(
    variable: str,
    read: Callable[[str], Any],
    default: Any,
    sentence: str,
    *,
    shown: str | None = None,
    secret: bool = False,
    project_key: str | None = None,
) -> Any:
    """Declare a field of `Settings`; `shown` stands for a default that depends on something else."""
    about = {"variable": PREFIX + variable, "read": read, "sentence": sentence, "shown": shown}
    return field(default=default, metadata={**about, "secret": secret, "project_key": project_key})


def _store_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"it is no URL ({error}); write such as redis://127.0.0.1:6379/0") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError("it must begin with redis://, rediss:// or unix://, such as redis://127.0.0.1:6379/0")
    if not (parts.path if parts.scheme == "unix" else host):
        raise ValueError(f"it names no {'socket' if parts.scheme == 'unix' else 'host'}, as redis://127.0.0.1:6379/0")
    _database(parts)
    return text


def _broker_url(text: str) -> str:
    scheme = text.partition("://")[0]
    if scheme not in _RABBITMQ_SCHEMES:
        if scheme not in _SCHEMES:
            raise ValueError(
                "it must begin with redis://, rediss:// or unix://, or with amqp:// or amqps:// for RabbitMQ, "
                "such as redis://127.0.0.1:6379/1"
            )
        return _store_url(text)
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"it is no URL ({error}); write such as amqp://127.0.0.1:5672/%2F") from None
    if not host:
        raise ValueError("it names no host, as amqp://127.0.0.1:5672/%2F")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name has small letters, digits and `-`, such as `production`")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(_name(part.strip()) for part in text.split(",") if part.strip())


def _hosts(text: str) -> tuple[str, ...]:
    names = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for name in names:
        if not _HOST.fullmatch(name):
            raise ValueError(f"{_shown(name)} is no name of a host: write such as hooks.example.com, without a port")
    return names


def _rate(text: str) -> str:
    try:
        if text != NO_RATE:
            parse_rate(text)
    except RateError as error:
        raise ValueError(f"{error.message}; {error.hint}, or `none`" if error.hint else error.message) from None
    return text


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"{error}; write addresses or networks such as 10.0.0.0/8, with commas between") from None


def _token(text: str) -> str:
    if len(text) < _TOKEN_LENGTH or not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError(f"it has at least {_TOKEN_LENGTH} letters and digits that nobody can guess")
    return text


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # `int` takes more than people mean by a number: signs, underscores, spaces, digits of other scripts
        if not (text.isascii() and text.isdigit() and low <= int(text[:12]) <= high):
            raise ValueError(f"it is a whole number from {low} to {high}")
        return int(text)

    return read


def _span(low: str, high: str) -> Callable[[str], timedelta]:
    def read(text: str) -> timedelta:
        try:
            span = parse_duration(text)
        except DurationError as error:
            raise ValueError(f"{error.message}; {error.hint}" if error.hint else error.message) from None
        if not parse_duration(low) <= span <= parse_duration(high):
            raise ValueError(f"it is a duration from {low} to {high}")
        return span

    return read


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"it is one of {', '.join(words)}")
        return text.lower()

    return read


def _log_format(text: str) -> LogFormat:
    return LogFormat(_one_of(*LogFormat)(text))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process of FlowLang goes by. Made by `from_env`."""

    redis_url: str | None = _setting(
        "REDIS_URL",
        _store_url,
        None,
        "The Redis 7 or Valkey server that holds runs and events.",
        shown="the server of the `flowlang dev` that runs in the project's folder",
        secret=True,
    )
    broker_url: str | None = _setting(
        "BROKER_URL",
        _broker_url,
        None,
        "The Redis or Valkey database, or the virtual host of a RabbitMQ, that carries hints to workers.",
        shown="the store's server, with the next database number",
        secret=True,
    )
    encryption_keys: Keyring = _setting(
        "ENCRYPTION_KEYS",
        Keyring.read,
        Keyring(),
        "Keys of stored payloads as `id:base64`, with commas between: the first one closes, the others only open. "
        "`flowlang keys generate` writes one.",
        shown="payloads are stored as they are",
        secret=True,
    )
    encryption_plain: str = _setting(
        "ENCRYPTION_PLAIN",
        _one_of("accept", "refuse"),
        "accept",
        "With keys: whether stored payloads that are not encrypted are opened. `refuse` it when `flowlang keys list` "
        "shows none.",
    )
    namespace: str = _setting(
        "NAMESPACE", _name, "flowlang", "First part of every key, so that several stores can share a database."
    )
    environment: str = _setting(
        "ENV",
        _name,
        "development",
        "Which overlay of `flowlang.yaml` applies. In `test` the store's clock may be moved.",
    )
    project: Path = _setting("PROJECT", Path, Path(), "Folder of the project, with its `flowlang.yaml`.")
    http_host: str = _setting("HTTP_HOST", str, "127.0.0.1", "Address on which HTTP is served.")
    http_port: int = _setting("HTTP_PORT", _whole(0, 65_535), 8787, "Port on which HTTP is served; 0 takes a free one.")
    http_hosts: tuple[str, ...] = _setting(
        "HTTP_HOSTS",
        _hosts,
        (),
        "Names that HTTP is called by, with commas between; a request to another name is refused.",
        shown="loopback's names when it is served there, else any",
    )
    dev_token: str | None = _setting(
        "DEV_TOKEN",
        _token,
        None,
        "An API key that may do everything; refused in `production`. `flowlang dev` makes its own.",
        shown="none",
        secret=True,
    )
    http_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        "HTTP_PROXIES",
        _networks,
        (),
        "Addresses or networks of proxies, with commas between, whose `X-Forwarded-For` says where a request is from.",
        shown="none: the other end of the connection is the client",
    )
    http_connections: int = _setting(
        "HTTP_CONNECTIONS", _whole(1, 1_000_000), 1_000, "Connections that a process of HTTP has at a time."
    )
    http_connections_ip: int = _setting(
        "HTTP_CONNECTIONS_IP",
        _whole(1, 1_000_000),
        500,
        "Of them, those of an address that is not this machine's and none of `FLOWLANG_HTTP_PROXIES`.",
    )
    rate_ip: str = _setting(
        "RATE_IP", _rate, "1000/s", "Requests of an address that is not this machine's, such as `1000/s`, or `none`."
    )
    rate_key: str = _setting(
        "RATE_KEY",
        _rate,
        "50000/s",
        "Requests of an API key that has no rate of its own, each event of a list counted; or `none`.",
    )
    rate_webhook: str = _setting("RATE_WEBHOOK", _rate, "5000/s", "Verified deliveries of a webhook; or `none`.")
    processes: int = _setting("PROCESSES", _whole(1, 256), 2, "Processes of a `flowlang worker`.")
    threads: int = _setting(
        "THREADS",
        _whole(1, 1_024),
        8,
        "Threads of a worker process: so many handlers that are plain functions run at a time.",
    )
    queues: tuple[str, ...] = _setting(
        "QUEUES", _names, (), "Queues that a worker serves, with commas between.", shown="all of the project"
    )
    lease: timedelta = _setting(
        "LEASE",
        _span("1s", "10m"),
        timedelta(seconds=10),
        "How long a worker holds a step without a sign of life; a dead worker's steps are taken over after it.",
        project_key="lease",
    )
    shutdown: timedelta = _setting(
        "SHUTDOWN",
        _span("0s", "1h"),
        timedelta(seconds=30),
        "How long running attempts may go on when a process is told to stop; then they are handed back.",
    )
    egress: str = _setting(
        "EGRESS",
        _one_of("public", "listed"),
        "public",
        "Where built-in handlers may connect to: `public` addresses and what is listed, or only what is `listed`.",
    )
    egress_allow: tuple[str, ...] = _setting(
        "EGRESS_ALLOW",
        _words,
        (),
        "Names and networks that built-in handlers may connect to although they are private, with commas between: "
        "`crm.internal`, `*.internal`, `10.1.0.0/16`, `localhost:8080`.",
        shown="none",
    )
    egress_ports: tuple[str, ...] = _setting(
        "EGRESS_PORTS",
        _words,
        (),
        "Ports that built-in handlers may connect to, with commas between: `443`, `8000-8099`.",
        shown="all",
    )
    log_format: LogFormat = _setting(
        "LOG", _log_format, LogFormat.TEXT, "How logs are written: `text` for people, `json` for programs."
    )
    log_level: str = _setting(
        "LOG_LEVEL",
        _one_of("debug", "info", "warning", "error"),
        "info",
        "What is logged at least: `debug`, `info`, `warning` or `error`.",
    )

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str],
        overrides: Mapping[str, str | None] | None = None,
        project: Mapping[str, str] | None = None,
    ) -> Self:
        """Read the settings. Flags win over variables, those over `flowlang.yaml`, that over defaults.

        Args:
            environ: Variables; an empty one counts as not set.
            overrides: Texts of command line flags by setting name; None is a flag that was not given.
            project: Texts of `flowlang.yaml`, the overlay applied, by key.

        Raises:
            ConfigError: naming the flag, variable or key, and what would be right.
        """
        values: dict[str, Any] = {}
        for setting in declared():
            found = _find(setting, environ, overrides or {}, project or {})
            if found is None:
                continue
            origin, text = found
            try:
                values[setting.name] = setting.read(text)
            except ValueError as error:
                was = "" if setting.secret else f" is {_shown(text)}"
                raise ConfigError(f"{origin}{was}: {error}") from None
        return cls(**values)

    @property
    def broker(self) -> str | None:
        """Where hints go: `broker_url`, else the store's server with the next database; None without a store."""
        if self.broker_url is not None:
            return self.broker_url
        return None if self.redis_url is None else next_database(self.redis_url)

    @property
    def is_test(self) -> bool:
        """Whether the store's clock may be moved."""
        return self.environment == TEST

    def environ(self) -> dict[str, str]:
        """Write the settings as variables, for a child process: what it reads from them is equal to these."""
        texts = {setting.variable: _text(getattr(self, setting.name)) for setting in declared()}
        texts[f"{PREFIX}PROJECT"] = str(self.project.resolve())
        return {variable: text for variable, text in texts.items() if text}


def declared() -> Iterator[Setting]:
    """All settings in the order of their page."""
    for item in fields(Settings):
        about = item.metadata
        default = about["shown"] or f"`{_text(item.default)}`"
        yield Setting(
            item.name,
            about["variable"],
            about["sentence"],
            default,
            about["read"],
            about["secret"],
            about["project_key"],
        )


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none: most likely misspelt."""
    known = {setting.variable for setting in declared()}
    known |= {f"{setting.variable}_FILE" for setting in declared() if setting.secret}
    known |= {f"{PREFIX}TEST_{name}" for name in ("REDIS_URL", "RABBITMQ_URL", "EXAMPLES")}  # of our own tests
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def next_database(url: str) -> str:
    """The same server with the database number one higher."""
    parts = urlsplit(url)
    number = str(_database(parts) + 1)
    query = parse_qsl(parts.query)
    if parts.scheme == "unix" or any(key == "db" for key, _ in query):
        rest = [(key, value) for key, value in query if key != "db"]
        return _joined(parts._replace(query=urlencode([*rest, ("db", number)])))
    return _joined(parts._replace(path=f"/{number}"))


def same_database(one: str, other: str) -> bool:
    """Whether two addresses of Redis or Valkey name the same database, however each is written."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, int, int] | str:
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        return url
    host = parts.path if parts.scheme == "unix" else (parts.hostname or "").lower()
    return "127.0.0.1" if host == "localhost" else host, parts.port or _REDIS_PORT, _database(parts)


def safe_url(url: str) -> str:
    """A URL as it may be shown: with a password neither before the host nor among the parameters."""
    try:
        parts = urlsplit(url)
        query = [(key, "***" if "pass" in key.lower() else value) for key, value in parse_qsl(parts.query)]
    except ValueError:
        return "(no URL)"
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    shown = f"{name}{':***' if colon else ''}{at}{host}"
    return _joined(parts._replace(netloc=shown, query=urlencode(query, safe="*/")))


def _joined(parts: SplitResult) -> str:
    """The URL of its parts; `urlunsplit` would drop the `//` of `unix://`."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if parts.query else ''}{parts.query}"


def _database(parts: SplitResult) -> int:
    """Number of the database, as redis-py reads it: the parameter `db`, else the path."""
    given = dict(parse_qsl(parts.query)).get("db")
    text = (parts.path.strip("/") if parts.scheme != "unix" else "") if given is None else given
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError(f"{_shown(text)} is no database number; write such as redis://127.0.0.1:6379/0")
    return int(text or 0)


def _find(
    setting: Setting, environ: Mapping[str, str], overrides: Mapping[str, str | None], project: Mapping[str, str]
) -> tuple[str, str] | None:
    """Where a setting's text comes from, and the text; None when nobody gives one."""
    given = overrides.get(setting.name)
    if given is not None:
        return f"--{setting.name.replace('_', '-')}", given
    if text := environ.get(setting.variable, "").strip():
        return setting.variable, text
    if setting.secret and (path := environ.get(f"{setting.variable}_FILE", "").strip()):
        return f"{setting.variable}_FILE", _content(f"{setting.variable}_FILE", path)
    if setting.project_key is not None and setting.project_key in project:
        return f"`{setting.project_key}` in flowlang.yaml", project[setting.project_key]
    return None


def _content(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{variable}: {path} cannot be read ({type(error).__name__})") from None


def _text(value: Any) -> str:
    """A value as a variable or a page has it; empty for one that is not set."""
    match value:
        case None:
            return ""
        case timedelta():
            return format_duration(value)
        case tuple():
            return ",".join(map(str, value))
        case Keyring():
            return value.spelled()
        case _:
            return str(value)


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else line[:59] + "…")
