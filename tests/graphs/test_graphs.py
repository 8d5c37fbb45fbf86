"""`flowlang graph`: pictures are pinned, escaped, and the same each time."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from flowlang.cli.root import cli
from flowlang.compiler.pictures import pipeline_outline, project_network
from flowlang.diagnostics import has_errors
from flowlang.drawing.layers import arranged
from flowlang.drawing.mermaid import network_text, outline_text
from flowlang.drawing.network import Link, Network, Sort, Spot
from flowlang.drawing.network_svg import network_svg
from flowlang.drawing.outline import Kind, Lane, Outline, Part
from flowlang.drawing.outline_svg import outline_svg
from flowlang.project import Project, load_project
from tests.diagnostics.test_project_golden import load_case

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SVG = "{http://www.w3.org/2000/svg}"
NASTY = '"</text><script>alert(1)</script>&#`\\|]}\x1b[31m\u202e'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop")
    assert not has_errors(shop(path).diagnostics)
    return path


def shop(folder: Path) -> Project:
    return load_case(HERE / "shop.project", folder)


def graph(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["graph", "--project", str(folder), *arguments])


@pytest.mark.parametrize("what", ["project", "everything"])
@pytest.mark.parametrize(("shape", "ending"), [("mermaid", "mmd"), ("svg", "svg"), ("json", "json")])
def test_a_picture_is_the_one_that_is_kept(
    folder: Path, what: str, shape: str, ending: str, update_golden: bool
) -> None:
    named = [] if what == "project" else [what]
    result = graph(folder, *named, "--format", shape)
    assert (result.exit_code, result.stderr) == (0, "")
    kept = HERE / f"{what}.{ending}"
    if update_golden:
        kept.write_text(result.stdout, encoding="utf-8")
    assert result.stdout == kept.read_text(encoding="utf-8")


def test_the_shape_is_mermaid_unless_data_is_asked_for(folder: Path) -> None:
    assert "flowchart LR" in graph(folder).stdout
    assert json.loads(graph(folder, "--json").stdout)["project"]["title"] == "shop"


def test_a_pipeline_that_is_not_there_is_refused_with_the_near_one(folder: Path) -> None:
    result = graph(folder, "everythin")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "there is no pipeline `everythin`; did you mean `everything`?" in result.stderr


def test_what_has_mistakes_is_left_out_and_said_so(tmp_path: Path) -> None:
    shop(tmp_path)
    (tmp_path / "pipelines/broken.yaml").write_text("flowlang: 1\npipeline: broken\nsteps: []\n", encoding="utf-8")
    result = graph(tmp_path)
    assert result.exit_code == 0
    assert "1 of 3 pipelines are not in the picture" in result.stderr
    assert "everything" in result.stdout
    assert "broken" not in result.stdout
    assert "has mistakes" in graph(tmp_path, "broken").stderr


def test_every_step_is_in_the_outline_once(folder: Path) -> None:
    text = graph(folder, "everything").stdout
    ids = (
        "start",
        "told",
        "tidied",
        "both",
        "left",
        "right",
        "rounds",
        "values",
        "first",
        "paid",
        "kind",
        "large",
        "alarm",
    )
    for name in ids:
        assert len(re.findall(rf'"(?:↻ )?{name}[<"]', text)) == 1, name


# Drawing alone --------------------------------------------------------------------------------------------------------


def nasty_pictures() -> list[str]:
    network = Network(NASTY, (Spot("a", Sort.EVENT, NASTY), Spot("b", Sort.PIPELINE, NASTY)), (Link("a", "b", NASTY),))
    part = Part("a", Kind.CALL, NASTY, (NASTY,), (Lane(NASTY, (Part("b", Kind.SEND, NASTY),)),))
    outline = Outline(NASTY, (Lane("", (part,)),))
    return [network_text(network), outline_text(outline), network_svg(network), outline_svg(outline)]


def test_names_are_text_and_nothing_else() -> None:
    for text in nasty_pictures():
        body = text.split("---\n", 2)[-1]  # Mermaid's title is YAML, and a name
        assert "<script" not in body
        assert not {"\x1b", "\u202e"} & set(text)
    for svg in nasty_pictures()[2:]:
        assert {element.tag for element in ET.fromstring(svg).iter()} <= {
            SVG + name for name in ("svg", "title", "style", "rect", "text", "path", "polygon")
        }
    for mermaid in nasty_pictures()[:2]:
        for quoted in re.findall(r'[\[({|/]"(.*)"', mermaid):
            assert not set('"`\\') & set(quoted)
            assert not re.search(r"<(?!br/>)|&|#(?!35;|quot;|lt;|gt;|amp;|96;|92;)", quoted)


def test_a_picture_needs_nothing_from_elsewhere() -> None:
    for svg in nasty_pictures()[2:]:
        assert not re.search(r"url\(|href|@import|src=", svg)


def random_links(chance: random.Random, keys: list[str]) -> list[tuple[str, str]]:
    return [(chance.choice(keys), chance.choice(keys)) for _ in range(chance.randint(0, 30))]


@pytest.mark.parametrize("seed", range(40))
def test_links_lead_to_the_right_but_for_those_that_close_a_circle(seed: int) -> None:
    chance = random.Random(seed)
    keys = [f"k{number}" for number in range(chance.randint(1, 12))]
    links = random_links(chance, keys)
    layers = arranged(keys, links)
    column = {key: at for at, members in enumerate(layers.columns) for key in members}
    assert sorted(key for key in column if isinstance(key, str)) == sorted(keys)
    for number, (source, target) in enumerate(links):
        first, last = (target, source) if number in layers.back else (source, target)
        way = layers.ways[number]
        assert (way[0], way[-1]) == (first, last)
        assert [column[key] for key in way] == list(range(column[first], column[first] + len(way)))
    without = [link for number, link in enumerate(links) if number not in layers.back]
    assert arranged(keys, without).back <= {number for number, (a, b) in enumerate(without) if a == b}
    assert arranged(keys, links) == layers


def boxes(svg: str) -> list[tuple[float, float, float, float]]:
    found = [element.attrib for element in ET.fromstring(svg).iter(SVG + "rect")]
    return [tuple(float(each[name]) for name in ("x", "y", "width", "height")) for each in found]  # type: ignore[misc]


def apart_or_inside(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    (ax, ay, aw, ah), (bx, by, bw, bh) = a, b
    apart = ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
    inside = ax >= bx and ay >= by and ax + aw <= bx + bw + 0.11 and ay + ah <= by + bh + 0.11
    around = bx >= ax and by >= ay and bx + bw <= ax + aw + 0.11 and by + bh <= ay + ah + 0.11
    return apart or inside or around


@pytest.mark.parametrize("which", ["shop", "shipped"])
def test_boxes_do_not_overlap(folder: Path, which: str) -> None:
    project = shop(folder) if which == "shop" else load_project(ROOT, entry_points=False)
    pictures = [outline_svg(pipeline_outline(each.model)) for each in project.pipelines if each.model is not None]
    for svg in [*pictures, network_svg(project_network(project.graph, "shop"))]:
        drawn = boxes(svg)
        assert len(drawn) > 1
        wide, high = (float(ET.fromstring(svg).attrib[name]) for name in ("width", "height"))
        for number, box in enumerate(drawn):
            assert box[0] >= 0
            assert box[1] >= 0
            assert box[0] + box[2] <= wide
            assert box[1] + box[3] <= high
            assert all(apart_or_inside(box, other) for other in drawn[number + 1 :])
