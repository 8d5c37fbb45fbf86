"""Models become plans: names are resolved, expressions checked, and what is wrong is found, all of it in one pass.

Pure: what it works on is data (`ProjectInput`), what it gives is data (`Compiled`).
"""

from flowlang.compiler.inputs import Compiled, ProjectInput
from flowlang.compiler.project import compile_project

__all__ = ["Compiled", "ProjectInput", "compile_project"]
