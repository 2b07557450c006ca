import numpy as np
import pytest

from fsad import inputs, metrics, synthetic
from fsad.images import read_image


@pytest.mark.parametrize("texture", synthetic.TEXTURES)
@pytest.mark.parametrize("defect", synthetic.DEFECTS)
def test_a_defect_changes_the_image_inside_its_mask(texture, defect):
    changed = []
    for k in range(3):
        image, mask = synthetic.draw(texture, defect, np.random.default_rng(k), size=128)
        assert image.shape == (128, 128, 3) and image.dtype == np.uint8
        assert 8 <= mask.sum() < 0.35 * mask.size
        # The same part without the defect: the draws before it are the same, the noise after it is not.
        clean, _ = synthetic.draw(texture, "good", np.random.default_rng(k), size=128)
        difference = np.abs(image.astype(float) - clean).mean(-1)
        changed.append(difference[mask].mean() > difference[~mask].mean())
    assert sum(changed) >= 2


def test_good_images_have_an_empty_mask():
    assert not synthetic.draw("tile", "good", np.random.default_rng(0), size=64)[1].any()


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    folders = [synthetic.write(tmp_path / name, "leather", seed=5, good=4, defective=1, size=64) for name in "ab"]
    files = [sorted(p.relative_to(f) for p in f.rglob("*") if p.is_file()) for f in folders]
    assert files[0] == files[1] and len(files[0]) == 4 + 7 + 7 + 1
    assert all((folders[0] / p).read_bytes() == (folders[1] / p).read_bytes() for p in files[0])


def test_a_larger_set_contains_the_smaller_one(tmp_path):
    small = synthetic.write(tmp_path / "small", "metal", good=4, defective=1, size=64)
    large = synthetic.write(tmp_path / "large", "metal", good=8, defective=2, size=64)
    for path in small.rglob("*.png"):
        assert path.read_bytes() == (large / path.relative_to(small)).read_bytes()


def test_an_existing_set_is_reused_and_another_is_not_overwritten(tmp_path):
    folder = synthetic.write(tmp_path / "s", "metal", good=4, defective=0, size=64)
    before = (folder / "train/good/000.png").stat().st_mtime_ns
    synthetic.write(folder, "metal", good=4, defective=0, size=64)
    assert (folder / "train/good/000.png").stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match="Received"):
        synthetic.write(folder, "tile", good=4, defective=0, size=64)


@pytest.mark.parametrize("texture", synthetic.TEXTURES)
def test_no_simple_statistic_reveals_the_defects(tmp_path, texture):
    dataset = inputs.load(synthetic.write(tmp_path / texture, texture, good=40, defective=6, size=128))
    gray = np.stack([read_image(s.path).mean(-1) for s in dataset.samples])
    labels = [s.label for s in dataset.samples]
    for statistic in (gray.max((1, 2)), gray.mean((1, 2)), gray.std((1, 2)), -gray.min((1, 2))):
        area = metrics.auroc(labels, statistic)
        assert max(area, 1 - area) < 0.85


def test_unknown_names_are_rejected(rng):
    with pytest.raises(ValueError, match="texture"):
        synthetic.draw("wood", "good", rng)
    with pytest.raises(ValueError, match="defect"):
        synthetic.draw("tile", "rust", rng)
    with pytest.raises(ValueError, match="64"):
        synthetic.draw("tile", "good", rng, size=10)


@pytest.mark.parametrize("kind", synthetic.flowers.KINDS)
def test_the_mask_of_a_flower_covers_its_blossom(kind, rng):
    image, mask = synthetic.flowers.draw(kind, rng, size=96)
    assert image.shape == (96, 96, 3) and image.dtype == np.uint8 and 0.02 < mask.mean() < 0.4
    # The colours of the blossom differ from those of the meadow.
    inside, outside = image[mask].mean(0), image[~mask].mean(0)
    assert np.abs(inside - outside).max() > 20


def test_flowers_are_written_as_classes_with_masks(tmp_path):
    dataset = inputs.load(synthetic.write_flowers(tmp_path / "flowers", each=2, size=64))
    assert dataset.layout == "classes" and dataset.counts() == dict.fromkeys(synthetic.flowers.KINDS, 2)
    assert all(s.mask is not None for s in dataset.samples) and synthetic.is_synthetic(dataset.folder)


def test_the_colour_of_a_flower_does_not_reveal_its_class(rng):
    # One class against the rest, by the mean colour of the image and of the centre of the blossom.
    labels, colours = np.repeat(np.arange(5), 60), []
    for k in labels:
        image, mask = synthetic.flowers.draw(synthetic.flowers.KINDS[k], rng, 64)
        y, x = np.argwhere(mask).mean(0).astype(int)
        colours.append([*image.mean((0, 1)), *image[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1))])
    for value in np.array(colours).T:
        for k in range(5):
            assert 0.15 < metrics.auroc((labels == k).astype(int), value) < 0.85
    with pytest.raises(ValueError, match="64"):
        synthetic.flowers.draw("rose", rng, 10)
