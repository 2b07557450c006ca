import importlib.util

import keras
import numpy as np
import pytest

import fsad
from fsad import augment, backbones, export, scoring, siamese
from fsad.recipes import patches
from fsad.weights import WeightsError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("keras_hub") is None, reason='needs pip install "fsad[dino]"')


def test_patches_in_reading_order_without_the_class_token(rng):
    """Patch by patch, against keras-hub's own tokens, which are layer-normed."""
    keras.utils.set_random_seed(0)
    model, loaded = backbones.build("dinov2_small", "none", 28, ["block_3", "block_12"])
    assert loaded == "random" and model.output_shape == (None, 2, 2, 768) and backbones.channels(model) == [384, 384]
    images = rng.uniform(0, 255, (1, 28, 28, 3)).astype(np.float32)
    maps = np.asarray(model(images))
    assert np.allclose(maps.reshape(2, 2, 2, 384).mean(-1), 0, atol=1e-4)  # of a layer norm, in either block
    network = model.get_layer("dinov2_small")
    prepared = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    tokens = np.asarray(network({"images": prepared.astype(np.float32)})[1])
    assert tokens.shape == (1, 5, 384)  # the class comes first
    assert np.allclose(maps[0, :, :, 384:].reshape(4, 384), tokens[0, 1:], atol=1e-4)


def test_the_published_setting_in_numpy(rng):
    keras.utils.set_random_seed(0)
    images = rng.integers(0, 255, (3, 56, 56, 3)).astype(np.uint8)
    recipe = patches.build(weights="none", side=56, **patches.ANOMALY_DINO)
    embeddings = scoring.embed(recipe.model, images)
    references = scoring.embed_references(recipe, images[1:], embeddings[1:])
    assert len(recipe.views) == 8 and references.shape == (16, 4, 4, 384)
    score = float(scoring.compare(recipe.model, embeddings[:1], references).score[0])

    backbone, _, _ = siamese.parts(recipe.model)

    def units(images):
        tokens = np.asarray(backbone(images.astype(np.float32))).reshape(-1, 384)
        return tokens / np.linalg.norm(tokens, axis=1, keepdims=True)

    bank = units(np.concatenate([augment.rotated(images[1:], degrees) for degrees in range(0, 360, 45)]))
    distances = 1 - (units(images[:1]) @ bank.T).max(1)  # to the nearest patch of any reference
    assert score == pytest.approx(np.log(distances.max()), abs=1e-4)  # 1 % of 16 patches is one; not fitted: z = s


@pytest.mark.slow
def test_a_detector_is_saved_and_exported(tmp_path, parts):
    detector = fsad.Detector(backbone="dinov2_small", weights="none", side=56, layers=["block_2"])
    detector.fit(parts / "train" / "good", progress=False)
    assert "Untrained random features are uninformative." in detector.fitted.warnings
    loaded = fsad.load(detector.save(tmp_path / "detector"))
    assert np.allclose(loaded.score(parts / "test"), detector.score(parts / "test"), atol=1e-5)
    export.export(detector, "onnx", tmp_path / "model.onnx")


def test_sides_blocks_and_what_is_missing_are_named(monkeypatch):
    with pytest.raises(ValueError, match=r"squares of a multiple of 14 pixels for dinov2_small. Received: 60 x 60"):
        backbones.build("dinov2_small", "none", 60)
    with pytest.raises(ValueError, match=r"Expected blocks of dinov2_small: block_1.*Received: 'block_13'"):
        backbones.build("dinov2_small", "none", 28, "block_13")
    with pytest.raises(WeightsError, match=r"--weights=FOLDER of a keras-hub preset"):
        backbones.build("dinov2_small", "/nowhere", 28)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r'pip install "fsad\[dino\]"'):
        backbones.build("dinov2_small", "none", 28)
