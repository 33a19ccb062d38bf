"""Own networks: exact sizes, what every option changes, what is refused, and that a checkpoint knows its network."""

from itertools import product

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.errors import SettingsError
from components.vision import backbones, network, zoo
from components.vision import model as models
from components.vision.network import ZOO, Network

SMALL = [{"filters": 4}, {"filters": 6, "stride": 2, "blocks": 2}]
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 3), dtype=np.uint8)


def built(name: str, side: int, **options) -> keras.Model:
    return models.build(name, side, 10, network=options)


@pytest.mark.parametrize(
    ("name", "side", "parameters"),
    [
        ("shathenet_1_0", 28, 17_882),  # its read-me says 17K
        ("shathenet_1_0", 64, 17_882),
        ("shathenet_1_1", 28, 1_274_762),
        ("shathenet_1_1", 128, 1_274_762),
        ("shathenet_1_2", 28, 465_706),
        ("shathenet_1_2", 299, 1_252_138),  # its read-me says 1.25M, at the side it was written for
    ],
)
def test_the_parameters_of_shathenets_versions_with_ten_classes(name: str, side: int, parameters: int) -> None:
    assert built(name, side).count_params() == parameters


@pytest.mark.parametrize(("name", "budget"), [("lean_17k", 17_000), ("lean_100k", 100_000)])
def test_the_lean_networks_use_their_budget_and_keep_to_it(name: str, budget: int) -> None:
    parameters = built(name, 28).count_params()
    assert 0.95 * budget < parameters <= budget
    assert built(name, 32).count_params() == parameters


def test_a_plain_network_by_hand() -> None:
    stages = [{"filters": 4, "kernel": 5}, {"filters": 6, "blocks": 2, "pool": 2}]
    options = {"stages": stages, "layers": 1, "convolution": "full", "connection": "none", "normalisation": "none"}
    first, second, third, head = 5 * 5 * 3 * 4 + 4, 9 * 4 * 6 + 6, 9 * 6 * 6 + 6, 6 * 10 + 10
    assert built("lean_17k", 24, **options).count_params() == first + second + third + head


@pytest.mark.parametrize("convolution", ["full", "separable", "blueprint"])
def test_a_residual_connection_costs_no_parameter(convolution: str) -> None:
    with_it, without = (
        built("lean_17k", 24, stages=SMALL, convolution=convolution, connection=connection).count_params()
        for connection in ("residual", "none")
    )
    assert with_it == without


def test_separable_and_blueprint_layers_need_fewer_parameters_than_full_ones() -> None:
    counts = {c: built("lean_100k", 24, convolution=c).count_params() for c in ("full", "separable", "blueprint")}
    assert counts["full"] > 4 * counts["separable"] and counts["full"] > 4 * counts["blueprint"]


@pytest.mark.parametrize(
    ("down", "expected"), [("own", [(1, 1), (2, 3)]), ("stride", [(1, 1), (6, 1)]), ("max", [(1, 1), (1, 6)])]
)
def test_the_side_may_shrink_by_stride_or_by_pooling(down: str, expected: list[tuple[int, int]]) -> None:
    chosen = Network(stages=[{}, {"stride": 2, "pool": 3}], down=down)
    assert [(stage.stride, stage.pool) for stage in network.stages_of(chosen)] == expected


def test_a_pool_is_left_out_where_nothing_would_be_left_to_look_at() -> None:
    deep = Network(stages=[{"filters": 2, "pool": 2}] * 6, head="flatten", normalisation="none")
    inputs = keras.Input((24, 24, 3))
    assert zoo.build(deep, inputs).shape == (None, 2 * 2 * 2)  # 24, 12, 6, 3, 2, and no further


_VALUES = {
    "activation": network.ACTIVATIONS,
    "initialiser": network.INITIALISERS,
    "scaling": ("unit", "centre", "picture", "batch"),
    "normalisation": ("batch", "layer", "group", "none"),
    "convolution": ("full", "separable", "blueprint"),
    "connection": ("none", "residual", "dense", "inception"),
    "head": ("average", "max", "flatten"),
    "down": ("own", "stride", "max", "average"),
    "dropout": (0.3,),
    "hidden": (7,),
    "layers": (1, 3),
    "resize_px": (32,),
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in _VALUES.items() for v in values])
def test_every_option_gives_a_network_with_finite_answers(name: str, value: object) -> None:
    answers = built("lean_17k", 24, stages=SMALL, **{name: value})(PICTURES, training=True).numpy()
    assert answers.shape == (2, 10) and np.isfinite(answers).all()


@pytest.mark.parametrize(
    ("convolution", "connection"),
    list(product(_VALUES["convolution"], _VALUES["connection"])),
)
def test_every_convolution_goes_with_every_connection(convolution: str, connection: str) -> None:
    answers = built("lean_17k", 24, stages=SMALL, convolution=convolution, connection=connection)(PICTURES).numpy()
    assert np.isfinite(answers).all()


@given(st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_combination_of_options_builds(data: st.DataObject) -> None:
    chosen = {name: data.draw(st.sampled_from(values)) for name, values in _VALUES.items()}
    inputs = keras.Input((12, 12, 3))
    assert zoo.build(network.of("lean_100k", chosen | {"stages": SMALL}), inputs).shape[0] is None


def test_normalising_by_picture_takes_brightness_and_contrast_out() -> None:
    inputs = keras.Input((8, 8, 3))
    scaled = keras.Model(inputs, zoo._SCALINGS["picture"](inputs))
    dark = np.random.default_rng(0).random((1, 8, 8, 3), dtype=np.float32)
    np.testing.assert_allclose(scaled(dark).numpy(), scaled(dark * 0.4 + 0.3).numpy(), atol=0.02)


def test_any_backbone_may_see_larger_pictures_than_the_shards_hold() -> None:
    small = backbones.build("MobileNetV3Small", 24, "none", {"resize_px": 64})
    assert small.input_shape == (None, 24, 24, 3)
    assert small.count_params() == backbones.build("MobileNetV3Small", 64, "none").count_params()


@pytest.mark.parametrize(
    ("backbone", "options", "said"),
    [
        ("lean_17k", {"activaton": "relu"}, "network.activaton is not a setting; did you mean activation"),
        ("lean_17k", {"activation": "rleu"}, "network.activation='rleu' is not one of .*; did you mean relu"),
        ("lean_17k", {"stages": [{"filters": 0}]}, r"network.stages\[1\].filters=0 is below 1"),
        ("lean_17k", {"stages": [{"width": 3}]}, r"network.stages\[1\].width is not a setting"),
        ("lean_17k", {"stages": []}, "network.stages is empty; give one stage or more"),
        ("lean_17k", {"stages": [3]}, r"network.stages\[1\]=3 is no table"),
        (
            "lean_17k",
            {"connection": "inception", "stages": [{"filters": 4}, {"filters": 3}]},
            "network.connection='inception' cuts a stage's filters into 4 branches; give every stage 4 filters or more",
        ),
        (
            "Xception",
            {"activation": "relu"},
            "network.activation shapes own networks .*backbone=Xception takes resize_px",
        ),
        ("Xception", {"resize_px": -1}, "network.resize_px=-1 is below 0"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(backbone: str, options: dict, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        backbones.find(backbone, options)
    assert "\n" not in str(refused.value)


def test_the_names_own_choices_stand_where_nothing_else_is_asked() -> None:
    changed = network.of("shathenet_1_0", {"normalisation": "batch"})
    assert (changed.normalisation, changed.initialiser, changed.stages) == (
        "batch",
        "truncated_normal",
        ZOO["shathenet_1_0"].stages,
    )
