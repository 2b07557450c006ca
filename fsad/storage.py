"""The folder of a saved detector: written whole or not at all, and refused when damaged.

It holds ``weights.npz`` and ``references.npz``, arrays without pickles, ``detector.json``, which names the others
with their SHA-256, and, where it could be written, ``scorer.onnx``, by which images are scored without TensorFlow. The
hashes find damage, not malice. Nothing in the folder can run code, since nothing in it is a program: the network is
built anew by the recipe and its settings, and takes the arrays as its weights; the graph has arithmetic only
(`fsad.graph_file`).
"""

import contextlib
import hashlib
import importlib.metadata
import json
import threading
import zipfile
from pathlib import Path

from fsad import graph_file
from fsad.files import FsadError, atomic_folder, check_replaceable, sha256

FORMAT = 5
OLDEST = 4  # earlier ones held a Keras model, which may hold code, and scored otherwise
FILES = ("weights.npz", "references.npz")
GRAPH = "scorer.onnx"
MAX_BYTES = 2**31  # of the arrays of a file: 400 images of the largest input are half of that
_KIND = ("a detector", "detector.json")  # what `atomic_folder` may replace
# numpy reads an array's header by `ast.literal_eval`, which fails in Python 3.11 when threads run it at once
# (python/cpython#106905).
_READING = threading.Lock()


class DetectorError(FsadError, ValueError):
    """A detector folder that cannot be used. The message names the folder and the reason."""

    def __init__(self, folder, reason):
        super().__init__(f"{folder}: {reason}")
        self.folder, self.reason = str(folder), reason


def check_writable(folder):
    """Raises FileExistsError if `save` would refuse the folder: better known before a detector is fitted."""
    check_replaceable(folder, *_KIND)


def save(folder, weights, arrays, note, graph=None):
    """Writes a detector folder; an earlier detector there is replaced.

    Args:
        folder: where to.
        weights: arrays, of the network in its order.
        arrays: dict of numpy arrays, none of objects.
        graph: bytes of an ONNX file, or None.
        note: a dict for ``detector.json``; ``format``, ``files`` and ``versions`` are added.

    Raises:
        FileExistsError: the folder holds something else.
    """
    import numpy as np

    for size in (sum(array.nbytes for array in weights), sum(array.nbytes for array in arrays.values())):
        if size > MAX_BYTES:
            raise ValueError(
                f"Expected a detector of at most {MAX_BYTES / 2**30:g} GB of arrays. Received: {size / 2**30:.1f} GB; "
                "use fewer references or components"
            )
    versions = {}
    for name in ("keras", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    with atomic_folder(folder, *_KIND) as part:
        np.savez(part / "weights.npz", **{f"{k:04d}": value for k, value in enumerate(weights)})
        np.savez_compressed(part / "references.npz", **arrays)
        if graph is not None:
            (part / GRAPH).write_bytes(graph)
        files = {name: sha256(part / name) for name in (*FILES, *([GRAPH] if graph is not None else []))}
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
    return _steadily(Path(folder), _read_note)


def _steadily(folder, read):
    """What ``read`` makes of a folder, once more if another took its place meanwhile: no mixture of the two."""
    while True:
        before = _identity(folder)
        try:
            content = read(folder)
        except DetectorError:
            if _identity(folder) == before:
                raise
            continue
        if _identity(folder) == before:
            return content


def _identity(folder):
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _read_note(folder):
    if not folder.is_dir():
        raise DetectorError(folder, "expected the folder of a saved detector. Received: no such folder")
    try:
        note = json.loads((folder / "detector.json").read_text(encoding="utf-8"), parse_constant=_refuse)
        number, files = int(note["format"]), dict(note["files"])
    except FileNotFoundError:
        raise DetectorError(folder, "expected the folder of a saved detector. Received: no detector.json") from None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
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
    for name in (*FILES, *([GRAPH] if GRAPH in files else [])):
        path = folder / name
        if not path.is_file():
            raise DetectorError(folder, f"expected {name}. Received: no such file")
        if sha256(path) != files.get(name):
            raise DetectorError(folder, f"{name} is damaged: its SHA-256 is not the one in detector.json")
    return note


def load(folder):
    """``(weights, arrays, note, graph)`` of a folder that `save` wrote; raises `DetectorError`."""
    return _steadily(Path(folder), _load)


def _load(folder):
    note = _read_note(folder)
    try:
        weights, arrays = (_arrays(folder / name) for name in FILES)
        graph = (folder / GRAPH).read_bytes() if GRAPH in note["files"] else None
        if graph is not None:
            graph_file.check(graph)
    except Exception as error:  # numpy raises what it likes
        raise DetectorError(folder, f"cannot be loaded ({type(error).__name__}: {error})") from error
    return [weights[key] for key in sorted(weights)], arrays, note, graph


def _refuse(value):
    raise ValueError(f"expected finite numbers. Received: {value}")


def _arrays(path):
    """The arrays of an ``.npz`` file; refused before they are unpacked if they would fill the memory."""
    import numpy as np

    with zipfile.ZipFile(path) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > MAX_BYTES:
        raise ValueError(f"expected at most {MAX_BYTES / 2**30:g} GB of arrays. Received: {size / 2**30:.1f} GB")
    with _READING, np.load(path, allow_pickle=False) as file:
        return dict(file)
