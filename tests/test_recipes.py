import keras
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
