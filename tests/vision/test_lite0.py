import os
import pickle

import keras
import numpy as np
import pytest

from components.errors import DataError
from components.vision import backbones, lite0


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return backbones.build("EfficientNetLite0", 64, "imagenet")


def test_the_features_have_their_published_shape_and_size(model):
    assert model.output_shape == (None, 2, 2, 1280)
    # 4,694,024 parameters with the head of 1,000 classes, as the package's weights are used in full.
    assert model.count_params() + 1280 * 1000 + 1000 == 4_694_024


def test_the_packages_weights_are_the_ones_in_the_model(model):
    state = lite0.read_legacy(lite0.weights_file())
    found = {w.path.rsplit("conv_stem/", 1)[-1]: w.numpy() for w in model.weights if "conv_stem" in w.path}
    np.testing.assert_array_equal(found["kernel"], state["_conv_stem.weight"].transpose(2, 3, 1, 0))
    used = sum(np.prod(w.shape) for w in model.weights)
    assert used == sum(a.size for n, a in state.items() if not n.startswith("_fc") and "num_batches" not in n)


def test_a_known_feature_vector_comes_out(model):
    """A picture drawn by formula; the numbers were read off when the conversion gave 17 of 20 photographs right."""
    x = np.linspace(0, 255, 64, dtype=np.float32)
    picture = np.stack(np.meshgrid(x, x), -1)
    picture = np.concatenate([picture, 255 - picture[..., :1]], -1)[None]
    features = np.asarray(model(picture, training=False)).mean(axis=(1, 2))[0]
    assert features.argmax() == KNOWN[0]
    np.testing.assert_allclose([features.mean(), features.max()], KNOWN[1:], rtol=1e-3)


def test_a_weights_file_that_wants_to_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.system, ("touch owned",)

    path = tmp_path / "evil.pth"
    path.write_bytes(b"".join(pickle.dumps(o, 2) for o in (lite0._MAGIC, 1001, {}, Evil())))
    with pytest.raises(pickle.UnpicklingError, match="system is not allowed"):
        lite0.read_legacy(path)
    path.write_bytes(pickle.dumps(Evil(), 2))
    with pytest.raises(pickle.UnpicklingError):
        lite0.read_legacy(path)


def test_another_file_is_no_weights_file(tmp_path):
    path = tmp_path / "other.pth"
    path.write_bytes(pickle.dumps(1) + pickle.dumps(2))
    with pytest.raises(DataError, match="not a legacy torch state file"):
        lite0.read_legacy(path)


KNOWN = (405, 0.27953395, 5.6937475)
