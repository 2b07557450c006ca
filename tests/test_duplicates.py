import cv2
import numpy as np
import pytest

from fsad import duplicates, synthetic


def relit(image, rng):
    """The same part under another lamp, shifted by a few pixels."""
    yy, xx = np.mgrid[:256, :256] / 255
    light = rng.uniform(0.5, 0.9) + rng.uniform(0.1, 0.5) * (xx if rng.random() < 0.5 else yy)
    shifted = np.roll(image, tuple(rng.integers(-6, 7, 2)), (0, 1))
    return np.clip(shifted * light[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("texture", ["leather", "metal", "tile"])
def test_groups_exposures_of_one_part_and_separates_parts(texture, rng):
    parts = [synthetic.draw(texture, "good", np.random.default_rng(k))[0] for k in range(8)]
    images = [i for part in parts for i in (part, relit(part, rng), relit(part, rng))]
    groups = duplicates.groups([duplicates.signature(i) for i in images])
    assert groups.tolist() == np.repeat(range(8), 3).tolist()


def test_an_outline_that_all_images_share_does_not_make_duplicates(rng):
    outline = np.zeros((64, 64, 3), np.float32)
    cv2.circle(outline, (32, 32), 22, (180, 180, 180), 5)
    bottles = [np.clip(outline + rng.normal(40, 12, outline.shape), 0, 255).astype(np.uint8) for _ in range(24)]
    signatures = [duplicates.signature(b) for b in bottles]
    assert len(set(duplicates.groups(signatures))) == 24


def test_chains_form_one_group_and_pairs_are_ordered_by_similarity():
    base = synthetic.draw("metal", "good", np.random.default_rng(1))[0]
    signatures = [duplicates.signature(i) for i in (base, base, base // 2)]
    index, similarity = duplicates.pairs(signatures)
    assert index.tolist()[0] == [0, 1] and similarity[0] == pytest.approx(1, abs=1e-3)
    assert (np.diff(similarity) <= 0).all()
    other = duplicates.signature(synthetic.draw("metal", "good", np.random.default_rng(2))[0])
    assert duplicates.groups([*signatures, other]).tolist() == [0, 0, 0, 1]
    # A file name may name a part that correlation does not recognize.
    assert duplicates.groups([*signatures, other], known=[None, None, "tile 7", "tile 7"]).tolist() == [0, 0, 0, 0]


def test_no_images_and_blank_images():
    assert duplicates.groups([]).shape == (0,)
    blank = duplicates.signature(np.full((50, 50, 3), 128, np.uint8))
    assert len(set(duplicates.groups([blank, blank]))) == 2  # nothing to compare


def test_rejects_a_wrong_shape():
    with pytest.raises(ValueError, match="Received"):
        duplicates.pairs(np.zeros((3, 10, 10)))


def test_a_shared_outline_does_not_group_a_small_set(rng):
    """Below 20 images the mean is not subtracted: eight rings, each with its own texture."""
    y, x = np.mgrid[-64:64, -64:64]
    ring = 200.0 * ((np.hypot(x, y) > 24) & (np.hypot(x, y) < 52))
    texture = [cv2.resize(rng.normal(0, 25, (32, 32)), (128, 128)) for _ in range(8)]
    rings = [np.clip(ring + t, 0, 255).astype(np.uint8)[..., None].repeat(3, -1) for t in texture]
    signatures = [duplicates.signature(i) for i in (*rings, rings[0])]
    assert len(set(duplicates.groups(signatures))) == 8  # the ninth image is the first again
