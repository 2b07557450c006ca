import numpy as np
import pytest

from fsad import recipes, scoring, siamese


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (7, 16, 16, 3), np.uint8)


def test_compare_is_the_two_input_model_on_every_pair(tiny_recipe, images):
    model = tiny_recipe().model
    embeddings, references = scoring.embed(model, images[:4]), scoring.embed(model, images[4:])
    batches = images.astype(np.float32)
    expected = [[float(model([r[None], image[None]])[0, 0]) for r in batches[4:]] for image in batches[:4]]
    comparison = scoring.compare(model, embeddings, references)
    assert np.allclose(comparison.per_reference, expected, atol=1e-6) and comparison.anomaly_map is None
    assert np.allclose(comparison.score, np.mean(expected, axis=1), atol=1e-6)
    for block in (4096, 4):  # in one block; in many, compiled
        assert np.allclose(scoring.dissimilarities(model, embeddings, references, block), expected, atol=1e-6)


def test_reductions_by_hand():
    per_reference = np.array([[0.3, 0.1, 0.8], [0.5, 0.5, 0.5]])
    assert scoring.reduce(per_reference, "mean") == pytest.approx([0.4, 0.5])
    assert scoring.reduce(per_reference, "min").tolist() == [0.1, 0.5]
    assert scoring.reduce(per_reference, "first").tolist() == [0.3, 0.5]


@pytest.mark.parametrize("distance", ["l1", "euclidean"])
def test_scores_without_the_whole_matrix(tiny_recipe, images, distance, monkeypatch, rng):
    model = tiny_recipe(distance=distance).model
    embeddings, references = scoring.embed(model, images), rng.normal(size=(5, 6)).astype(np.float32)
    per_reference = scoring.dissimilarities(model, embeddings, references)
    monkeypatch.setattr(scoring, "MAX_ENTRIES", 10)  # two rows of the matrix at a time
    for reduction in scoring.REDUCTIONS:
        for block in (4096, 4):
            scores = scoring.score(model, embeddings, references, reduction, block)
            assert np.allclose(scores, scoring.reduce(per_reference, reduction), atol=1e-6)


def test_unknown_reductions_are_refused(tiny_recipe, images):
    model = tiny_recipe().model
    embeddings = scoring.embed(model, images[:2])
    for score in (scoring.compare, scoring.score):
        with pytest.raises(ValueError, match=r"reduction among mean, min, first. Received: 'median'"):
            score(model, embeddings, embeddings, "median")
    with pytest.raises(ValueError, match="Received: 'median'"):
        scoring.reduce(np.zeros((1, 1)), "median")


def test_patches_pool_their_references(rng):
    """Each patch has a nearest reference of its own."""
    recipe = recipes.patches.build("filter_bank", side=64, power=1, fractions=0.5, components=None, smoothing=0)
    images = rng.integers(0, 256, (3, 64, 64, 3), np.uint8)
    embeddings = scoring.embed(recipe.model, images)
    assert embeddings.shape == (3, 4, 4, 79) and np.allclose(np.linalg.norm(embeddings, axis=-1), 1, atol=1e-5)
    comparison = scoring.compare(recipe.model, embeddings[:1], embeddings[1:])
    d = 1 - np.einsum("ijc,rklc->ijrkl", embeddings[0], embeddings[1:]).max((3, 4))  # patch to nearest of a reference
    layer, _ = siamese.distance_layer(recipe.model)
    assert np.allclose(layer.distances(embeddings[:1], embeddings[1:])[0, ..., 0], d.min(2), atol=1e-5)
    per_reference = [np.sort(d[..., r].ravel())[-8:].mean() for r in (0, 1)]
    assert np.allclose(comparison.per_reference, [per_reference], atol=1e-5)
    assert np.allclose(scoring.dissimilarities(recipe.model, embeddings[:1], embeddings[1:], block=1), [per_reference],
                       atol=1e-5)  # fmt: skip
    two_input = recipe.model([images[1:].astype(np.float32), images[[0, 0]].astype(np.float32)])
    assert np.allclose(two_input[:, 0], per_reference, atol=1e-5)


def test_leaves_out_the_images_of_the_same_part(rng):
    recipe = recipes.patches.build("filter_bank", side=64)
    embeddings = scoring.embed(recipe.model, rng.integers(0, 256, (4, 64, 64, 3), np.uint8))
    layer, _ = siamese.distance_layer(recipe.model)
    maps = scoring.leave_out(recipe.model, embeddings, [0, 0, 1, 2], embeddings, [0, 0, 1, 2])
    for k, others in enumerate(([2, 3], [2, 3], [0, 1, 3], [0, 1, 2])):
        assert np.allclose(maps[k], layer.distances(embeddings[[k]], embeddings[others])[0], atol=1e-6)
    maps = scoring.leave_out(recipe.model, embeddings[:3], [0, 0, 1], embeddings[:2], [0, 0])
    assert np.isnan(maps[:2]).all() and np.isfinite(maps[2]).all()  # no reference is left


def test_references_in_their_views(rng):
    """A good image upside down is nearer to references in their mirrors than to them as they are."""
    recipe = recipes.patches.build("filter_bank", side=64, window=2, views="mirrored")
    images = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    embeddings = scoring.embed(recipe.model, images)
    references = scoring.embed_references(recipe, images, embeddings)
    assert references.shape == (8, 2, 2, 79) and embeddings.shape == (2, 3, 3, 79)  # every second patch of each view
    assert np.array_equal(references[4], embeddings[1, ::2, ::2])
    assert np.array_equal(references, scoring.embed_references(recipe, images))
    mirrored = scoring.embed(recipe.model, images[1:, ::-1])
    in_views = scoring.compare(recipe.model, mirrored, references)
    as_it_is = scoring.compare(recipe.model, mirrored, references[4:5])
    assert np.argmin(in_views.per_reference) // len(recipe.views) == 1
    assert np.min(in_views.per_reference) < as_it_is.per_reference[0, 0]
    assert in_views.anomaly_map.shape == (1, 4, 4)


def test_thinned_references_keep_what_is_far_from_the_rest():
    """Two references of four patches: three alike and one apart. Two patches of each stay, the one apart among them."""
    alike = np.tile(np.array([1.0, 0, 0], np.float32), (4, 1))
    first, second = alike.copy(), alike.copy()
    first[2], second[3] = (0, 1, 0), (0, 0, 1)
    references = np.stack([first, second]).reshape(2, 2, 2, 3)
    few, rows = scoring.thinned(references, 5)
    assert few.shape == (2, 1, 2, 3) and 2 in rows[0] and 3 in rows[1]
    assert np.array_equal(few[0, 0, list(rows[0]).index(2)], first[2])
    same, none = scoring.thinned(references, 8)
    assert same is references and none is None
