"""How long `flowlang validate` takes in a large project, in processes of its own, and how much memory.

python benchmarks/bench_validate.py                1,000 pipelines of 60 lines: all, then one file
python benchmarks/bench_validate.py --pipelines 200 --profile
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flowlang.project import load_project

GOAL_ALL_S = 5.0
GOAL_ONE_S = 0.7

HANDLERS = """
from typing import Literal

from pydantic import BaseModel

from flowlang import handler


class Order(BaseModel):
    id: str
    total: int
    note: str | None


@handler("shop.load", effect="pure")
def load(order_id: str) -> Order:
    return Order(id=order_id, total=1, note=None)


@handler("shop.charge", effect="keyed")
def charge(order_id: str, amount: int, *, currency: Literal["EUR", "USD"] = "EUR") -> Order:
    return Order(id=order_id, total=amount, note=None)


@handler("mail.send", effect="keyed")
def send(to: str, text: str) -> None:
    return None
"""

EVENT = """{"type": "object", "additionalProperties": false, "required": ["id", "email", "lines"], "properties": {
  "id": {"type": "string"}, "email": {"type": "string"}, "note": {"type": "string"},
  "lines": {"type": "array", "items": {"type": "object", "required": ["sku", "count"], "properties": {
    "sku": {"type": "string"}, "count": {"type": "integer", "minimum": 1}}}}}}
"""

PIPELINE = """flowlang: 1
pipeline: order-{n}
description: Order number {n}
triggers:
  - event: shop/placed-{event}
    if: event.data.id != '{n}'
idempotency: {{key: event.data.id, ttl: 7d}}
vars:
  subject: Your order ${{{{ event.data.id }}}} of kind {n}
steps:
  - id: order
    uses: shop.load
    with: {{order_id: "${{{{ event.data.id }}}}"}}

  - id: checked
    set:
      count: ${{{{ sum(event.data.lines.map(line, line.count)) + {n} }}}}
      skus: ${{{{ event.data.lines.filter(line, line.count > {n}).map(line, line.sku) }}}}

  - if: steps.checked.output.count == {n}
    stop: nothing to do

  - id: paid
    uses: shop.charge
    timeout: 30s
    retry: {{errors: [transient, resource], attempts: 5, initial: 2s}}
    with:
      order_id: ${{{{ steps.order.output.id }}}}
      amount: ${{{{ steps.order.output.total + {n} }}}}
      currency: EUR
    catch:
      errors: card_declined
      steps:
        - id: declined
          uses: mail.send
          with: {{to: "${{{{ event.data.email }}}}", text: "declined: ${{{{ error.code }}}} {n}"}}
        - fail: ${{{{ error }}}}

  - id: told
    parallel:
      - id: mailed
        uses: mail.send
        with:
          to: ${{{{ event.data.email }}}}
          text: "${{{{ vars.subject }}}}: ${{{{ steps.checked.output.skus.join(', ') }}}}"
      - id: noted
        if: has(event.data.note)
        tolerate: true
        uses: mail.send
        with: {{to: desk@example.com, text: "${{{{ event.data.note }}}} {n}"}}

  - id: shipped
    foreach: {{in: event.data.lines, as: line, max_parallel: 5}}
    emit: shop/shipped-{event}
    with: {{id: "${{{{ event.data.id }}}}-${{{{ line.sku }}}}-{n}", email: "${{{{ event.data.email }}}}", lines: []}}

output:
  count: ${{{{ steps.checked.output.count }}}}
  told: ${{{{ steps.noted.status == 'succeeded' }}}}
  total: ${{{{ steps.paid.output.total * {n} }}}}
"""


def write(folder: Path, pipelines: int) -> None:
    """Write a project; each pipeline has expressions of its own, so that none is known from another."""
    folder.mkdir(parents=True)
    (folder / "flowlang.yaml").write_text("flowlang: 1\nproject: large\n")
    for path, text in {"handlers/shop.py": HANDLERS}.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    (folder / "pipelines").mkdir()
    (folder / "schemas/events/shop").mkdir(parents=True)
    for n in range(pipelines):
        (folder / f"pipelines/order-{n}.yaml").write_text(PIPELINE.format(n=n, event=n % 50))
    for n in range(min(pipelines, 50)):
        (folder / f"schemas/events/shop/placed-{n}.json").write_text(EVENT)
        (folder / f"schemas/events/shop/shipped-{n}.json").write_text(EVENT)


def measure(arguments: list[str], cache: Path, folder: Path | None = None) -> tuple[float, float, int]:
    """Run the command. Returns seconds, CPU seconds, exit status."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cache), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "flowlang", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        print(done.stdout[:2000], done.stderr[:2000])
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.returncode


def main() -> int:
    """Measure, print, and exit 0 when the goals hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipelines", type=int, default=1000)
    parser.add_argument("--profile", action="store_true", help="say where the time goes, in this process")
    parser.add_argument("--sort", default="tottime", help="by what the profile is sorted")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project, cache = Path(folder) / "project", Path(folder) / "cache"
        write(project, options.pipelines)
        cache.mkdir()
        if options.profile:
            profile = cProfile.Profile(time.process_time)
            profile.runcall(load_project, project)
            pstats.Stats(profile).sort_stats(options.sort).print_stats(35)
            return 0
        took, cpu, status = measure(["validate"], cache, project)
        lines = PIPELINE.count("\n")
        print(f"all {options.pipelines} pipelines of {lines} lines: {took:.2f} s ({cpu:.2f} s CPU), exit {status}")
        again, cpu_again, _ = measure(["validate"], cache, project)
        print(f"again: {again:.2f} s ({cpu_again:.2f} s CPU)")
        one, cpu_one, _ = measure(["validate", str(project / "pipelines/order-7.yaml")], cache, project)
        print(f"one file of them: {one:.2f} s ({cpu_one:.2f} s CPU)")
        file = project / "pipelines/order-7.yaml"
        file.write_text(file.read_text().replace("Order number 7", "The seventh"))
        changed, cpu_changed, _ = measure(["validate", str(file)], cache, project)
        print(f"one file of them that has changed: {changed:.2f} s ({cpu_changed:.2f} s CPU)")
        largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"memory: {largest:.0f} MiB at most")
        shutil.rmtree(project)
    return 0 if min(took, cpu) <= GOAL_ALL_S and max(cpu_one, cpu_changed) <= GOAL_ONE_S else 1


if __name__ == "__main__":
    sys.exit(main())
