"""`python -m tests.conformance DIR`: judge every case of a folder and print passed/total for each file.

With `-v`, each failed case is printed too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conformance.cases import judge, load


def main(arguments: list[str]) -> int:
    folders = [argument for argument in arguments if not argument.startswith("-")]
    if len(folders) != 1:
        sys.stderr.write("usage: python -m tests.conformance [-v] DIR\n")
        return 2
    files = sorted(Path(folders[0]).glob("*.json"))
    if not files:
        sys.stderr.write(f"there are no *.json files in {folders[0]}\n")
        return 2
    passed_of_all = total_of_all = 0
    for file in files:
        cases = load(file)
        failures = [(case, reason) for case in cases if (reason := judge(case)) is not None]
        passed = len(cases) - len(failures)
        passed_of_all += passed
        total_of_all += len(cases)
        sys.stdout.write(f"{file.stem:20} {passed:4}/{len(cases)}\n")
        if "-v" in arguments:
            for case, reason in failures:
                sys.stdout.write(f"    {case['section']}/{case['name']}: {case['expr']}\n        {reason}\n")
    sys.stdout.write(f"{'all':20} {passed_of_all:4}/{total_of_all}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
