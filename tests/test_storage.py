import json
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import fsad
from fsad import recipes, storage
from fsad.files import sha256


@pytest.fixture
def folder(saved):
    return saved


def edit(folder, **changes):
    """Changes the note, and its hash with it, as someone who means it would."""
    note = {**json.loads((folder / "detector.json").read_text()), **changes}
    note["files"] = {name: sha256(folder / name) for name in storage.FILES}
    (folder / "detector.json").write_text(json.dumps({**note, "sha256": storage._digest(note)}))


def test_note_names_versions_hashes_and_training_files(folder, parts):
    note = json.loads((folder / "detector.json").read_text())
    assert note["format"] == storage.FORMAT and note["versions"]["keras"] == keras.__version__
    assert note["files"]["weights.npz"] == sha256(folder / "weights.npz")
    first = note["training"][0]
    assert first["sha256"] == sha256(parts / "train" / "good" / "000.png") and first["role"] == "good"


def test_formats_that_scored_otherwise_are_refused(folder):
    edit(folder, format=3, fsad="0.5")
    with pytest.raises(
        storage.DetectorError, match=r"format 4 or newer. Received: 3, by fsad 0.5, which scored otherwise; fit it"
    ):
        fsad.load(folder)


def test_a_detector_of_the_format_before_is_read(folder):
    note = json.loads((folder / "detector.json").read_text())
    files = {name: note["files"][name] for name in storage.FILES}
    note = {k: v for k, v in note.items() if k not in ("methods", "reference", "sha256")}
    note = {**note, "format": 4, "files": files}
    (folder / storage.GRAPH).unlink()
    (folder / "detector.json").write_text(json.dumps({**note, "sha256": storage._digest(note)}))
    assert fsad.load(folder).methods[:3] == ("patches", "saliency", "gradcam")


@pytest.mark.parametrize("name", storage.FILES)
def test_damage_is_recognised(folder, name):
    path = folder / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(storage.DetectorError, match=f"{name} is damaged"):
        fsad.load(folder)
    path.unlink()
    with pytest.raises(storage.DetectorError, match=f"expected {name}"):
        fsad.load(folder)


def test_a_damaged_note_is_recognised(folder):
    text = (folder / "detector.json").read_text()
    (folder / "detector.json").write_text(text.replace('"how": "', '"how": "not '))
    with pytest.raises(storage.DetectorError, match=r"detector.json is damaged: its SHA-256"):
        fsad.load(folder)


def test_readers_meet_one_detector_or_the_other_while_it_is_saved(fitted, folder):
    arrays, note = fitted.fitted.pack()
    stop, failures = threading.Event(), []

    def read():
        while not stop.is_set():
            try:
                weights, _, note, _ = storage.load(folder)
                assert weights[0][0] == note["number"]
            except Exception as error:
                failures.append(error)

    storage.save(folder, [np.full(1, -1)], arrays, {**note, "number": -1})
    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(20):
        storage.save(folder, [np.full(1, number)], arrays, {**note, "number": number})
    stop.set()
    for reader in readers:
        reader.join()
    assert failures == []


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda note: note["threshold"].update(value=float("nan")), "expected finite numbers. Received: NaN"),
        (lambda note: note["threshold"].update(value="high"), "detector.json is damaged"),
        (lambda note: note.update(map_range=[0, float("inf")]), "expected finite numbers. Received: Infinity"),
    ],
)
def test_numbers_that_are_none_are_refused(folder, change, message):
    note = json.loads((folder / "detector.json").read_text())
    change(note)
    edit(folder, **note)
    with pytest.raises(storage.DetectorError, match=message):
        fsad.load(folder)


def test_references_that_are_no_numbers_or_too_many_are_refused(folder, monkeypatch):
    with np.load(folder / "references.npz") as file:
        arrays = dict(file)
    np.savez(folder / "references.npz", **{**arrays, "references": arrays["references"] * np.nan})
    edit(folder)
    with pytest.raises(storage.DetectorError, match="expected finite numbers"):
        fsad.load(folder)
    monkeypatch.setattr(storage, "MAX_BYTES", 1000)
    with pytest.raises(storage.DetectorError, match="GB of arrays"):
        fsad.load(folder)


