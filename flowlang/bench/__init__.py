"""Measuring a machine: `flowlang bench`, and what the project's own benchmarks share with it.

Owns filling a store with runs, letting worker processes work them off, and the rates, times and costs that follow.
What is printed is left to the command line.
"""
