"""FlowLang: declarative background jobs, checked before they run.

The public face is small and loaded lazily, so that `import flowlang.expr` never loads Redis or Dramatiq.
"""

__version__ = "0.1.0"
