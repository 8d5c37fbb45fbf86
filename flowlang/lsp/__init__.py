"""The server of editors: findings while somebody types, completion, hovering, definitions, renaming and quick fixes.

`server` speaks the protocol (pygls, the extra `lsp`); all else knows texts, offsets and projects, and nothing of it.
"""
