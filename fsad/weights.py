"""Where a file of pre-trained weights is, or an error that says where it was looked for."""

import os
import socket
from pathlib import Path

from fsad.files import FsadError

SERVER = ("storage.googleapis.com", 443)


class WeightsError(FsadError, FileNotFoundError):
    """Pre-trained weights that are neither on this machine nor to be downloaded."""


def folders():
    """Where files are looked for: ``FSAD_WEIGHTS_DIR``, then Keras's cache."""
    cache = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    given = os.environ.get("FSAD_WEIGHTS_DIR")
    return [Path(given), cache] if given else [cache]


def local_file(files):
    """The first of these file names that is on this machine, as a path, or None. Asks no network."""
    candidates = (folder / file for folder in folders() for file in files)
    return next((path for path in candidates if path.is_file()), None)


def unused(files):
    """Weights files in ``FSAD_WEIGHTS_DIR`` whose names are not among these: the name decides, not what is in it."""
    given = os.environ.get("FSAD_WEIGHTS_DIR")
    paths = sorted(Path(given).iterdir()) if given and Path(given).is_dir() else []
    return [path for path in paths if path.suffix in (".h5", ".keras") and path.name not in files]


def find_or_download(title, files, download):
    """The same, downloaded if this machine does not have it.

    Args:
        title: of the backbone, for the error.
        files: names that the file goes by.
        download: called without arguments to put the file into Keras's cache.

    Raises:
        WeightsError: no file, and none could be downloaded.
    """
    if path := local_file(files):
        return path
    try:
        socket.create_connection(SERVER, timeout=3).close()
        download()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise WeightsError(
            f"Expected ImageNet weights of {title}: {' or '.join(files)} in {' or '.join(map(str, folders()))}. "
            f"Received: no such file, and no download ({error}); fsad weights says what goes where"
        ) from None
    if path := local_file(files):
        return path
    raise WeightsError(f"Expected {' or '.join(files)} in {folders()[-1]} after the download. Received: no such file")
