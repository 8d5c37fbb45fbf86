"""The language as data: YAML with positions, and its mirror in pydantic models.

Owns what a pipeline file and `flowlang.yaml` may look like. What the words mean together (names that must exist, types
of expressions, what can run) is the compiler's.
"""

from flowlang.model.load import PipelineDocument, load_pipelines, load_project_file
from flowlang.model.load_tests import TestDocument, load_tests
from flowlang.model.pipeline import Pipeline
from flowlang.model.pipeline_tests import PipelineTest
from flowlang.model.project_file import ProjectFile
from flowlang.model.step import Step
from flowlang.model.yaml_nodes import Path, YamlDocument

__all__ = [
    "Path",
    "Pipeline",
    "PipelineDocument",
    "PipelineTest",
    "ProjectFile",
    "Step",
    "TestDocument",
    "YamlDocument",
    "load_pipelines",
    "load_project_file",
    "load_tests",
]
