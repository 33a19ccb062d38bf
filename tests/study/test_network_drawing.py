"""A network as boxes and arcs: nothing of it is lost, and the file is one that a browser shows."""

from xml.etree import ElementTree

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.study import drawing
from components.study.network import CONVOLUTION, DENSE, JOIN, MOST_UNITS, Unit, units_of
from components.vision import model as models
from components.vision import network as zoo

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def residual() -> list[Unit]:
    return units_of(models.build("tiny_resnet", 32, 10))


@pytest.mark.parametrize("backbone", ["tiny_cnn", "small_separable", "EfficientNetLite0", *zoo.ZOO])
def test_the_parameters_of_all_boxes_are_those_of_the_network(backbone: str) -> None:
    model = models.build(backbone, 32, 10)
    assert sum(unit.parameters for unit in units_of(model)) == model.count_params()


def test_a_layer_is_drawn_with_what_normalises_and_activates_it(residual: list[Unit]) -> None:
    assert residual[1] == Unit(
        CONVOLUTION, ["convolution 5×5, 16, stride 2", "norm", "relu"], (16, 16, 16), 5 * 5 * 3 * 16 + 4 * 16, (0,)
    )
    assert (residual[-1].kind, residual[-1].words, residual[-1].shape) == (DENSE, ["dense, 10"], (10,))


def test_a_residual_connection_is_a_sum_of_two_boxes_further_up(residual: list[Unit]) -> None:
    sums = [unit for unit in residual if unit.kind == JOIN]
    assert len(sums) == 3 and all(len(unit.sources) == 2 for unit in sums)
    assert all(source < number for number, unit in enumerate(residual) for source in unit.sources)


def test_the_branches_of_inception_meet_in_one_box() -> None:
    units = units_of(models.build("lean_17k", 32, 10, network={"connection": "inception", "layers": 1}))
    joins = [unit for unit in units if unit.kind == JOIN]
    assert len(joins) == 4 and all(unit.words == ["concatenation"] for unit in joins)
    shapes = [[units[source].shape for source in unit.sources] for unit in joins]
    assert shapes == [[(side, side, width)] * 4 for side, width in ((16, 9), (16, 9), (16, 9), (8, 13))]


def test_what_is_read_from_two_sides_keeps_a_box_of_its_own(residual: list[Unit]) -> None:
    assert [unit.words for unit in residual if unit.words[0] == "norm"] == [["norm", "relu"]] * 3


def test_a_network_of_hundreds_of_layers_is_drawn_by_the_sizes_of_its_maps() -> None:
    model = models.build("ResNet50", 64, 10)
    units = units_of(model)
    assert len(units) < MOST_UNITS / 2
    assert sum(unit.parameters for unit in units) == model.count_params()
    assert any("convolutions" in word for unit in units for word in unit.words)


def test_resizing_changes_the_size_of_the_picture_that_is_drawn() -> None:
    pictures = keras.Input((8, 8, 3))
    model = keras.Model(pictures, keras.layers.Conv2D(4, 1)(keras.layers.Resizing(16, 16)(pictures)))
    assert units_of(model)[0] == Unit("picture", ["picture", "resized to 16×16"], (16, 16, 3))


@given(st.lists(st.text(max_size=20), min_size=1, max_size=8), st.text(max_size=20))
def test_any_words_make_a_drawing_that_can_be_read(words: list[str], name: str) -> None:
    printable = [word for word in words if word.isprintable()] or ["x"]
    units = [Unit(CONVOLUTION, [word], (8, 8, 2**i), i, (0, i - 1)[: min(i, 2)]) for i, word in enumerate(printable)]
    shown = ElementTree.fromstring(drawing.network(name if name.isprintable() else "n", units))
    assert len(shown.findall(f"{SVG}rect")) == len(units)
    assert [text.text or "" for text in shown.findall(f"{SVG}text")][::2] == printable


def test_a_connection_past_other_boxes_is_an_arc() -> None:
    units = [Unit(CONVOLUTION, ["a"], (4, 4, 4), 0, sources) for sources in ((), (0,), (0, 1))]
    ways = [path.get("d") for path in ElementTree.fromstring(drawing.network("n", units)).findall(f"{SVG}path")]
    assert sum("C" in str(way) for way in ways) == 1 and sum("V" in str(way) for way in ways) == 2


def test_a_thumbnail_has_every_box_and_stays_small() -> None:
    units = units_of(models.build("shathenet_1_1", 28, 10))
    shown = ElementTree.fromstring(drawing.thumbnail(units))
    assert len(shown.findall("rect")) == len(units)
    assert len(drawing.thumbnail(units)) < 2500
