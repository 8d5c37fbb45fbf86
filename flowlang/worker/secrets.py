"""`secrets` as expressions see it in `with`: read when asked for, from the environment or a file, and never stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowlang.errors import Permanent
from flowlang.handler.env import Secrets


class SecretsView(Mapping[str, str]):
    """A map whose keys cannot be listed.

    Args:
        secrets: Where values come from.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def __getitem__(self, name: str) -> str:
        try:
            return self._secrets[name]
        except Permanent as error:
            raise KeyError(name) from error

    def __contains__(self, name: object) -> bool:
        return name in self._secrets

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "secrets(***)"
