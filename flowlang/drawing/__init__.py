"""Pictures as text: outlines of what runs one after another, networks of what leads to what; as Mermaid and as SVG.

Knows nothing of pipelines: it draws the data of `outline` and `network`. The same data gives the same text, on any
machine.
"""
