import numpy as np
import pytest

from fsad import splits
from fsad.inputs import Dataset, Sample, load, with_groups


def dataset(groups_good, groups_defective, kinds=("cut", "hole")):
    good = [Sample(f"g{k}", 0, "good", group=g) for k, g in enumerate(groups_good)]
    defective = [Sample(f"d{k}", 1, kinds[k % len(kinds)], group=g) for k, g in enumerate(groups_defective)]
    return Dataset("folder", "test", tuple(good + defective))


def roles(shots):
    return (shots.anchors, shots.good, shots.defective)


def test_shots_contain_each_part_once_and_the_test_set_none_of_them(rng):
    # Each part was photographed three times; part 0 is among the good and the defective images.
    parts = dataset([k // 3 for k in range(60)], [0] + [100 + k // 3 for k in range(30)])
    for _ in range(20):
        shots = splits.sample_shots(parts, rng, anchors=3, good=4, defective=4)
        assert [len(r) for r in roles(shots)] == [3, 4, 4]
        support = [s.group for role in roles(shots) for s in role]
        assert len(set(support)) == len(support)
        assert not set(support) & {s.group for s in shots.test}
        labels = [s.label for s in shots.test]
        assert labels.count(0) == labels.count(1)
        assert sorted(s.kind for s in shots.defective) == ["cut", "cut", "hole", "hole"]


def test_a_held_out_type_is_only_in_the_test_set(rng):
    shots = splits.sample_shots(dataset(range(40), range(100, 130)), rng, 4, 4, 4, hold_out="hole", test_per_class=10)
    assert {s.kind for s in shots.defective} == {"cut"}
    assert {s.kind for s in shots.test} == {"good", "cut", "hole"} and len(shots.test) == 20


def test_the_number_of_good_test_images_can_be_set(rng):
    shots = splits.sample_shots(dataset(range(40), range(100, 130)), rng, 4, 4, 4, test_per_class=10, test_good=25)
    labels = [s.label for s in shots.test]
    assert labels.count(0) == 25 and labels.count(1) == 10


def mvtec(tmp_path, test_good=6):
    """Twelve good images in train/, some in test/, eight defective ones, each of a part of its own."""
    names = [("train/good", 0)] * 12 + [("test/good", 0)] * test_good + [("test/cut", 1)] * 8
    samples = [Sample(tmp_path / name / f"{k}.png", label, name.split("/")[1], group=k, folder=tmp_path)
               for k, (name, label) in enumerate(names)]  # fmt: skip
    return Dataset(tmp_path, "MVTec AD", tuple(samples))


def test_mvtec_tests_on_test_and_takes_good_ones_from_train_unless_pooled(tmp_path, rng):
    separate = [splits.sample_shots(mvtec(tmp_path), rng, 2, 2, 2) for _ in range(5)]
    assert {s.split for shots in separate for s in (*shots.anchors, *shots.good)} == {"train"}
    assert {s.split for shots in separate for s in shots.test} == {"test"}
    pooled = [splits.sample_shots(mvtec(tmp_path), rng, 2, 2, 2, pooled=True) for _ in range(5)]
    assert {s.split for shots in pooled for s in shots.test if not s.label} == {"train", "test"}
    with pytest.raises(ValueError, match="tested only if pooled"):
        splits.sample_shots(mvtec(tmp_path, test_good=0), rng, 2, 2, 2)


def test_few_large_groups_are_halved(rng):
    """Four parts of ten good and five defective images each: too few for a part per image."""
    parts = dataset([k // 10 for k in range(40)], [k // 5 for k in range(20)])
    for _ in range(10):
        shots = splits.sample_shots(parts, rng, 3, 3, 3, distinct=False)
        support = [s for role in roles(shots) for s in role]
        assert len(set(support)) == 9 and len({s.group for s in shots.test}) == 2
        assert not {s.group for s in support} & {s.group for s in shots.test}
    with pytest.raises(ValueError, match="expected 3 distinct good parts"):
        splits.sample_shots(parts, rng, 3, 3, 3)


def test_the_same_seed_draws_the_same_shots():
    first, second = (
        splits.sample_shots(dataset(range(40), range(100, 130)), np.random.default_rng(3)) for _ in range(2)
    )
    assert first == second


def test_rejects_shots_that_the_data_set_cannot_supply(rng):
    with pytest.raises(ValueError, match=r"expected 8 distinct defective parts. Received: 1"):
        splits.sample_shots(dataset(range(40), [7] * 30), rng)
    with pytest.raises(ValueError, match="hold_out"):
        splits.sample_shots(dataset(range(40), range(100, 130)), rng, hold_out="rust")
    samples = tuple(Sample(f"{k}", k % 2, ("faulty", "fine")[k % 2], group=k) for k in range(50))
    with pytest.raises(ValueError, match=r"named good, ok or normal .* Received: faulty, fine"):
        splits.sample_shots(Dataset("folder", "classes", samples), rng)
    with pytest.raises(ValueError, match="with_groups"):
        splits.sample_shots(dataset([None] * 40, ["tile 7"] * 30), rng)


@pytest.mark.slow
@pytest.mark.data
def test_two_exposures_of_one_tile_never_face_each_other(real, rng):
    tiles = with_groups(load(real("magnetic_tile")))
    assert tiles.counts() == {"blowhole": 115, "break": 85, "crack": 57, "fray": 32, "good": 952, "uneven": 103}
    # Identified by eye: six photographs of one tile each; three crops of the first are smaller by a half.
    for tile in ((9473, 9496, 9508, 9520, 9549, 9594), (1810, 1836, 1855, 1877, 1903, 1965)):
        names = tuple(f"num_{number}.jpg" for number in tile)
        assert len({s.group for s in tiles.samples if s.path.name.endswith(names)}) == 1
    sizes = np.bincount([s.group for s in tiles.samples])
    assert (sizes == 6).sum() > 180 and (sizes < 5).sum() == 0
    for _ in range(5):
        shots = splits.sample_shots(tiles, rng)
        support = [s.group for role in roles(shots) for s in role]
        assert len(set(support)) == 24 and not set(support) & {s.group for s in shots.test}


def classes(labels, groups):
    numbered = enumerate(zip(labels, groups, strict=True))
    return Dataset("folder", "classes", tuple(Sample(f"{k}", int(y), f"class{y}", group=g) for k, (y, g) in numbered))


def test_by_class_preserves_proportions_and_groups(rng):
    labels = np.repeat([0, 1, 2], [100, 60, 40])
    groups = np.arange(200) // 2  # two images of each part
    train, validation, test = splits.by_class(classes(labels, groups.tolist()), rng)
    parts = [train, validation, test]
    assert sorted(np.concatenate(parts).tolist()) == list(range(200))
    assert [len(p) for p in parts] == pytest.approx([144, 16, 40], abs=2)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not set(groups[parts[first]]) & set(groups[parts[second]])
    assert np.bincount(labels[test]) == pytest.approx([20, 12, 8], abs=2)


def test_by_class_rejects_other_data(rng):
    with pytest.raises(ValueError, match="with_groups"):
        splits.by_class(classes([0, 1], [None, None]), rng)
    with pytest.raises(ValueError, match="1 divided by a whole number"):
        splits.by_class(classes([0, 1], [0, 1]), rng, test=0.3)
    with pytest.raises(ValueError, match="expected at least 5 images of one class"):
        splits.by_class(classes([0, 1] * 4, range(8)), rng)
    with pytest.raises(ValueError, match="one folder per class"):
        splits.by_class(dataset(range(40), range(100, 130)), rng)
