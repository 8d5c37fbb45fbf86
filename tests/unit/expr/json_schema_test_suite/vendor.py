"""Takes the JSON Schema test suite from a source distribution of `jsonschema`, as far as the law of types needs it.

pip download --no-binary jsonschema --no-deps --dest /tmp jsonschema
python -m tests.unit.expr.json_schema_test_suite.vendor /tmp/jsonschema-*.tar.gz
"""

from __future__ import annotations

import json
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

from flowlang.engine.schemas import EventValidator, SchemaError

HERE = Path(__file__).parent
README = """# JSON Schema test suite, draft 2020-12

From https://github.com/json-schema-org/JSON-Schema-Test-Suite (MIT, see `LICENSE`), as `{source}` carries it under
`json/`. Made by `vendor.py`; not edited by hand. Each file is a list of `description`, `schema`, and the instances that
are `valid` and `invalid` under it. {kept} schemas in {files} files, {valid} valid instances.

Left out by rule: `optional/format` (formats say nothing of types), and the {left} schemas that cannot be compiled
without fetching another document:

{names}
"""


def main(source: Path) -> None:
    """Write the files anew."""
    for old in HERE.glob("*.json"):
        old.unlink()
    kept = valid = 0
    files: dict[str, list[str]] = {}
    left: list[str] = []
    with tarfile.open(source) as archive:
        root = archive.getnames()[0].split("/")[0]
        for member in sorted(archive.getnames()):
            path = PurePosixPath(member)
            wanted = (f"{root}/json/tests/draft2020-12", f"{root}/json/tests/draft2020-12/optional")
            if str(path.parent) not in wanted or path.suffix != ".json":
                continue
            file = f"optional-{path.name}" if path.parent.name == "optional" else path.name
            for group in json.loads(_text(archive, member)):
                if not _stands_alone(group["schema"]):
                    left.append(f"- {file}: {group['description']}")
                    continue
                tests = group["tests"]
                case = {
                    "description": group["description"],
                    "schema": group["schema"],
                    "valid": [test["data"] for test in tests if test["valid"]],
                    "invalid": [test["data"] for test in tests if not test["valid"]],
                }
                files.setdefault(file, []).append(json.dumps(case))
                kept += 1
                valid += len(case["valid"])
        (HERE / "LICENSE").write_text(_text(archive, f"{root}/json/LICENSE"))
    for file, lines in files.items():
        (HERE / file).write_text("[\n" + ",\n".join(lines) + "\n]\n")
    counts = {"kept": kept, "files": len(files), "valid": valid, "left": len(left)}
    (HERE / "README.md").write_text(README.format(source=source.name, names="\n".join(left), **counts))


def _text(archive: tarfile.TarFile, member: str) -> str:
    file = archive.extractfile(member)
    assert file is not None
    return file.read().decode()


def _stands_alone(schema: Any) -> bool:
    try:
        EventValidator(schema)
    except SchemaError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]))
