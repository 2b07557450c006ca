import keras
import numpy as np
import pytest

from fsad import recipes


def test_senarathna_is_the_network_of_the_paper():
    recipe = recipes.senarathna()
    assert recipe.model.count_params() == 38_964_545
    assert recipe.side == 100 and recipe.model.output_shape == (None, 1)
    neck = recipe.model.get_layer("neck")
    assert [type(layer) for layer in neck.layers[1:]] == [keras.layers.Flatten, keras.layers.Dense]
    assert neck.output_shape == (None, 4096) and neck.layers[-1].activation is keras.activations.sigmoid


def test_settings_reach_the_model():
    recipe = recipes.senarathna("mobilenet", weights="none", distance="cosine", side=64, epochs=3)
    assert recipe.side == 64 and recipe.epochs == 3 and recipe.weights == "random"
    assert recipe.model.get_layer("distance").get_layer("cosine")
    assert not recipe.model.get_layer("backbone").trainable_weights


def test_unknown_backbone():
    with pytest.raises(ValueError, match="backbone among"):
        recipes.senarathna("resnet18")


def test_patches_cut_the_backbone_and_train_nothing():
    recipe = recipes.patches("mobilenet", weights="none", side=64)
    assert recipe.model.get_layer("backbone").layers[-1].name == "conv_pw_9_relu"
    assert recipe.model.get_layer("neck").output_shape == (None, 3, 3, 384) and len(recipe.views) == 4
    assert recipe.pair is None and not recipe.model.trainable_weights and recipe.weights == "random"
    with pytest.raises(ValueError, match="or a layer"):
        recipes.patches("custom_cnn")
    with pytest.raises(ValueError, match="Expected a layer of mobilenet"):
        recipes.patches("mobilenet", weights="none", layer="conv_99")


def test_patches_without_imagenet_weights_use_the_filter_bank(monkeypatch):
    monkeypatch.setattr(recipes.backbones, "source", lambda name, weights: "unreachable")
    recipe = recipes.patches(side=64)
    assert (
        recipe.weights == "fixed" and len(recipe.views) == 1 and recipe.model.get_layer("backbone").get_layer("filters")
    )


@pytest.mark.parametrize("name", [n for n in recipes.PATCH_LAYERS if n != "filter_bank"])
def test_patch_layers_have_stride_16(name):
    backbone, _ = recipes.backbones.build(name, "none", 96, recipes.PATCH_LAYERS[name])
    height = backbone.output_shape[1]
    assert height == (4 if name == "inception_v3" else 12 if name.startswith("vgg") else 6)


def test_livieris_text_and_code():
    text, code = (recipes.livieris("mobilenet", "none", variant) for variant in ("text", "code"))
    assert text.model.input_shape[0] == (None, 224, 224, 3) and code.model.input_shape[0] == (None, 320, 320, 3)
    assert text.loss.margin == code.loss.margin == 2 and (text.clip_norm, code.clip_norm) == (None, 1.0)
    assert text.model.get_layer("neck").output_shape == (None, 256)
    assert code.model.get_layer("neck").output_shape == (None, 2)
    far = code.model.get_layer("distance")([np.zeros((2, 2)), np.array([[0.3, 0.4], [3, 4]])])
    np.testing.assert_allclose(far, [[0.5], [1]], rtol=1e-5)
    assert (
        recipes.livieris("mobilenet", "none", frozen=True, side=64).model.get_layer("backbone").trainable_weights == []
    )
    with pytest.raises(ValueError, match="variant"):
        recipes.livieris(variant="x")