def test_a_note_that_is_nested_without_end_is_refused(folder):
    (folder / "detector.json").write_text("[" * 100_000)
    with pytest.raises(storage.DetectorError, match="damaged"):
        fsad.load(folder)


def test_saving_over_a_link_replaces_what_it_points_to(fitted, folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    fitted.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and fsad.load(tmp_path / "link").threshold == fitted.threshold
    assert sorted(p.name for p in tmp_path.iterdir()) == ["detector", "link"]


def test_refuses_newer_formats_and_broken_notes(folder, tmp_path):
    edit(folder, format=storage.FORMAT + 1, fsad="9.0")
    with pytest.raises(storage.DetectorError, match=r"by fsad 9.0; update fsad"):
        fsad.load(folder)
    for broken in ([], {"value": 1}):
        edit(folder, format=storage.FORMAT, threshold=broken)
        with pytest.raises(storage.DetectorError, match=r"detector.json is damaged"):
            fsad.load(folder)
    (folder / "detector.json").write_text("{")
    with pytest.raises(storage.DetectorError, match=r"detector.json is damaged"):
        fsad.load(folder)
    with pytest.raises(storage.DetectorError, match="no such folder"):
        fsad.load(tmp_path / "none")
    with pytest.raises(storage.DetectorError, match=r"no detector.json"):
        fsad.load(tmp_path)


def test_settings_and_weights_that_are_not_the_recipe_s_are_refused(folder):
    """Even with hashes that fit: they are no secret."""
    settings = json.loads((folder / "detector.json").read_text())["settings"]
    for change, message in (
        ({"backbone": {"module": "os", "class_name": "system", "config": {}}}, "Received: os.system"),
        ({"backbone": "preprocess_input"}, "Expected a backbone among"),
        ({"side": 64}, "cannot be built"),
        ({"unknown": 1}, "unexpected keyword"),
    ):
        edit(folder, settings={**settings, **change})
        with pytest.raises(storage.DetectorError, match=message):
            _ = fsad.load(folder).model


def test_a_network_for_which_there_is_no_memory_is_refused(folder, monkeypatch):
    def exhausted(**settings):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setitem(recipes.RECIPES, "patches", exhausted)
    with pytest.raises(storage.DetectorError, match="cannot be built"):
        _ = fsad.load(folder).model


@pytest.mark.parametrize("name", storage.FILES)
def test_pickles_are_not_loaded(folder, name):
    np.savez(folder / name, references=np.array([{}], object))
    edit(folder)
    with pytest.raises(storage.DetectorError, match="cannot be loaded"):
        fsad.load(folder)


def test_replaces_a_detector_and_nothing_else(fitted, folder, tmp_path):
    fsad.load(folder).save(folder)  # again
    assert fsad.load(folder).threshold == fitted.threshold
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="other files"):
        fitted.save(tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note["threshold"].update(value=10**400),
        lambda note: note.update(training=[]),
        lambda note: note.update(training="abc"),
        lambda note: note["training"].pop(),
    ],
)
def test_notes_that_do_not_fit_their_arrays_are_refused(folder, change):
    note = json.loads((folder / "detector.json").read_text())
    note["training"].sort(key=lambda record: record["reference"] is not None)
    change(note)
    edit(folder, **note)
    with pytest.raises(storage.DetectorError, match="damaged"):
        fsad.load(folder)


def test_arrays_that_are_no_images_and_no_references_are_refused(folder):
    with np.load(folder / "references.npz") as file:
        arrays = dict(file)
    for change in ({"images": arrays["images"].astype(float)}, {"references": arrays["references"][:0]}):
        np.savez(folder / "references.npz", **{**arrays, **change})
        edit(folder)
        with pytest.raises(storage.DetectorError, match="Received"):
            fsad.load(folder)
