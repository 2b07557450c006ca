"""A folder of files, written whole or not at all, and refused when damaged.

The folder of a detector holds ``model.keras``, ``references.npz`` (no pickles) and ``detector.json``, which
names the others with their SHA-256. The hashes find damage, not malice; that nothing in the folder can
run code is what `_plain_layers` and ``safe_mode`` see to.
"""

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np

FORMAT = 1
NAMES = ("model.keras", "references.npz")


class DetectorError(ValueError):
    """A detector folder that cannot be used. The message names the folder and the reason."""

    def __init__(self, folder, reason):
        super().__init__(f"{folder}: {reason}")
        self.folder, self.reason = str(folder), reason


def sha256(path):
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    with replacing(folder, "a detector", "detector.json") as unfinished:
        model.save(unfinished / "model.keras")
        np.savez_compressed(unfinished / "references.npz", **arrays)
        versions = {"keras": keras.__version__, "numpy": np.__version__}
        files = {name: sha256(unfinished / name) for name in NAMES}
        note = json.loads(json.dumps({"format": FORMAT, **note, "versions": versions, "files": files}))
        text = json.dumps({**note, "sha256": _digest(note)}, indent=1)
        (unfinished / "detector.json").write_text(text + "\n", encoding="utf-8")


def _digest(note):
    """SHA-256 of a note without its own."""
    rest = {k: v for k, v in note.items() if k != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write(path, data):
    """Writes the bytes of one file, which appears whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(data)
    os.replace(unfinished, path)


class replacing:
    """``with replacing(folder, what, mark) as unfinished``: a folder that takes the place of ``folder`` at the end.

    An existing folder is only replaced if it is empty or holds ``mark``, the file by which ``what`` is known.
    """

    def __init__(self, folder, what, mark):
        self.folder = Path(folder).resolve()  # a link stays, what it points to is replaced
        occupied = self.folder.exists() and not (self.folder.is_dir() and not any(self.folder.iterdir()))
        if occupied and not (self.folder / mark).is_file():
            raise FileExistsError(f"{folder}: expected nothing there, or {what} to replace. Received: other files")

    def __enter__(self):
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.unfinished = Path(tempfile.mkdtemp(prefix=f".{self.folder.name}-", dir=self.folder.parent))
        return self.unfinished

    def __exit__(self, failed, *_):
        old = self.unfinished.with_name(self.unfinished.name + "-old")
        try:
            if not failed:
                os.chmod(self.unfinished, 0o755)
                if self.folder.exists():
                    os.rename(self.folder, old)
                os.rename(self.unfinished, self.folder)
        finally:
            if old.exists() and not self.folder.exists():
                os.rename(old, self.folder)
            for rubbish in (self.unfinished, old):
                shutil.rmtree(rubbish, ignore_errors=True)


def read_note(folder):
    """``detector.json`` of a folder, once the files it names are found whole.

    Raises:
        DetectorError: missing, damaged, or written in a newer format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DetectorError(folder, "expected the folder of a saved detector. Received: nothing there")
    try:
        note = json.loads((folder / "detector.json").read_text(encoding="utf-8"))
        number, files = int(note["format"]), dict(note["files"])
    except FileNotFoundError:
        raise DetectorError(folder, "expected the folder of a saved detector. Received: no detector.json") from None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DetectorError(folder, f"detector.json is damaged ({type(error).__name__}: {error})") from None
    if number <= FORMAT and note.get("sha256") != _digest(note):
        raise DetectorError(folder, "detector.json is damaged: its SHA-256 is not the one it names")
    if number > FORMAT:
        writer = note.get("fsad", "unknown")
        raise DetectorError(
            folder, f"expected format {FORMAT} or older. Received: {number}, by fsad {writer}; update fsad"
        )
    for name in NAMES:
        path = folder / name
        if not path.is_file():
            raise DetectorError(folder, f"expected {name}. Received: no such file")
        if sha256(path) != files.get(name):
            raise DetectorError(folder, f"{name} is damaged: its SHA-256 is not the one in detector.json")
    return note


def load(folder):
    """``(model, arrays, note)`` of a folder that `save` wrote; raises `DetectorError`."""
    note = read_note(folder)
    _plain_layers(Path(folder))
    try:
        model = keras.models.load_model(Path(folder) / "model.keras", compile=False, safe_mode=True)
        with np.load(Path(folder) / "references.npz", allow_pickle=False) as file:
            arrays = dict(file)
    except Exception as error:  # Keras and numpy raise what they like
        raise DetectorError(folder, f"cannot be loaded ({type(error).__name__}: {error})") from error
    return model, arrays, note


def _plain_layers(folder):
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
            ours = str(item.get("registered_name")).startswith("fsad>") and str(module).startswith("fsad.")
            known = module is None or module == "keras" or str(module).startswith("keras.")
            if name is not None and (name in ("Lambda", "__lambda__") or not (known or ours)):
                raise DetectorError(folder, f"model.keras holds {module}.{name}, which fsad does not load")
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
