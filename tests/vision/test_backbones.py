import importlib

import keras
import numpy as np
import pytest

from components.errors import DataError, SettingsError
from components.vision import backbones, inference, network, small_networks
from components.vision import model as models

MODULES = {
    "InceptionResNetV2": "inception_resnet_v2",
    "Xception": "xception",
    "DenseNet201": "densenet",
    "NASNetLarge": "nasnet",
    "ResNet50": "resnet",
    "ResNet152V2": "resnet_v2",
    "EfficientNetB3": "efficientnet",
    "EfficientNetV2S": "efficientnet_v2",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3",
    "VGG16": "vgg16",
    "InceptionV3": "inception_v3",
    "ConvNeXtTiny": "convnext",
}
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("name", MODULES)
def test_each_backbone_gets_the_scaling_its_weights_were_trained_with(name):
    own = importlib.import_module(f"keras.applications.{MODULES[name]}")
    expected = own.preprocess_input(PICTURES.copy())
    found = backbones.scaled(PICTURES, backbones.find(name).scaling)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), atol=2e-5)


def test_every_listed_application_exists_in_keras():
    foreign = [n for n in backbones.names() if not hasattr(keras.applications, n)]
    assert set(foreign) == {"EfficientNetLite0", *small_networks.NETWORKS, *network.ZOO}


def test_an_unknown_backbone_is_refused_with_the_nearest_name():
    with pytest.raises(SettingsError, match="did you mean Xception"):
        backbones.find("Xceptoin")


def test_pictures_too_small_for_a_backbone_are_refused_in_one_sentence():
    with pytest.raises(SettingsError, match=r"Xception cannot take pictures of 32 px.*raise preprocess.size_px"):
        backbones.build("Xception", 32, "none")


def test_imagenet_weights_that_cannot_be_downloaded_say_what_to_do(monkeypatch):
    def no_network(name, url, **_):
        raise Exception(f"URL fetch failure on {url}: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.src.applications.mobilenet_v2.file_utils.get_file", no_network)
    with pytest.raises(DataError, match=r"put https://.*h5 at ~/.keras/models/mobilenet.*EfficientNetLite0"):
        backbones.build("MobileNetV2", 32, "imagenet")


def test_a_small_network_has_no_imagenet_weights():
    with pytest.raises(DataError, match="weights=none"):
        backbones.build("small_cnn", 32, "imagenet")


def test_a_model_takes_bytes_and_gives_float32_logits_in_every_precision():
    pictures = np.zeros((3, 24, 24, 3), np.uint8)
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        with models.precision_policy(policy):
            model = models.build("small_separable", 24, 4)
        assert model(pictures, training=False).dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_exported_weights_bring_another_model_to_the_same_answers():
    pictures = np.random.default_rng(1).integers(0, 256, (5, 24, 24, 3), np.uint8)
    first, second = (models.build("small_separable", 24, 4, seed=seed) for seed in (1, 2))
    exported = models.export_weights(first)
    assert not np.array_equal(inference.logits(first, pictures), inference.logits(second, pictures))
    models.import_weights(second, exported, "the first")
    np.testing.assert_array_equal(inference.logits(first, pictures), inference.logits(second, pictures))
    assert list(exported) == list(models.export_weights(second)) and all(n.startswith(models.PARTS) for n in exported)


def test_the_same_seed_gives_the_same_weights_whatever_was_built_before():
    first = models.export_weights(models.build("small_separable", 24, 4, seed=5))
    models.build("small_cnn", 24, 3)
    second = models.export_weights(models.build("small_separable", 24, 4, seed=5))
    assert list(first) == list(second)
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_weights_of_another_network_are_refused_by_name():
    exported = models.export_weights(models.build("small_separable", 24, 4))
    with pytest.raises(DataError, match=r"old\.safetensors \(head\).*same backbone"):
        models.import_weights(models.build("small_separable", 24, 5), exported, "old.safetensors")
    with pytest.raises(DataError, match=r"\(backbone\)"):
        models.import_weights(models.build("small_cnn", 24, 4), exported, "old.safetensors")


def test_a_batch_size_does_not_change_the_logits_and_no_pictures_give_none():
    pictures = np.random.default_rng(1).integers(0, 256, (7, 24, 24, 3), np.uint8)
    model = models.build("small_separable", 24, 4)
    whole = inference.logits(model, pictures)
    cut = inference.logits(model, iter([pictures[:3], pictures[3:]]))
    np.testing.assert_allclose(whole, cut, atol=1e-5)
    assert whole.dtype == np.float64 and inference.logits(model, []).shape == (0, 4)


def test_keras_weights_without_top_are_taken_from_a_file_and_foreign_ones_refused(tmp_path):
    keras.utils.set_random_seed(1)
    made = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    made.save_weights(tmp_path / "mobile.weights.h5")
    model = backbones.build("MobileNetV3Small", 32, str(tmp_path / "mobile.weights.h5"))
    found, expected = (m.weights[0].numpy() for m in (model, made))
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(DataError, match="does not fit the backbone"):
        backbones.build("small_separable", 32, str(tmp_path / "mobile.weights.h5"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["InceptionResNetV2", "Xception", "DenseNet201", "NASNetMobile", "ResNet50V2"])
def test_large_backbones_build_and_answer(name):
    model = models.build(name, 80, 3)
    assert inference.logits(model, np.zeros((1, 80, 80, 3), np.uint8)).shape == (1, 3)
