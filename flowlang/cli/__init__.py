"""The command line: reading what was asked for, calling the use cases, showing what they answer.

Data goes to stdout and talk to stderr, so that output can be piped; `--json` gives data a stable, versioned shape. What
is decided, stored or checked is left to the layers below, which are reached through `wiring` alone.
"""
