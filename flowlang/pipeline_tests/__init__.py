"""Runs pipeline tests: the production interpreter on virtual time, scripted handlers, injected crashes.

Owns running a test and saying what came of it. Reading tests is `flowlang.project`'s, the words of a test are
`flowlang.model.pipeline_tests`'s, and what a terminal shows is the command line's.
"""

from flowlang.pipeline_tests.coverage import Coverage, coverage_of
from flowlang.pipeline_tests.result import Failure, TestResult
from flowlang.pipeline_tests.suite import Suite

__all__ = ["Coverage", "Failure", "Suite", "TestResult", "coverage_of"]
