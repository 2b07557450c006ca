"""The folder of a saved detector: written whole or not at all, and refused when damaged.

It holds ``model.keras``, ``references.npz`` (no pickles) and ``detector.json``, which
names the others with their SHA-256. The hashes find damage, not malice; that nothing in the folder can
run code is what `_check_layers` and ``safe_mode`` see to.
"""

import hashlib
import importlib.metadata
import json
import zipfile
from pathlib import Path

from fsad.files import FsadError, atomic_folder, check_replaceable, sha256

FORMAT = 3
OLDEST = 3  # earlier ones scored otherwise: by the distances of one layer
FILES = ("model.keras", "references.npz")
_KIND = ("a detector", "detector.json")  # what `atomic_folder` may replace


class DetectorError(FsadError, ValueError):
    """A detector folder that cannot be used. The message names the folder and the reason."""

    def __init__(self, folder, reason):
        super().__init__(f"{folder}: {reason}")
        self.folder, self.reason = str(folder), reason


def check_writable(folder):
    """Raises FileExistsError if `save` would refuse the folder: better known before a detector is fitted."""
    check_replaceable(folder, *_KIND)


def save(folder, model, arrays, note):
    """Writes a detector folder; an earlier detector there is replaced.

    Args:
        folder: where to.
        model: a Keras model.
        arrays: dict of numpy arrays, none of objects.
        note: a dict for ``detector.json``; ``format``, ``files`` and ``versions`` are added.

    Raises:
        FileExistsError: the folder holds something else.
    """
    import numpy as np

    with atomic_folder(folder, *_KIND) as part:
        model.save(part / "model.keras")
        np.savez_compressed(part / "references.npz", **arrays)
        versions = {name: importlib.metadata.version(name) for name in ("keras", "numpy")}
        files = {name: sha256(part / name) for name in FILES}
        note = json.loads(json.dumps({"format": FORMAT, **note, "versions": versions, "files": files}))
        text = json.dumps({**note, "sha256": _digest(note)}, indent=1)
        (part / "detector.json").write_text(text + "\n", encoding="utf-8")


def _digest(note):
    """SHA-256 of a note without its own."""
    rest = {k: v for k, v in note.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_note(folder):
    """``detector.json`` of a folder, once the files it names are known to be whole. Imports no Keras.

    Raises:
        DetectorError: missing, damaged, or written in a newer format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DetectorError(folder, "expected the folder of a saved detector. Received: no such folder")
    try:
        note = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        number, files = int(note["format"]), dict(note["files"])
    except FileNotFoundError:
        raise DetectorError(folder, "expected the folder of a saved detector. Received: no detector.json") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DetectorError(folder, f"detector.json is damaged ({type(error).__name__}: {error})") from None
    if number > FORMAT:
        writer = note.get("fsad", "unknown")
        raise DetectorError(
            folder, f"expected format {FORMAT} or older. Received: {number}, by fsad {writer}; update fsad"
        )
    if number < OLDEST:
        writer = note.get("fsad", "unknown")
        raise DetectorError(
            folder,
            f"expected format {OLDEST} or newer. Received: {number}, by fsad {writer}, which scored otherwise; fit it "
            "again from the images that detector.json names",
        )
    if note.get("sha256") != _digest(note):
        raise DetectorError(folder, "detector.json is damaged: its SHA-256 is not the one it names")
    for name in FILES:
        path = folder / name
        if not path.is_file():
            raise DetectorError(folder, f"expected {name}. Received: no such file")
        if sha256(path) != files.get(name):
            raise DetectorError(folder, f"{name} is damaged: its SHA-256 is not the one in detector.json")
    return note


def load(folder):
    """``(model, arrays, note)`` of a folder that `save` wrote; raises `DetectorError`."""
    note = read_note(folder)
    _check_layers(Path(folder))
    import keras
    import numpy as np

    try:
        model = keras.models.load_model(Path(folder) / "model.keras", compile=False, safe_mode=True)
        with np.load(Path(folder) / "references.npz", allow_pickle=False) as file:
            arrays = dict(file)
    except Exception as error:  # Keras and numpy raise what they like
        raise DetectorError(folder, f"cannot be loaded ({type(error).__name__}: {error})") from error
    return model, arrays, note


def _check_layers(folder):
    """Refuses a model that names classes other than Keras's and ours, or carries Python code (Lambda)."""
    try:
        with zipfile.ZipFile(folder / "model.keras") as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise DetectorError(folder, f"model.keras is not a Keras model ({error})") from None
    waiting = [config]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            module, name = item.get("module"), item.get("class_name")
            of_fsad = str(item.get("registered_name")).startswith("fsad>") and str(module).startswith("fsad.")
            of_keras = module is None or module == "keras" or str(module).startswith("keras.")
            if name is not None and (name in ("Lambda", "__lambda__") or not (of_keras or of_fsad)):
                raise DetectorError(folder, f"model.keras holds {module}.{name}, which fsad does not load")
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
