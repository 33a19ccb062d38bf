"""The pictures of the pipelines in the documentation are drawn from the compiled pipelines, and stay so."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline import draw_dag
from pipeline.ir_shape import read

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
PICTURES = {"demo": "dag.svg", "boats": "detection-dag.svg"}
SVG = "{http://www.w3.org/2000/svg}"
Compiled = Callable[..., str]


def words(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.mark.parametrize("name", PICTURES)
def test_the_committed_picture_is_the_compiled_recipe(compiled: Compiled, name: str, update_golden: bool) -> None:
    picture, drawn = IMAGES / PICTURES[name], draw_dag.draw(compiled(name))
    if update_golden:
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(drawn, encoding="utf-8")
    assert drawn == picture.read_text(encoding="utf-8"), "run `make golden`"


def test_every_task_is_drawn_once_and_every_loop_named(compiled: Compiled) -> None:
    text = compiled("fashionai")
    drawn = words(draw_dag.draw(text))
    shape = read(text)
    steps = [task.shown for task in shape.tasks if task.executor]
    assert sorted(" ".join(drawn).replace("GPU", "").split()) == sorted(
        " ".join(
            [step.replace("-", " ") for step in steps] + [f"for each {t.shown}" for t in shape.tasks if t.is_loop]
        ).split()
    )
    assert drawn.count("GPU") == 5


def test_boxes_of_one_row_do_not_overlap_and_lie_inside_their_loop(compiled: Compiled) -> None:
    root = ElementTree.fromstring(draw_dag.draw(compiled("demo")))
    steps = [box(e) for e in root.iter(f"{SVG}rect") if e.get("class", "").startswith("step")]
    loops = [box(e) for e in root.iter(f"{SVG}rect") if e.get("class") == "loop"]
    width, height = (float(part) for part in root.get("viewBox", "").split()[2:])
    assert len(steps) == 11 and len(loops) == 3
    assert all(a == b or a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1] for a in steps for b in steps)
    assert all(x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height for x1, y1, x2, y2 in steps + loops)
    assert sum(inside(step, loops[0]) for step in steps) == 8


def test_a_switched_off_generation_is_not_drawn(compiled: Compiled) -> None:
    drawn = words(draw_dag.draw(compiled("demo", "generations.pseudo=false")))
    assert "pseudo" not in drawn and drawn.count("train") == 2


def box(element: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(element.get(name, "nan")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def inside(inner: tuple[float, ...], outer: tuple[float, ...]) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2] and inner[3] <= outer[3]
