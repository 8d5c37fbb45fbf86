"""The error tree. Every exception that FlowLang raises on purpose descends from `FlowError`.

FlowError
├── ConfigError            settings, flowlang.yaml or the command line are unusable
├── DefinitionError        a handler or resource is declared wrongly, or a name has none
├── ProjectError           a project does not compile; carries diagnostics
├── StoreError             the store refused or cannot be reached
│   ├── StoreUnavailable   no answer; whether it was applied is unknown until the same flush is sent again
│   ├── HistoryLost        the store has gone back in time: what it had acknowledged to us is gone
│   ├── StoreFull          refused before its memory is full; nothing was stored
│   ├── NotDurable         applied, but not as safe as it should be
│   └── StaleEpoch         routed by an old manifest; route again by the active one
└── HandlerError           raised by handlers to say how a failure is to be treated
    ├── Transient          network, rate limits: try again
    │   └── RetryAfter     the same, not before so many seconds
    ├── Resource           locks, unavailable services: try again, more slowly
    ├── Permanent          bad data, authorisation: never try again
    ├── Cancelled          the attempt was told to stop, and did
    └── Snooze             come back later, without using an attempt
"""

from __future__ import annotations


class FlowError(Exception):
    """Root of all errors raised on purpose; anything else that escapes is a bug of ours."""


class ConfigError(FlowError):
    """Settings, `flowlang.yaml` or a command line cannot be used. The message says what would be right."""


class DefinitionError(FlowError):
    """A handler or resource is declared wrongly, or a name has no handler. The message says where and what is right."""


class StoreError(FlowError):
    """The store refused an operation."""


class StoreUnavailableError(StoreError):
    """The store gave no answer; the same flush may be sent again without applying it twice."""


class HistoryLostError(StoreError):
    """The store has lost what it had acknowledged to this process (a failover, a power cut); nothing was applied."""


class StoreFullError(StoreError):
    """The store's memory is nearly full; nothing was stored, and the sender may send it again later."""


class NotDurableError(StoreError):
    """The store has what was sent, but not as safe as `durable` asks for; the sender may send it again."""


class StaleEpochError(StoreError):
    """The operation was computed with a manifest that is no longer active."""


class HandlerError(FlowError):
    """A handler's failure with a class, a code and a message.

    Args:
        message: For people; it is stored in the journal, so it must hold no secret.
        code: Dotted lower-case name that `catch`, `tolerate` and retry policies can name, such as `stripe.declined`.
    """

    error_class: str = "bug"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Transient(HandlerError):  # noqa: N818 - the language's word for the class
    """Network trouble or a rate limit: another attempt may succeed."""

    error_class = "transient"


class RetryAfter(Transient):
    """Transient, and the service said when to come back.

    Args:
        seconds: Earliest next attempt, in seconds from now.
        message: As for `HandlerError`.
        code: As for `HandlerError`.
    """

    def __init__(self, seconds: float, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.seconds = seconds


class Resource(HandlerError):  # noqa: N818 - the language's word for the class
    """A lock, pool or service is unavailable: try again, more slowly."""

    error_class = "resource"


class Permanent(HandlerError):  # noqa: N818 - the language's word for the class
    """Bad data or missing authorisation: another attempt cannot succeed."""

    error_class = "permanent"


class Cancelled(HandlerError):  # noqa: N818 - the language's word for the class
    """The attempt was told to stop and did; `ctx.raise_if_cancelled()` raises it."""

    error_class = "cancelled"


class Snooze(HandlerError):  # noqa: N818 - the field's word
    """Not yet: come back later without using an attempt.

    Args:
        seconds: When to come back, in seconds from now.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"snoozed for {seconds} s")
        self.seconds = seconds
