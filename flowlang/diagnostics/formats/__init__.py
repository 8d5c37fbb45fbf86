"""The forms in which programs read findings, one a file, each with a function `write` from a report to a text.

A file has the name of its `Format`. It is loaded when its form is asked for: a command line that starts need not know
how XML is written.
"""
