import numpy as np


def test_a_score_that_is_no_number_is_an_error(fitted, parts):
    from fsad.export.runtime import Choice

    def broken(images):
        return {name: np.asarray(values) * np.nan for name, values in fitted.scorer(images).items()}

    (prediction,) = fitted.with_runtime(Choice("broken", broken)).stream(parts / "test" / "hole" / "000.png")
    assert prediction.verdict is None and "no finite score" in prediction.error


def test_large_images_are_batched_by_few():
    from fsad.inputs import Reading
    from fsad.scorer import _batches

    sizes = [(10, 10), (10, 10), (30, 10), (10, 10)]
    batches = list(_batches([Reading(None, size=size) for size in sizes], 3, most=250))
    assert [len(batch) for batch in batches] == [3, 1]
    assert [len(batch) for batch in _batches([Reading(None, size=size) for size in sizes], 3)] == [3, 1]
    assert [len(batch) for batch in _batches([Reading(None, size=(30, 10))] * 3, 3, most=250)] == [1, 1, 1]


def test_another_runtime_is_another_detector(fitted, parts):
    from fsad.export.runtime import Choice

    def half(images):
        return {name: np.asarray(values) / 2 for name, values in fitted.scorer(images).items()}

    folder = parts / "test" / "hole"
    before = fitted.score(folder)
    other = fitted.with_runtime(Choice("half", half))
    assert other.runtime == "half" and np.allclose(other.score(folder), before / 2)
    assert fitted.runtime == "tensorflow" and np.array_equal(fitted.score(folder), before)
