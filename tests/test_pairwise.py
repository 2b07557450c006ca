import keras
import numpy as np
import pytest

from fsad import recipes, siamese
from fsad.explain import pairwise
from fsad.explain.comparer import Comparer


def build(neck_of):
    """Two images of 4 x 4 cells, whose feature maps are the images themselves."""
    image, maps = keras.Input((4, 4, 3)), keras.Input((4, 4, 3))
    backbone = keras.Model(image, keras.layers.Identity()(image), name="backbone")
    neck = keras.Model(maps, neck_of(keras.layers.GlobalAveragePooling2D()(maps)), name="neck")
    return Comparer(siamese.build(backbone, neck, siamese.bare_distance(neck.output_shape[1])))


@pytest.fixture
def images(rng):
    return rng.uniform(0, 255, (2, 4, 4, 3)).astype(np.float32)


def test_where_features_are_averaged_a_cell_adds_its_own(images):
    comparer = build(keras.layers.Identity())
    np.testing.assert_allclose(pairwise.contributions(comparer, images, steps=1), images / 16, rtol=1e-5)
    pairs = pairwise.attributions(comparer, *images, steps=1)
    assert pairs.shape == (4, 4, 4, 4)
    assert pairs[0, 1, 2, 3] == pytest.approx(images[0, 0, 1] @ images[1, 2, 3] / 16**2, rel=1e-5)
    assert pairs.sum() == pytest.approx(images[0].mean((0, 1)) @ images[1].mean((0, 1)), rel=1e-5)


def test_contributions_sum_up_to_the_embedding(images):
    keras.utils.set_random_seed(0)
    comparer = build(keras.Sequential([keras.layers.Rescaling(0.02), keras.layers.Dense(5, activation="tanh")]))
    neck = siamese.parts(comparer.model).neck
    total = (neck(images) - neck(np.zeros_like(images))).numpy()
    np.testing.assert_allclose(pairwise.contributions(comparer, images, steps=64).sum((1, 2)), total, atol=1e-3)


def test_the_cell_that_no_reference_has_comes_first(images):
    """The nearest reference is the image but for one cell, which moved elsewhere."""
    comparer = build(keras.layers.Identity())
    image = images[0]
    image[1, 2] = (255, 0, 0)
    reference = image.copy()
    reference[1, 2] = (0, 0, 200)
    references = comparer.references(np.stack([images[1] * 0, reference]))
    first, *others = pairwise.answers(comparer, image, references, count=4, steps=1)
    assert first.place == ((2 + 0.5) / 4, (1 + 0.5) / 4) and first.reference == 1 and first.view == 0
    assert first.distance > 1 and all(one.distance < 1e-2 for one in others) and len(others) == 3


def test_needs_a_network_of_vectors():
    recipe = recipes.patches.build("filter_bank", side=96)
    with pytest.raises(ValueError, match="compares vectors"):
        pairwise.contributions(Comparer(recipe.model), np.zeros((1, 96, 96, 3)))
