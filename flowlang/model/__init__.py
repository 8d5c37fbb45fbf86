"""The language as data: YAML with positions, and its mirror in pydantic models.

Owns what a pipeline file and `flowlang.yaml` may look like. What the words mean together (names that must exist, types
of expressions, what can run) is the compiler's.
"""
