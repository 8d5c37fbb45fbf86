"""Any bytes as a pipeline file give findings or nothing, never a crash.

python -m tests.mutations.fuzz --count 200000 --seed 3

The inputs are the shipped files with bytes, tokens and lines changed, and bytes of chance. Each goes through reading and
compiling within a small project, in this process.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from flowlang.compiler import ProjectInput, compile_project
from flowlang.diagnostics import has_errors, render
from flowlang.model import YamlDocument, load_pipelines, load_project_file
from flowlang.model.yaml_source import decode, read_yaml
from flowlang.plan import EventSchema
from flowlang.project.handler_types import read_handler_types
from flowlang.project.signatures import read_signatures
from tests.mutations.bench import EXAMPLES, ROOT

_TOKEN = re.compile(rb"\s+|[A-Za-z0-9_]+|.", re.DOTALL)
#: What mistakes and attacks are made of.
_PIECES = (
    b"${{", b"}}", b"'", b'"', b"!", b"&a", b"*a", b"<<: *a", b"- ", b": ", b"#", b"|", b">", b"{", b"}", b"[", b"]", b"\t", b"\0",
    b"\xff", b"\xef\xbb\xbf", b"\r\n", b"---\n", b"%YAML 1.1\n", b"0777", b"1e999", b".inf", b"!!binary", b"? ", b"steps", b"has(", b"size()",
    b"orValue(", b".?", b"[?0]", b"null", b"true", b"foreach", b"repeat", b"catch", b"finally", b"switch", b"parallel", b"needs", b"undo",
    "\u2028".encode(), "😀".encode(), b"\xc2\x85", b"event.data", b"results", b"item", b"last", b"secrets.X", b"json(event)", b"9" * 30,
)  # fmt: skip


class Victim:
    """A project in which one file is replaced."""

    def __init__(self) -> None:
        self.seeds = [
            file.read_bytes() for file in sorted((ROOT / "pipelines").glob("*.yaml")) if ".test." not in file.name
        ]
        self.seeds += [file.read_bytes() for file in sorted(EXAMPLES.glob("*.yaml")) if ".test." not in file.name]
        self._signatures, _ = read_signatures(ROOT, entry_points=False)
        self._types = read_handler_types(ROOT, self._signatures, self._signatures)
        source, _ = decode("flowlang.yaml", (ROOT / "flowlang.yaml").read_bytes())
        self._file, _ = load_project_file(source)
        (self._document, *_), _ = read_yaml(source)
        self._schemas = {name: EventSchema(name, schema, "") for name, schema in _schemas()}

    def check(self, content: bytes) -> bool:
        """Check a file with some content. Returns whether it has errors."""
        source, found = decode("pipelines/p.yaml", content)
        documents, mistakes = load_pipelines(source) if not found else ([], [])
        document: YamlDocument = self._document
        compiled = compile_project(
            ProjectInput(
                pipelines=tuple(documents),
                project=self._file,
                project_document=document,
                schemas=self._schemas,
                signatures=self._signatures,
                handler_types=self._types.schemas,
            )
        )
        diagnostics = [*found, *mistakes, *compiled.diagnostics]
        for item in diagnostics:
            assert 0 <= item.span.start <= item.span.end, item
        render(diagnostics[:20], {source.path: source, document.source.path: document.source}, files=1)
        return has_errors(diagnostics)


def _schemas() -> Iterator[tuple[str, object]]:
    import json  # noqa: PLC0415 - for this alone

    folder = ROOT / "schemas" / "events"
    for file in sorted(folder.rglob("*.json")):
        yield file.relative_to(folder).with_suffix("").as_posix(), json.loads(file.read_text())


def inputs(seeds: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """Make contents without end."""
    while True:
        base = chance.choice(seeds)
        way = chance.random()
        if way < 0.04:
            yield chance.randbytes(chance.randrange(80))
        elif way < 0.10:
            yield b"".join(chance.choice(_PIECES) for _ in range(chance.randrange(30)))
        elif way < 0.35:
            content = bytearray(base[: chance.randrange(1, 1500)] if chance.random() < 0.5 else base)
            for _ in range(chance.randrange(1, 5)):
                at = chance.randrange(len(content))
                content[at : at + chance.randrange(3)] = chance.choice(
                    (bytes([chance.randrange(256)]), b"", chance.choice(_PIECES))
                )
                content = content or bytearray(b"a")
            yield bytes(content)
        elif way < 0.75:
            tokens = _TOKEN.findall(base)
            others = _TOKEN.findall(chance.choice(seeds))
            for _ in range(chance.randrange(1, 5)):
                at = chance.randrange(len(tokens))
                tokens[at : at + chance.randrange(3)] = [
                    chance.choice((chance.choice(others), chance.choice(_PIECES), b""))
                ]
                tokens = tokens or [b"a"]
            yield b"".join(tokens)
        else:
            lines = base.splitlines(keepends=True)
            others = chance.choice(seeds).splitlines(keepends=True)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(lines))
                lines[at : at + chance.randrange(3)] = [
                    chance.choice((chance.choice(others), b"  " + lines[at], lines[at].lstrip(), b""))
                ]
                lines = lines or [b"a"]
            yield b"".join(lines)


def run(count: int, seed: int) -> tuple[Counter[str], list[tuple[bytes, BaseException]]]:
    """Check so many inputs.

    Returns:
        How many were clean and how many had errors; and those on which the checker crashed.
    """
    victim, chance = Victim(), random.Random(seed)
    outcome: Counter[str] = Counter()
    crashes: list[tuple[bytes, BaseException]] = []
    for _, content in zip(range(count), inputs(victim.seeds, chance), strict=False):
        try:
            outcome["errors" if victim.check(content) else "clean"] += 1
        except Exception as error:  # noqa: BLE001 - that there is none is what is shown
            crashes.append((content, error))
    return outcome, crashes


def main() -> int:
    """Print what came of it; exit 0 when nothing crashed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutations.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for inputs that crash")
    options = parser.parse_args()
    began = time.process_time()
    outcome, crashes = run(options.count, options.seed)
    for number, (content, error) in enumerate(crashes[:10]):
        print(f"crash: {type(error).__name__}: {error}")
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{number}.yaml").write_bytes(content)
    took = time.process_time() - began
    print(f"{options.count:,} inputs: {dict(outcome)}, {len(crashes)} crashes, seed {options.seed}, {took:.0f} s CPU")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
