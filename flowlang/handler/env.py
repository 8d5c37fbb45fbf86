"""Settings and secrets as handlers and resources read them.

Owns look-up, clear errors for what is missing, and forgetting no secret that it handed out, so that messages can be
cleaned of them. It leaves FlowLang's own settings to `flowlang.settings`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import overload

from flowlang.errors import Permanent
from flowlang.redaction import SECRETS, KnownSecrets, Mask

#: Where secrets are looked up, in this order, when `flowlang.yaml` does not say it: `secrets: {from: …}`.
PLACES = ("env", "files")


class Secrets:
    """Secrets by name, read when asked for: from the variable `NAME`, or from the file that `NAME_FILE` names.

    Values are never shown: not by `repr`, and not in errors, which are cleaned of every value handed out.

    Args:
        source: Variables to read; the process's own by default, a plain mapping in tests.
        places: Says where to look, in this order: `env`, the variable itself, and `files`. Asked each time, since a
            deploy may change it.
    """

    def __init__(
        self, source: Mapping[str, str] | None = None, *, places: Callable[[], Sequence[str]] = lambda: PLACES
    ) -> None:
        self._source: Mapping[str, str] = os.environ if source is None else source
        self._places = places
        self._known = KnownSecrets()

    def __getitem__(self, name: str) -> str:
        """Return a secret's value.

        Raises:
            Permanent: with code `secret.missing` when it is in none of the places.
        """
        value = self._read(name)
        if value is None:
            ways = {"env": f"the variable {name}", "files": f"{name}_FILE to the path of a file"}
            advice = ", or ".join(ways[place] for place in self._places())
            raise Permanent(f"the secret {name!r} is missing: set {advice}", code="secret.missing")
        self._known.add(value)
        SECRETS.add(value)
        return value

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a secret's value, or the default when it is missing."""
        if name not in self:
            return default
        return self[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._read(name) is not None

    @property
    def mask(self) -> Mask:
        """What hides every secret that was handed out."""
        return self._known.mask

    def redact(self, text: str) -> str:
        """Return the text with every secret that was handed out replaced, in each spelling that it may have."""
        return self._known.mask.text(text)

    def _read(self, name: str) -> str | None:
        for place in self._places():
            value = self._source.get(name) if place == "env" else self._content(name)
            if value is not None:
                return value
        return None

    def _content(self, name: str) -> str | None:
        path = self._source.get(f"{name}_FILE")
        if path is None:
            return None
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise Permanent(
                f"the secret {name!r} cannot be read from the file that {name}_FILE names: {type(error).__name__}",
                code="secret.missing",
            ) from None

    def __repr__(self) -> str:
        return "<Secrets>"


class Env:
    """Settings of the services that handlers talk to, such as base URLs: `ctx.env["MUX_BASE_URL"]`.

    They are variables of the process, as `FLOWLANG_ENV` and the deployment set them.

    Args:
        source: Variables to read; the process's own by default, a plain mapping in tests.
        secrets: Where `secrets` reads; the same source by default.
        places: Where secrets are looked up; see `Secrets`.
    """

    def __init__(
        self,
        source: Mapping[str, str] | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        places: Callable[[], Sequence[str]] = lambda: PLACES,
    ) -> None:
        self._source: Mapping[str, str] = os.environ if source is None else source
        self.secrets = Secrets(self._source if secrets is None else secrets, places=places)

    def __getitem__(self, name: str) -> str:
        """Return a setting.

        Raises:
            Permanent: with code `setting.missing` when the variable is not set.
        """
        try:
            return self._source[name]
        except KeyError:
            raise Permanent(
                f"the setting {name!r} is missing: set the variable {name}", code="setting.missing"
            ) from None

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return a setting, or the default when the variable is not set."""
        return self._source.get(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self._source

    def __repr__(self) -> str:
        return "<Env>"
